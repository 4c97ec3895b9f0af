//! Key exchange: X25519 (RFC 7748), and ECDH over P-256 and P-384 (RFC 8446 §7.4.2).

use alloc::vec::Vec;

use rustls::crypto::SupportedKxGroup;

use crate::Entropy;

/// The groups whose features are on. A client sends its first share for the first one.
#[cfg_attr(
    not(feature = "default"),
    allow(clippy::extra_unused_type_parameters, reason = "unused only without a group")
)]
pub(crate) fn supported<E: Entropy>() -> Vec<&'static dyn SupportedKxGroup> {
    let groups: &[&'static dyn SupportedKxGroup] = &[
        #[cfg(feature = "x25519")]
        &x25519::Group::<E>::NEW,
        #[cfg(feature = "secp256r1")]
        &ecdh::Group::<p256::NistP256, E>::NEW,
        #[cfg(feature = "secp384r1")]
        &ecdh::Group::<p384::NistP384, E>::NEW,
    ];
    groups.to_vec()
}

#[cfg(feature = "x25519")]
mod x25519 {
    use alloc::boxed::Box;
    use core::fmt;
    use core::marker::PhantomData;

    use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
    use rustls::ffdhe_groups::FfdheGroup;
    use rustls::{Error, NamedGroup, PeerMisbehaved};
    use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
    use zeroize::Zeroizing;

    use crate::Entropy;

    pub(super) struct Group<E>(PhantomData<fn() -> E>);

    impl<E> Group<E> {
        pub(super) const NEW: Self = Self(PhantomData);
    }

    impl<E> fmt::Debug for Group<E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("x25519")
        }
    }

    impl<E: Entropy> SupportedKxGroup for Group<E> {
        fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
            let mut secret = Zeroizing::new([0; 32]);
            E::fill(&mut *secret)?;
            let public = x25519(*secret, X25519_BASEPOINT_BYTES);
            Ok(Box::new(Active { secret, public }))
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn name(&self) -> NamedGroup {
            NamedGroup::X25519
        }
    }

    struct Active {
        secret: Zeroizing<[u8; 32]>,
        public: [u8; 32],
    }

    impl ActiveKeyExchange for Active {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
            let peer = peer.try_into().map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
            let shared = Zeroizing::new(x25519(*self.secret, peer));
            // A point of small order gives zero whatever the secret is (RFC 8446 §7.4.2).
            match shared.iter().fold(0, |sum, octet| sum | octet) {
                0 => Err(PeerMisbehaved::InvalidKeyShare.into()),
                _ => Ok(SharedSecret::from(&shared[..])),
            }
        }

        fn pub_key(&self) -> &[u8] {
            &self.public
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn group(&self) -> NamedGroup {
            NamedGroup::X25519
        }
    }
}

#[cfg(any(feature = "secp256r1", feature = "secp384r1"))]
mod ecdh {
    use alloc::boxed::Box;
    use alloc::vec::Vec;
    use core::fmt;
    use core::marker::PhantomData;

    use elliptic_curve::ecdh::diffie_hellman;
    use elliptic_curve::zeroize::Zeroizing;
    use elliptic_curve::{CurveArithmetic, FieldBytes, SecretKey};
    use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
    use rustls::ffdhe_groups::FfdheGroup;
    use rustls::{Error, NamedGroup, PeerMisbehaved};

    use crate::{Entropy, curve};

    /// A curve that is a group of TLS.
    pub(super) trait Named: CurveArithmetic {
        const NAME: NamedGroup;
    }

    #[cfg(feature = "secp256r1")]
    impl Named for p256::NistP256 {
        const NAME: NamedGroup = NamedGroup::secp256r1;
    }

    #[cfg(feature = "secp384r1")]
    impl Named for p384::NistP384 {
        const NAME: NamedGroup = NamedGroup::secp384r1;
    }

    pub(super) struct Group<C, E>(PhantomData<fn() -> (C, E)>);

    impl<C, E> Group<C, E> {
        pub(super) const NEW: Self = Self(PhantomData);
    }

    impl<C: Named, E> fmt::Debug for Group<C, E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(C::NAME.as_str().unwrap_or_default())
        }
    }

    impl<C: Named, E: Entropy> SupportedKxGroup for Group<C, E> {
        fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
            let secret = generate::<C, E>()?;
            let public = curve::encode::<C>(secret.public_key().as_affine());
            Ok(Box::new(Active { secret, public }))
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn name(&self) -> NamedGroup {
            C::NAME
        }
    }

    /// Random octets are a key unless they are zero or not below the order of the curve, which
    /// happens once in 2³² times: more than a few times in a row, the generator is broken.
    fn generate<C: Named, E: Entropy>() -> Result<SecretKey<C>, GetRandomFailed> {
        let mut octets = Zeroizing::new(FieldBytes::<C>::default());
        for _ in 0..4 {
            E::fill(&mut octets)?;
            if let Ok(secret) = SecretKey::from_bytes(&octets) {
                return Ok(secret);
            }
        }
        Err(GetRandomFailed)
    }

    struct Active<C: Named> {
        secret: SecretKey<C>,
        public: Vec<u8>,
    }

    impl<C: Named> ActiveKeyExchange for Active<C> {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
            let peer = curve::decode::<C>(peer).ok_or(PeerMisbehaved::InvalidKeyShare)?;
            let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
            Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
        }

        fn pub_key(&self) -> &[u8] {
            &self.public
        }

        fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
            None
        }

        fn group(&self) -> NamedGroup {
            C::NAME
        }
    }
}
