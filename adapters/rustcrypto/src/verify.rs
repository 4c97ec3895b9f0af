//! Verification of signatures: which there are, and ECDSA (FIPS 186-5, RFC 5480).

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SignatureVerificationAlgorithm;

#[cfg(feature = "rsa")]
use crate::rsa::Rsa;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// The algorithms whose features are on.
///
/// In TLS 1.3 the scheme of a handshake fixes the curve, and the first of its algorithms counts;
/// in TLS 1.2 it fixes only the hash.
pub(crate) const SUPPORTED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        #[cfg(feature = "ecdsa-p256")]
        ecdsa::P256_SHA256,
        #[cfg(all(feature = "ecdsa-p256", feature = "sha512"))]
        ecdsa::P256_SHA384,
        #[cfg(all(feature = "ecdsa-p256", feature = "sha512"))]
        ecdsa::P256_SHA512,
        #[cfg(feature = "ecdsa-p384")]
        ecdsa::P384_SHA256,
        #[cfg(feature = "ecdsa-p384")]
        ecdsa::P384_SHA384,
        #[cfg(feature = "ecdsa-p384")]
        ecdsa::P384_SHA512,
        #[cfg(feature = "rsa")]
        Rsa::PSS_SHA256,
        #[cfg(all(feature = "rsa", feature = "sha512"))]
        Rsa::PSS_SHA384,
        #[cfg(all(feature = "rsa", feature = "sha512"))]
        Rsa::PSS_SHA512,
        #[cfg(feature = "rsa")]
        Rsa::PKCS1_SHA256,
        #[cfg(all(feature = "rsa", feature = "sha512"))]
        Rsa::PKCS1_SHA384,
        #[cfg(all(feature = "rsa", feature = "sha512"))]
        Rsa::PKCS1_SHA512,
    ],
    mapping: MAPPING,
};

const MAPPING: &[(SignatureScheme, &[Algorithm])] = &[
    #[cfg(feature = "ecdsa-p384")]
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        &[
            ecdsa::P384_SHA384,
            #[cfg(feature = "ecdsa-p256")]
            ecdsa::P256_SHA384,
        ],
    ),
    #[cfg(feature = "ecdsa-p256")]
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        &[
            ecdsa::P256_SHA256,
            #[cfg(feature = "ecdsa-p384")]
            ecdsa::P384_SHA256,
        ],
    ),
    #[cfg(all(feature = "rsa", feature = "sha512"))]
    (SignatureScheme::RSA_PSS_SHA512, &[Rsa::PSS_SHA512]),
    #[cfg(all(feature = "rsa", feature = "sha512"))]
    (SignatureScheme::RSA_PSS_SHA384, &[Rsa::PSS_SHA384]),
    #[cfg(feature = "rsa")]
    (SignatureScheme::RSA_PSS_SHA256, &[Rsa::PSS_SHA256]),
    #[cfg(all(feature = "rsa", feature = "sha512"))]
    (SignatureScheme::RSA_PKCS1_SHA512, &[Rsa::PKCS1_SHA512]),
    #[cfg(all(feature = "rsa", feature = "sha512"))]
    (SignatureScheme::RSA_PKCS1_SHA384, &[Rsa::PKCS1_SHA384]),
    #[cfg(feature = "rsa")]
    (SignatureScheme::RSA_PKCS1_SHA256, &[Rsa::PKCS1_SHA256]),
];

#[cfg(any(feature = "ecdsa-p256", feature = "ecdsa-p384"))]
mod ecdsa {
    use core::fmt;
    use core::marker::PhantomData;

    use elliptic_curve::ff::PrimeField;
    use elliptic_curve::group::{Curve, Group};
    use elliptic_curve::ops::{Invert, Reduce};
    use elliptic_curve::point::AffineCoordinates;
    use elliptic_curve::{CurveArithmetic, FieldBytes, ProjectivePoint, Scalar};
    use rustls::crypto::hash::Hash;
    use rustls::pki_types::{
        AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
    };

    use super::Algorithm;
    use crate::integers::integers;
    use crate::{curve, hash};

