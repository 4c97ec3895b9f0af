//! Records under an AEAD: TLS 1.3 (RFC 8446 §5.2), and TLS 1.2 (RFC 5246 §6.2.3.3, RFC 5288,
//! RFC 7905). The octets are sealed and opened where they lie.
//!
//! What is not about one cipher is not generic over it, so that three ciphers are not three
//! copies of this in flash.

use rustls::crypto::cipher::{
    InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, NONCE_LEN,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, make_tls13_aad,
};
use rustls::{ContentType, Error, ProtocolVersion};

pub(crate) const TAG_LEN: usize = 16;

/// A cipher with its key.
pub(crate) trait Sealing: Send + Sync {
    /// Encrypts in place, and gives the tag; none if the text is too long for the cipher.
    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]>;

    /// Decrypts in place; none if the tag is not that of the text.
    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Option<()>;
}

/// One direction of a TLS 1.3 connection.
pub(crate) struct Tls13<C> {
    pub(crate) cipher: C,
    pub(crate) iv: Iv,
}

impl<C: Sealing> MessageEncrypter for Tls13<C> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        tls13_encrypt(&self.cipher, &self.iv, &message, seq)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        tls13_len(payload_len)
    }
}

impl<C: Sealing> MessageDecrypter for Tls13<C> {
    fn decrypt<'a>(
        &mut self,
        message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        tls13_decrypt(&self.cipher, &self.iv, message, seq)
    }
}

/// The text, its content type, the tag.
const fn tls13_len(payload_len: usize) -> usize {
    payload_len + 1 + TAG_LEN
}

fn tls13_encrypt(
    cipher: &dyn Sealing,
    iv: &Iv,
    message: &OutboundPlainMessage<'_>,
    seq: u64,
) -> Result<OutboundOpaqueMessage, Error> {
    let total = tls13_len(message.payload.len());
    let mut payload = PrefixedPayload::with_capacity(total);
    payload.extend_from_chunks(&message.payload);
    payload.extend_from_slice(&message.typ.to_array());
    let tag = cipher
        .seal(&Nonce::new(iv, seq).0, &make_tls13_aad(total), payload.as_mut())
        .ok_or(Error::EncryptError)?;
    payload.extend_from_slice(&tag);
    // On the outside it is application data of TLS 1.2 (RFC 8446 §5.2).
    let version = ProtocolVersion::TLSv1_2;
    Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, version, payload))
}

fn tls13_decrypt<'a>(
    cipher: &dyn Sealing,
    iv: &Iv,
    mut message: InboundOpaqueMessage<'a>,
    seq: u64,
) -> Result<InboundPlainMessage<'a>, Error> {
    let aad = make_tls13_aad(message.payload.len());
    let len = open(cipher, &Nonce::new(iv, seq).0, &aad, &mut message.payload)?;
    message.payload.truncate(len);
    message.into_tls13_unpadded_message()
}

/// Opens a text with its tag behind it, and gives the length of the text.
fn open(
    cipher: &dyn Sealing,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    sealed: &mut [u8],
) -> Result<usize, Error> {
    let (text, tag) = sealed.split_last_chunk_mut().ok_or(Error::DecryptError)?;
    cipher.open(nonce, aad, text, tag).ok_or(Error::DecryptError)?;
    Ok(text.len())
}

#[cfg(feature = "tls12")]
pub(crate) use tls12::Tls12;

#[cfg(feature = "tls12")]
mod tls12 {
    use rustls::crypto::cipher::make_tls12_aad;

    use super::*;

    /// The longest text of a record (RFC 5246 §6.2.1).
    const MAX_TEXT: usize = 1 << 14;

    /// One direction of a TLS 1.2 connection.
    pub(crate) struct Tls12<C> {
        pub(crate) cipher: C,
        pub(crate) iv: Iv,
        /// How many octets of the nonce are in the record.
        pub(crate) explicit: usize,
    }

    impl<C: Sealing> MessageEncrypter for Tls12<C> {
        fn encrypt(
            &mut self,
            message: OutboundPlainMessage<'_>,
            seq: u64,
        ) -> Result<OutboundOpaqueMessage, Error> {
            encrypt(&self.cipher, &self.iv, self.explicit, &message, seq)
        }

