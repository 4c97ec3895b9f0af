//! The key of a certificate, for who trusts in a key that is known beforehand: all that a verifier
//! of another TLS library needs for it. With rustls it is `tls::Pins` that does so.

use core::fmt;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::wire::ber::{Elements, SEQUENCE};

/// The public key of a certificate (RFC 5280 §4.1), which is looked for and not judged: nothing else
/// of the certificate is read, neither names nor times nor signatures.
///
/// That a peer shows a key proves nothing. It has to sign with it, and whoever pins a key has to see
/// that it did (RFC 8446 §4.4.3).
///
/// ```
/// use starttls::pins::PublicKey;
///
/// /// The key of the server that shows this certificate, if it is the pinned one.
/// fn trusted<'a>(certificate: &'a [u8], pin: [u8; 32]) -> Option<PublicKey<'a>> {
///     let key = PublicKey::of_certificate(certificate).ok()?;
///     key.matches(&[pin]).then_some(key) // and now its signature
/// }
/// # assert!(trusted(b"no certificate", [0; 32]).is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    info: &'a [u8],
    algorithm: &'a [u8],
    octets: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// The key of a certificate in DER.
    ///
    /// # Errors
    /// [`Misbehaviour::Malformed`](crate::error::Misbehaviour::Malformed) if it is none.
    pub fn of_certificate(der: &'a [u8]) -> Result<Self, Error> {
        const VERSION: u8 = 0xa0;
        const BIT_STRING: u8 = 0x03;
        let certificate = Elements::of(der).expect(SEQUENCE)?;
        let mut fields = Elements::of(Elements::of(certificate).expect(SEQUENCE)?);
        // A serial number, or a version before it; signature, issuer, validity, subject.
        if fields.next()?.is_some_and(|(tag, _)| tag == VERSION) {
            fields.next()?;
        }
        for _ in 0..4 {
            fields.expect(SEQUENCE)?;
        }
        let rest = fields.rest();
        let mut parts = Elements::of(fields.expect(SEQUENCE)?);
        let info = rest.get(..rest.len() - fields.rest().len()).unwrap_or_default();
        let algorithm = parts.expect(SEQUENCE)?;
        // All keys are whole octets.
        let octets = parts.expect(BIT_STRING)?.strip_prefix(&[0]).unwrap_or_default();
        Ok(Self { info, algorithm, octets })
    }

    /// The SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), DER: what is pinned.
    pub fn info(&self) -> &'a [u8] {
        self.info
    }

    /// What kind of key it is: the content of the AlgorithmIdentifier (RFC 5280 §4.1.1.2), without
    /// its tag. Those of elliptic curves are in RFC 5480 §2.1.1.
    pub fn algorithm(&self) -> &'a [u8] {
        self.algorithm
    }

    /// The key itself, as its kind has it: for an elliptic curve the point (RFC 5480 §2.2).
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Whether it is one of the pinned: whether one of these is the SHA-256 digest of its
    /// [`info`](Self::info) (RFC 7469 §2.4), which is how `sha256//` and base64 name it elsewhere too.
    pub fn matches(&self, pins: &[[u8; 32]]) -> bool {
        let digest = Sha256::digest(self.info);
        pins.iter().any(|pin| pin[..] == digest[..])
    }
}

impl fmt::Debug for PublicKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("octets", &self.octets.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Misbehaviour;
    use alloc::vec::Vec;

    const BIT_STRING: u8 = 3;
    const ALGORITHM: &[u8] = b"\x06\x03\x2b\x65\x70";

    fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let mut element = Vec::from([tag, 0x82]);
        element.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        element.extend(content);
        element
    }

    fn info() -> Vec<u8> {
        let algorithm = element(SEQUENCE, &[ALGORITHM]);
        element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[b"\0the key"])])
    }

    fn certificate(version: &[u8], info: &[u8]) -> Vec<u8> {
        let empty = element(SEQUENCE, &[]);
        let fields = [version, b"\x02\x01\x07", &empty, &empty, &empty, &empty, info];
        let fields = element(SEQUENCE, &fields);
        element(SEQUENCE, &[&fields, &empty, &element(BIT_STRING, &[b"\0signature"])])
    }

    #[test]
    fn the_key_is_found_with_a_version_and_without() {
        let info = info();
        for version in [&b""[..], b"\xa0\x03\x02\x01\x02"] {
            let certificate = certificate(version, &info);
            let key = PublicKey::of_certificate(&certificate).unwrap();
            assert_eq!(
                (key.info(), key.algorithm(), key.octets()),
                (&info[..], ALGORITHM, &b"the key"[..])
            );
        }
    }

    #[test]
    fn one_pin_of_several_is_enough_and_none_is_not() {
        let info = info();
        let certificate = certificate(b"", &info);
        let key = PublicKey::of_certificate(&certificate).unwrap();
        let pin: [u8; 32] = Sha256::digest(&info).into();
        let mut other = pin;
        other[31] ^= 1;
        assert!(key.matches(&[pin]) && key.matches(&[other, pin]));
        assert!(!key.matches(&[]) && !key.matches(&[other]));
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let whole = certificate(b"", &info());
        for length in 0..whole.len() {
            let cut = PublicKey::of_certificate(&whole[..length]);
            assert_eq!(cut, Err(Misbehaviour::Malformed.into()), "{length}");
        }
    }
}