    #[cfg(feature = "ecdsa-p256")]
    mod p256 {
        use ::p256::NistP256;

        use super::*;

        impl Named for NistP256 {
            const ID: AlgorithmIdentifier = alg_id::ECDSA_P256;
        }

        pub(in super::super) const P256_SHA256: Algorithm = &Ecdsa::<NistP256>::SHA256;
        #[cfg(feature = "sha512")]
        pub(in super::super) const P256_SHA384: Algorithm = &Ecdsa::<NistP256>::SHA384;
        #[cfg(feature = "sha512")]
        pub(in super::super) const P256_SHA512: Algorithm = &Ecdsa::<NistP256>::SHA512;
    }
    #[cfg(feature = "ecdsa-p256")]
    pub(super) use p256::*;

    #[cfg(feature = "ecdsa-p384")]
    mod p384 {
        use ::p384::NistP384;

        use super::*;

        impl Named for NistP384 {
            const ID: AlgorithmIdentifier = alg_id::ECDSA_P384;
        }

        pub(in super::super) const P384_SHA256: Algorithm = &Ecdsa::<NistP384>::SHA256;
        pub(in super::super) const P384_SHA384: Algorithm = &Ecdsa::<NistP384>::SHA384;
        pub(in super::super) const P384_SHA512: Algorithm = &Ecdsa::<NistP384>::SHA512;
    }
    #[cfg(feature = "ecdsa-p384")]
    pub(super) use p384::*;

    /// A curve of keys.
    trait Named: CurveArithmetic {
        const ID: AlgorithmIdentifier;
    }

    /// The algorithm of FIPS 186-5 §6.4.2 and SEC 1 §4.1.4, over the arithmetic of the curve's crate.
    /// Its own verification takes a table of each point, and 4 KB more of the stack.
    fn verify<C: Named>(public_key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
        let key = curve::decode::<C>(public_key)?;
        let [r, s] = integers(signature)?;
        let (r, s) = (scalar::<C>(r)?, scalar::<C>(s)?);
        let inverse: Scalar<C> = s.invert_vartime().into_option()?;
        let e = reduced::<C>(digest);
        let point = sum::<C>(&(e * inverse), &(r * inverse), key.to_projective());
        // The point at infinity has no coordinate that is r: that is not zero.
        (reduced::<C>(&point.to_affine().x()) == r).then_some(())
    }

    /// A number from 1 to below the order of the curve.
    fn scalar<C: CurveArithmetic>(octets: &[u8]) -> Option<Scalar<C>> {
        let mut repr = FieldBytes::<C>::default();
        let start = repr.len().checked_sub(octets.len())?;
        repr[start..].copy_from_slice(octets);
        // None is zero: `integers` has none.
        Scalar::<C>::from_repr(repr).into_option()
    }

    /// The number of the first octets, as many as the order of the curve has, modulo that order.
    fn reduced<C: CurveArithmetic>(octets: &[u8]) -> Scalar<C> {
        let mut repr = FieldBytes::<C>::default();
        let octets = &octets[..octets.len().min(repr.len())];
        let start = repr.len() - octets.len();
        repr[start..].copy_from_slice(octets);
        Scalar::<C>::reduce(&repr)
    }

    /// `a` times the base point and `b` times `q`: nothing here is secret.
    pub(super) fn sum<C: CurveArithmetic>(
        a: &Scalar<C>,
        b: &Scalar<C>,
        q: ProjectivePoint<C>,
    ) -> ProjectivePoint<C> {
        let g = ProjectivePoint::<C>::generator();
        let multiples = [q, g - q, g, g + q];
        let mut sum = ProjectivePoint::<C>::identity();
        let mut digits = [0; 8 * SCALAR + 1];
        joint_sparse_form(&a.to_repr(), &b.to_repr(), &mut digits);
        for &digit in digits.iter().rev().skip_while(|&&digit| digit == 0) {
            sum = sum.double();
            if let Some(multiple) = usize::from(digit.unsigned_abs()).checked_sub(1) {
                match digit > 0 {
                    true => sum += &multiples[multiple],
                    false => sum -= &multiples[multiple],
                }
            }
        }
        sum
    }

