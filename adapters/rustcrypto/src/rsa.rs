//! Verification of RSA signatures (RFC 8017): RSASSA-PKCS1-v1_5 and RSASSA-PSS, with public keys
//! only, so that nothing here is secret and nothing has to take constant time.

use alloc::vec::Vec;
use core::fmt;

use rustls::crypto::hash::{Hash, HashAlgorithm, Output};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::hash;
use crate::integers::integers;
use crate::power::Modulus;

/// The sizes of a modulus, in bits: below, keys can be factored; above, they cost more time and
/// memory than a stranger's certificate may.
const MODULUS: core::ops::RangeInclusive<usize> = 2048..=4096;

pub(crate) struct Rsa {
    padding: Padding,
    hash: &'static dyn Hash,
    id: AlgorithmIdentifier,
}

impl Rsa {
    pub(crate) const PKCS1_SHA256: &Self =
        &Self::new(Padding::Pkcs1, &hash::SHA256, alg_id::RSA_PKCS1_SHA256);
    #[cfg(feature = "sha512")]
    pub(crate) const PKCS1_SHA384: &Self =
        &Self::new(Padding::Pkcs1, &hash::SHA384, alg_id::RSA_PKCS1_SHA384);
    #[cfg(feature = "sha512")]
    pub(crate) const PKCS1_SHA512: &Self =
        &Self::new(Padding::Pkcs1, &hash::SHA512, alg_id::RSA_PKCS1_SHA512);
    pub(crate) const PSS_SHA256: &Self =
        &Self::new(Padding::Pss, &hash::SHA256, alg_id::RSA_PSS_SHA256);
    #[cfg(feature = "sha512")]
    pub(crate) const PSS_SHA384: &Self =
        &Self::new(Padding::Pss, &hash::SHA384, alg_id::RSA_PSS_SHA384);
    #[cfg(feature = "sha512")]
    pub(crate) const PSS_SHA512: &Self =
        &Self::new(Padding::Pss, &hash::SHA512, alg_id::RSA_PSS_SHA512);

    const fn new(padding: Padding, hash: &'static dyn Hash, id: AlgorithmIdentifier) -> Self {
        Self { padding, hash, id }
    }

    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
        let key = PublicKey::decode(public_key)?;
        let mut encoded = key.apply(signature)?;
        let digest = self.hash.hash(message);
        let valid = match self.padding {
            Padding::Pkcs1 => is_pkcs1(&encoded, self.hash.algorithm(), &digest),
            Padding::Pss => is_pss(&mut encoded, key.bits - 1, self.hash, &digest),
        };
        valid.then_some(())
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rsa")
    }
}

impl SignatureVerificationAlgorithm for Rsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.verify(public_key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}

enum Padding {
    Pkcs1,
    Pss,
}

/// An `RSAPublicKey` (RFC 8017 Appendix A.1.1) of a size we take.
struct PublicKey<'a> {
    modulus: &'a [u8],
    bits: usize,
    exponent: u64,
}

impl<'a> PublicKey<'a> {
    fn decode(der: &'a [u8]) -> Option<Self> {
        let [modulus, exponent] = integers(der)?;
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let exponent = small(exponent)?;
        let taken = MODULUS.contains(&bits) && exponent >= 3 && exponent % 2 == 1;
        taken.then_some(Self { modulus, bits, exponent })
    }

    /// `RSAVP1` (RFC 8017 §5.2.2): what was signed, as long as the modulus. None for a signature
    /// that is not as long, or not below the modulus.
    fn apply(&self, signature: &[u8]) -> Option<Vec<u8>> {
        if signature.len() != self.modulus.len() || signature >= self.modulus {
            return None;
        }
        let mut octets = signature.to_vec();
        Modulus::new(self.modulus)?.power(&mut octets, self.exponent);
        Some(octets)
    }
}

/// A public exponent, of at most 33 bits like everybody's limit.
fn small(octets: &[u8]) -> Option<u64> {
    let value = octets
        .iter()
        .try_fold(0_u64, |value, octet| Some(value.checked_mul(256)? | u64::from(*octet)))?;
    (value < 1 << 33).then_some(value)
}