        fn encrypted_payload_len(&self, payload_len: usize) -> usize {
            self.explicit + payload_len + TAG_LEN
        }
    }

    impl<C: Sealing> MessageDecrypter for Tls12<C> {
        fn decrypt<'a>(
            &mut self,
            message: InboundOpaqueMessage<'a>,
            seq: u64,
        ) -> Result<InboundPlainMessage<'a>, Error> {
            decrypt(&self.cipher, &self.iv, self.explicit, message, seq)
        }
    }

    /// The nonce counts up from the IV, as in TLS 1.3, so that its explicit part never repeats
    /// under one key (RFC 5288 §3).
    fn encrypt(
        cipher: &dyn Sealing,
        iv: &Iv,
        explicit: usize,
        message: &OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let OutboundPlainMessage { typ, version, payload: text } = message;
        let mut payload = PrefixedPayload::with_capacity(explicit + text.len() + TAG_LEN);
        let nonce = Nonce::new(iv, seq).0;
        payload.extend_from_slice(&nonce[NONCE_LEN - explicit..]);
        payload.extend_from_chunks(text);
        let aad = make_tls12_aad(seq, *typ, *version, text.len());
        let tag = cipher
            .seal(&nonce, &aad, &mut payload.as_mut()[explicit..])
            .ok_or(Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(*typ, *version, payload))
    }

    fn decrypt<'a>(
        cipher: &dyn Sealing,
        iv: &Iv,
        explicit: usize,
        mut message: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let Some(len) = message.payload.len().checked_sub(explicit + TAG_LEN) else {
            return Err(Error::DecryptError);
        };
        let (prefix, sealed) = message.payload.split_at_mut(explicit);
        // The sequence number is in the last eight octets: nothing of it is left where the
        // record says them.
        let mut nonce = Nonce::new(iv, seq).0;
        nonce[NONCE_LEN - explicit..].copy_from_slice(prefix);
        let aad = make_tls12_aad(seq, message.typ, message.version, len);
        open(cipher, &nonce, &aad, sealed)?;
        if len > MAX_TEXT {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(explicit..explicit + len))
    }
}

#[cfg(all(test, feature = "default"))]
mod tests {
    use std::boxed::Box;
    use std::vec::Vec;

    use ::aead::KeyInit;
    use aes_gcm::{Aes128Gcm, Aes256Gcm};
    use chacha20poly1305::ChaCha20Poly1305;
    use rustls::crypto::cipher::OutboundChunks;

    use super::*;

    const SEQ: u64 = 0x0123_4567_89ab_cdef;
    const TEXT: &[u8] = b"MAIL FROM:<ada@host.test>\r\n";

    /// The direction out and the direction in.
    type Ends = (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>);

    fn cipher<C: KeyInit>() -> C {
        C::new_from_slice(&[7; 32][..C::key_size()]).unwrap()
    }