    /// Octets of a scalar, at most.
    const SCALAR: usize = 48;

    /// The joint sparse form of two numbers (Solinas, CORR 2001-41): digits `u` of the one and `v` of
    /// the other as `3u + v`, the least significant first, of which half are zero. Both of `u` and
    /// `v` are -1, 0 or 1.
    fn joint_sparse_form(a: &[u8], b: &[u8], digits: &mut [i8]) {
        let (mut carry_a, mut carry_b) = (0, 0);
        for (at, digit) in digits.iter_mut().enumerate() {
            let (a, b) = (carry_a + bits(a, at), carry_b + bits(b, at));
            let (u, v) = (signed(a, b), signed(b, a));
            (carry_a, carry_b) = (carry(carry_a, u), carry(carry_b, v));
            *digit = 3 * u + v;
        }
    }

    /// Three bits of a number, the lowest of them the bit `at`.
    fn bits(number: &[u8], at: usize) -> u8 {
        let octet = |index| number.iter().rev().nth(index).map_or(0, |&octet| u16::from(octet));
        let both = octet(at / 8) | octet(at / 8 + 1) << 8;
        (both >> (at % 8)) as u8 & 7
    }

    /// The digit of a number that ends in these bits, beside another.
    fn signed(bits: u8, other: u8) -> i8 {
        let nearest = [0, 1, 0, -1][usize::from(bits % 4)];
        // The next digit of both is zero then.
        if matches!(bits % 8, 3 | 5) && other % 4 == 2 { -nearest } else { nearest }
    }

    fn carry(before: u8, digit: i8) -> u8 {
        match digit {
            0 => before,
            _ => u8::from(digit < 0),
        }
    }

    struct Ecdsa<C> {
        hash: &'static dyn Hash,
        id: AlgorithmIdentifier,
        curve: PhantomData<fn() -> C>,
    }

    impl<C> Ecdsa<C> {
        const SHA256: Self = Self::new(&hash::SHA256, alg_id::ECDSA_SHA256);
        #[cfg(feature = "sha512")]
        const SHA384: Self = Self::new(&hash::SHA384, alg_id::ECDSA_SHA384);
        #[cfg(feature = "sha512")]
        const SHA512: Self = Self::new(&hash::SHA512, alg_id::ECDSA_SHA512);

        const fn new(hash: &'static dyn Hash, id: AlgorithmIdentifier) -> Self {
            Self { hash, id, curve: PhantomData }
        }
    }

    impl<C> fmt::Debug for Ecdsa<C> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Ecdsa")
        }
    }

    impl<C: Named> SignatureVerificationAlgorithm for Ecdsa<C> {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            verify::<C>(public_key, self.hash.hash(message).as_ref(), signature)
                .ok_or(InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            C::ID
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            self.id
        }
    }
}

#[cfg(all(test, feature = "default"))]
mod tests {
    use elliptic_curve::ff::Field;
    use elliptic_curve::group::Group;
    use elliptic_curve::{CurveArithmetic, ProjectivePoint, Scalar};

    use super::ecdsa::sum;

    fn sums<C: CurveArithmetic>() {
        let g = ProjectivePoint::<C>::generator();
        let (one, two) = (Scalar::<C>::ONE, Scalar::<C>::from(2_u64));
        let mut numbers = [Scalar::<C>::ZERO, one, two, -one, -two, two.invert().unwrap()].to_vec();
        let mut number = Scalar::<C>::from(0x0123_4567_89ab_cdef);
        for _ in 0..6 {
            number = number * number + one;
            numbers.push(number);
        }
        // Zero and one among the points: sums that meet infinity and doublings.
        for q in [g, -g, g.double(), g * number, ProjectivePoint::<C>::identity()] {
            for a in &numbers {
                for b in &numbers {
                    assert_eq!(sum::<C>(a, b, q), g * a + q * b);
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_products() {
        sums::<p256::NistP256>();
        sums::<p384::NistP384>();
    }
}