/// Whether this is the `EMSA-PKCS1-v1_5` of the digest (RFC 8017 §9.2): compared with the only
/// encoding there is, not parsed.
fn is_pkcs1(encoded: &[u8], algorithm: HashAlgorithm, digest: &Output) -> bool {
    let digest = digest.as_ref();
    // `DigestInfo` up to the digest (§9.2, note 1). The three algorithms differ in the last arc
    // of the identifier, and in lengths.
    let arc = match algorithm {
        HashAlgorithm::SHA256 => 1,
        HashAlgorithm::SHA384 => 2,
        HashAlgorithm::SHA512 => 3,
        _ => return false,
    };
    let len = digest.len() as u8;
    let info =
        [0x30, 17 + len, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, arc, 5, 0, 4, len];

    let Some(rest) = encoded.strip_suffix(digest) else {
        return false;
    };
    let Some([0, 1, padding @ .., 0]) = rest.strip_suffix(&info) else {
        return false;
    };
    // The smallest key leaves room for far more than the eight octets that have to be.
    padding.iter().all(|&octet| octet == 0xff)
}

/// `EMSA-PSS-VERIFY` (RFC 8017 §9.1.2) with MGF1 over the same hash and a salt as long as its
/// digest, as TLS and certificates use it (RFC 8446 §4.2.3).
fn is_pss(encoded: &mut [u8], bits: usize, hash: &dyn Hash, digest: &Output) -> bool {
    let len = hash.output_len();
    // One octet shorter than the modulus if that has one bit in its first octet.
    let unused_octets = encoded.len() - bits.div_ceil(8);
    let (unused, encoded) = encoded.split_at_mut(unused_octets);
    let unused_bits = encoded.len() * 8 - bits;

    let Some((&mut 0xbc, rest)) = encoded.split_last_mut() else {
        return false;
    };
    let (block, salted) = rest.split_at_mut(rest.len() - len);
    let first_mask = 0xff_u8 >> unused_bits;
    if unused.iter().any(|&octet| octet != 0) || block[0] & !first_mask != 0 {
        return false;
    }
    unmask(block, salted, hash);
    block[0] &= first_mask;

    let (padding, salt) = block.split_at(block.len() - len);
    let [zeros @ .., 1] = padding else {
        return false;
    };
    let mut message = [0; 8 + 2 * Output::MAX_LEN];
    message[8..8 + len].copy_from_slice(digest.as_ref());
    message[8 + len..8 + 2 * len].copy_from_slice(salt);
    zeros.iter().all(|&octet| octet == 0) && hash.hash(&message[..8 + 2 * len]).as_ref() == &*salted
}

/// Takes the mask away that MGF1 makes of the seed (RFC 8017 Appendix B.2.1).
fn unmask(block: &mut [u8], seed: &[u8], hash: &dyn Hash) {
    let mut input = [0; Output::MAX_LEN + 4];
    let input = &mut input[..seed.len() + 4];
    input[..seed.len()].copy_from_slice(seed);
    for (counter, part) in (0_u32..).zip(block.chunks_mut(seed.len())) {
        input[seed.len()..].copy_from_slice(&counter.to_be_bytes());
        for (octet, mask) in part.iter_mut().zip(hash.hash(input).as_ref()) {
            *octet ^= mask;
        }
    }
}

