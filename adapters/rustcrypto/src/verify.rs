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

    use ::ecdsa::signature::hazmat::PrehashVerifier;
    use ::ecdsa::{EcdsaCurve, Signature, VerifyingKey};
    use elliptic_curve::CurveArithmetic;
    use rustls::crypto::hash::Hash;
    use rustls::pki_types::{
        AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
    };

    use super::Algorithm;
    use crate::{curve, hash};

    #[cfg(feature = "ecdsa-p256")]
    mod p256 {
        use ::p256::NistP256;

        use super::*;

        impl Verifiable for NistP256 {
            const ID: AlgorithmIdentifier = alg_id::ECDSA_P256;

            fn signature(der: &[u8]) -> Option<Signature<Self>> {
                Signature::from_der(der).ok()
            }
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

        impl Verifiable for NistP384 {
            const ID: AlgorithmIdentifier = alg_id::ECDSA_P384;

            fn signature(der: &[u8]) -> Option<Signature<Self>> {
                Signature::from_der(der).ok()
            }
        }

        pub(in super::super) const P384_SHA256: Algorithm = &Ecdsa::<NistP384>::SHA256;
        pub(in super::super) const P384_SHA384: Algorithm = &Ecdsa::<NistP384>::SHA384;
        pub(in super::super) const P384_SHA512: Algorithm = &Ecdsa::<NistP384>::SHA512;
    }
    #[cfg(feature = "ecdsa-p384")]
    pub(super) use p384::*;

    /// A curve of keys that can be verified with.
    trait Verifiable: EcdsaCurve + CurveArithmetic {
        const ID: AlgorithmIdentifier;

        fn signature(der: &[u8]) -> Option<Signature<Self>>;
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

    impl<C: Verifiable> SignatureVerificationAlgorithm for Ecdsa<C> {
        fn verify_signature(
            &self,
            public_key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            let key = curve::decode::<C>(public_key).ok_or(InvalidSignature)?;
            let signature = C::signature(signature).ok_or(InvalidSignature)?;
            VerifyingKey::from(key)
                .verify_prehash(self.hash.hash(message).as_ref(), &signature)
                .map_err(|_| InvalidSignature)
        }

        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            C::ID
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            self.id
        }
    }
}