    fn tls13() -> [Ends; 3] {
        fn ends<C: Sealing + KeyInit + 'static>() -> Ends {
            let end = || Box::new(Tls13 { cipher: cipher::<C>(), iv: Iv::from([9; NONCE_LEN]) });
            (end(), end())
        }
        [ends::<Aes128Gcm>(), ends::<Aes256Gcm>(), ends::<ChaCha20Poly1305>()]
    }

    fn tls12() -> [Ends; 3] {
        fn ends<C: Sealing + KeyInit + 'static>(explicit: usize) -> Ends {
            let iv = || Iv::from([9; NONCE_LEN]);
            let end = || Box::new(Tls12 { cipher: cipher::<C>(), iv: iv(), explicit });
            (end(), end())
        }
        [ends::<Aes128Gcm>(8), ends::<Aes256Gcm>(8), ends::<ChaCha20Poly1305>(0)]
    }

    fn seal(sealing: &mut dyn MessageEncrypter, text: &[u8], seq: u64) -> Vec<u8> {
        let version = ProtocolVersion::TLSv1_2;
        let (first, last) = text.split_at(text.len() / 3);
        let chunks = [first, last];
        let payload = OutboundChunks::new(&chunks);
        let typ = ContentType::ApplicationData;
        let sealed = sealing.encrypt(OutboundPlainMessage { typ, version, payload }, seq).unwrap();
        assert_eq!(sealed.payload.as_ref().len(), sealing.encrypted_payload_len(text.len()));
        assert_eq!((sealed.typ, sealed.version), (ContentType::ApplicationData, version));
        sealed.payload.as_ref().into()
    }

    fn open(opening: &mut dyn MessageDecrypter, sealed: &[u8], seq: u64) -> Result<Vec<u8>, Error> {
        typed(opening, ContentType::ApplicationData, ProtocolVersion::TLSv1_2, sealed, seq)
    }

    fn typed(
        opening: &mut dyn MessageDecrypter,
        typ: ContentType,
        version: ProtocolVersion,
        sealed: &[u8],
        seq: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut octets = Vec::from(sealed);
        let opened = opening.decrypt(InboundOpaqueMessage::new(typ, version, &mut octets), seq)?;
        assert_eq!(opened.typ, typ);
        Ok(opened.payload.into())
    }

    #[test]
    fn what_is_sealed_opens_and_nothing_else() {
        for (mut sealing, mut opening) in tls13().into_iter().chain(tls12()) {
            let (sealing, opening) = (&mut *sealing, &mut *opening);
            for text in [TEXT, &[], &[0; 1 << 14]] {
                let sealed = seal(sealing, text, SEQ);
                assert_eq!(open(opening, &sealed, SEQ).as_deref(), Ok(text));
            }
            let sealed = seal(sealing, TEXT, SEQ);
            assert_ne!(sealed, seal(sealing, TEXT, SEQ + 1));
            let refused = Err(Error::DecryptError);
            for octet in 0..sealed.len() {
                let mut other = sealed.clone();
                other[octet] ^= 1;
                assert_eq!(open(opening, &other, SEQ), refused, "{octet}");
                assert_eq!(open(opening, &sealed[..octet], SEQ), refused, "{octet}");
            }
            assert_eq!(open(opening, &[&sealed[..], &[0]].concat(), SEQ), refused);
            assert_eq!(open(opening, &sealed, SEQ - 1), refused);
        }
    }

    /// Nobody repeats a nonce: its explicit part is the counter (RFC 5288 §3).
    #[test]
    fn the_explicit_part_of_a_nonce_counts() {
        for (mut sealing, _) in tls12().into_iter().take(2) {
            for seq in [0, 1, 2, SEQ, u64::MAX] {
                let sealed = seal(&mut *sealing, TEXT, seq);
                assert_eq!(sealed[..8], (u64::from_be_bytes([9; 8]) ^ seq).to_be_bytes());
            }
        }
    }

    /// In TLS 1.2 the header is authentic as it is, in TLS 1.3 there is only one (RFC 8446 §5.2).
    #[test]
    fn a_record_is_of_one_type_and_version() {
        for (mut sealing, mut opening) in tls12() {
            let sealed = seal(&mut *sealing, TEXT, SEQ);
            let mut as_what = |typ, version| {
                typed(&mut *opening, typ, version, &sealed, SEQ).as_deref() == Ok(TEXT)
            };
            assert!(as_what(ContentType::ApplicationData, ProtocolVersion::TLSv1_2));
            assert!(!as_what(ContentType::Handshake, ProtocolVersion::TLSv1_2));
            assert!(!as_what(ContentType::ApplicationData, ProtocolVersion::TLSv1_1));
        }
    }

    /// RFC 8446 §5.4, RFC 5246 §6.2.1.
    #[test]
    fn longer_texts_than_a_record_may_have_are_refused() {
        for (mut sealing, mut opening) in tls13().into_iter().chain(tls12()) {
            let sealed = seal(&mut *sealing, &[1; (1 << 14) + 1], SEQ);
            assert_eq!(open(&mut *opening, &sealed, SEQ), Err(Error::PeerSentOversizedRecord));
        }
    }
}