#[cfg(all(test, feature = "default"))]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let len = value.len();
        let header = match len {
            0..0x80 => vec![tag, len as u8],
            _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
        };
        [&header[..], value].concat()
    }

    fn key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        tlv(0x30, &[tlv(2, modulus), tlv(2, exponent)].concat())
    }

    /// A modulus of this many bits, as an INTEGER; all of its bits are set.
    fn modulus(bits: usize) -> Vec<u8> {
        let first = [0, 0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f][bits % 8];
        let mut octets = vec![first];
        octets.resize(1 + bits / 8, 0xff);
        octets[usize::from(first == 0)..].iter().for_each(|&octet| assert_ne!(octet, 0));
        octets
    }

    const F4: &[u8] = &[1, 0, 1];

    fn taken(der: &[u8]) -> bool {
        PublicKey::decode(der).is_some()
    }

    #[test]
    fn sizes_of_the_modulus() {
        for (bits, expected) in [
            (1024, false),
            (2040, false),
            (2047, false),
            (2048, true),
            (2049, true),
            (3072, true),
            (4095, true),
            (4096, true),
            (4097, false),
            (4104, false),
            (8192, false),
        ] {
            let der = key(&modulus(bits), F4);
            assert_eq!(taken(&der), expected, "{bits}");
            if expected {
                assert_eq!(PublicKey::decode(&der).unwrap().bits, bits);
            }
        }
    }

    #[test]
    fn public_exponents() {
        for (exponent, expected) in [
            (&[][..], false),
            (&[0], false),
            (&[1], false),
            (&[2], false),
            (&[3], true),
            (&[4], false),
            (&[17], true),
            (F4, true),
            (&[1, 0, 0], false),
            // The largest, and the next odd one.
            (&[1, 0xff, 0xff, 0xff, 0xff], true),
            (&[2, 0, 0, 0, 1], false),
            (&[0x7f; 9], false),
            // Negative, and with a zero too many.
            (&[0xff], false),
            (&[0x80, 0, 1], false),
            (&[0, 1, 0, 1], false),
        ] {
            assert_eq!(taken(&key(&modulus(2048), exponent)), expected, "{exponent:?}");
        }
    }

    #[test]
    fn keys_are_der() {
        let (modulus, exponent) = (tlv(2, &modulus(2048)), tlv(2, F4));
        let good = tlv(0x30, &[&modulus[..], &exponent].concat());
        assert!(taken(&good));
        // Something behind it, inside it, or missing.
        assert!(!taken(&[&good[..], &[0]].concat()));
        assert!(!taken(&tlv(0x30, &[&modulus[..], &exponent, &exponent].concat())));
        assert!(!taken(&tlv(0x30, &modulus)));
        (0..good.len()).for_each(|len| assert!(!taken(&good[..len]), "{len}"));
        // Another tag, a longer length than needed, an indefinite one.
        assert!(!taken(&tlv(0x31, &[&modulus[..], &exponent].concat())));
        assert!(!taken(&tlv(0x30, &[&modulus[..], &[2, 0x81, 3], F4].concat())));
        assert!(!taken(&[&[0x30, 0x80][..], &modulus, &exponent, &[0, 0]].concat()));
        // A negative modulus, one with a zero too many.
        let digits = &modulus[5..];
        assert!(!taken(&tlv(0x30, &[&tlv(2, digits)[..], &exponent].concat())));
        let longer = [&[0, 0], digits].concat();
        assert!(!taken(&tlv(0x30, &[&tlv(2, &longer)[..], &exponent].concat())));
    }

    /// With one for a signature `RSAVP1` gives one; a number that is not below the modulus, of
    /// another length, or an even modulus, gives none.
    #[test]
    fn signatures_are_numbers_below_the_modulus() {
        let with = |modulus: &[u8], signature: &[u8]| {
            PublicKey { modulus, bits: 2048, exponent: 65537 }.apply(signature)
        };
        let modulus = [0xff; 256];
        let mut one = [0; 256];
        one[255] = 1;
        assert_eq!(with(&modulus, &one).as_deref(), Some(&one[..]));
        // Minus one to an odd power is minus one.
        let mut minus_one = modulus;
        minus_one[255] = 0xfe;
        assert_eq!(with(&modulus, &minus_one).as_deref(), Some(&minus_one[..]));
        assert_eq!(with(&modulus, &modulus), None);
        assert_eq!(with(&minus_one, &one), None);
        assert_eq!(with(&modulus, &one[1..]), None);
        assert_eq!(with(&modulus, &[&[0], &one[..]].concat()), None);
    }

    #[test]
    fn pkcs1_has_one_encoding() {
        let digest = hash::SHA256.hash(b"message");
        let info = [
            &[0x30, 0x31, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 32],
            digest.as_ref(),
        ]
        .concat();
        let good = [&[0, 1][..], &[0xff; 202], &[0], &info].concat();
        assert_eq!(good.len(), 256);
        let valid = |encoded: &[u8]| is_pkcs1(encoded, HashAlgorithm::SHA256, &digest);
        assert!(valid(&good));
        for octet in 0..good.len() {
            let mut other = good.clone();
            other[octet] ^= 1;
            assert!(!valid(&other), "{octet}");
        }
        // What Bleichenbacher forged in 2006: the digest is not at the end.
        assert!(!valid(&[&[0, 1, 0xff, 0xff, 0][..], &info, &[0; 200]].concat()));
        assert!(!is_pkcs1(&good, HashAlgorithm::SHA384, &digest));
    }
}
