//! Keys of one's own: ECDSA over P-256 with SHA-256 and over P-384 with SHA-384, from PKCS #8
//! (RFC 5958) or SEC 1 (RFC 5915).

use alloc::sync::Arc;

use rustls::Error;
use rustls::crypto::KeyProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use zeroize::Zeroize;

#[derive(Debug)]
pub(crate) struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(
        &self,
        mut key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, Error> {
        let loaded = load(&key);
        key.zeroize();
        loaded.ok_or_else(|| Error::General("no ECDSA key of a curve that is supported".into()))
    }
}

fn load(key: &PrivateKeyDer<'_>) -> Option<Arc<dyn SigningKey>> {
    #[cfg(feature = "sign-p256")]
    if let Some(key) = ecdsa::load::<p256::NistP256>(key) {
        return Some(key);
    }
    #[cfg(feature = "sign-p384")]
    if let Some(key) = ecdsa::load::<p384::NistP384>(key) {
        return Some(key);
    }
    _ = key;
    None
}

#[cfg(any(feature = "sign-p256", feature = "sign-p384"))]
mod ecdsa {
    use alloc::boxed::Box;
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::fmt;

    use ::ecdsa::signature::Signer as _;
    use ::ecdsa::{EcdsaCurve, Signature, SigningKey};
    use elliptic_curve::pkcs8::DecodePrivateKey as _;
    use elliptic_curve::{CurveArithmetic, PublicKey, SecretKey};
    use rustls::pki_types::{AlgorithmIdentifier, PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
    use rustls::sign::{self, Signer, public_key_to_spki};
    use rustls::{Error, SignatureAlgorithm, SignatureScheme};

    use crate::curve;

    /// A curve of keys that can be signed with, by one scheme.
    pub(super) trait Signing: EcdsaCurve + CurveArithmetic {
        const ID: AlgorithmIdentifier;
        const SCHEME: SignatureScheme;

        fn from_pkcs8(der: &[u8]) -> Option<SecretKey<Self>>;
        fn from_sec1(der: &[u8]) -> Option<SecretKey<Self>>;
        fn sign(key: &SigningKey<Self>, message: &[u8]) -> Option<Vec<u8>>;
    }

    macro_rules! signing {
        ($feature:literal, $curve:path, $id:expr, $scheme:expr) => {
            #[cfg(feature = $feature)]
            impl Signing for $curve {
                const ID: AlgorithmIdentifier = $id;
                const SCHEME: SignatureScheme = $scheme;

                fn from_pkcs8(der: &[u8]) -> Option<SecretKey<Self>> {
                    SecretKey::from_pkcs8_der(der).ok()
                }

                fn from_sec1(der: &[u8]) -> Option<SecretKey<Self>> {
                    SecretKey::from_sec1_der(der).ok()
                }

                fn sign(key: &SigningKey<Self>, message: &[u8]) -> Option<Vec<u8>> {
                    let signature: Signature<Self> = key.try_sign(message).ok()?;
                    Some(signature.to_der().as_bytes().into())
                }
            }
        };
    }

    signing!(
        "sign-p256",
        p256::NistP256,
        alg_id::ECDSA_P256,
        SignatureScheme::ECDSA_NISTP256_SHA256
    );
    signing!(
        "sign-p384",
        p384::NistP384,
        alg_id::ECDSA_P384,
        SignatureScheme::ECDSA_NISTP384_SHA384
    );

    pub(super) fn load<C: Signing>(der: &PrivateKeyDer<'_>) -> Option<Arc<dyn sign::SigningKey>> {
        let key = match der {
            PrivateKeyDer::Pkcs8(key) => C::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(key) => C::from_sec1(key.secret_sec1_der()),
            _ => None,
        }?;
        Some(Arc::new(Key(Arc::new(SigningKey::from(key)))))
    }

    struct Key<C: Signing>(Arc<SigningKey<C>>);

    impl<C: Signing> fmt::Debug for Key<C> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Key")
        }
    }

    impl<C: Signing> sign::SigningKey for Key<C> {
        fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            let offered = offered.contains(&C::SCHEME);
            offered.then(|| Box::new(Self(Arc::clone(&self.0))) as _)
        }

        fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
            let point = curve::encode::<C>(PublicKey::from(self.0.verifying_key()).as_affine());
            Some(public_key_to_spki(&C::ID, point))
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    impl<C: Signing> Signer for Key<C> {
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
            C::sign(&self.0, message).ok_or_else(|| Error::General("no signature".into()))
        }

        fn scheme(&self) -> SignatureScheme {
            C::SCHEME
        }
    }
}
