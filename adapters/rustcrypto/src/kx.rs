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
    use elliptic_curve::{CurveArithmetic, FieldBytes, NonZeroScalar, PublicKey};
    use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
    use rustls::ffdhe_groups::FfdheGroup;
    use rustls::{Error, NamedGroup, PeerMisbehaved};
    use zeroize::Zeroizing;

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
            let public = curve::encode::<C>(PublicKey::from_secret_scalar(&secret).as_affine());
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
    fn generate<C: Named, E: Entropy>() -> Result<Secret<C>, GetRandomFailed> {
        let mut octets = Zeroizing::new(FieldBytes::<C>::default());
        for _ in 0..4 {
            E::fill(&mut octets)?;
            let secret = NonZeroScalar::from_repr(FieldBytes::<C>::clone(&octets));
            if let Some(secret) = secret.into_option() {
                return Ok(Zeroizing::new(secret));
            }
        }
        Err(GetRandomFailed)
    }

    type Secret<C> = Zeroizing<NonZeroScalar<C>>;

    struct Active<C: Named> {
        secret: Secret<C>,
        public: Vec<u8>,
    }

    impl<C: Named> ActiveKeyExchange for Active<C> {
        fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
            let peer = curve::decode::<C>(peer).ok_or(PeerMisbehaved::InvalidKeyShare)?;
            let secret: &NonZeroScalar<C> = &self.secret;
            let shared = diffie_hellman(secret, peer.as_affine());
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

#[cfg(all(test, feature = "default"))]
mod tests {
    use rustls::crypto::GetRandomFailed;
    use rustls::{Error, NamedGroup};

    use super::*;

    /// A generator whose octets are all this one.
    struct Stuck<const OCTET: u8>;

    impl<const OCTET: u8> Entropy for Stuck<OCTET> {
        fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
            buffer.fill(OCTET);
            Ok(())
        }
    }

    struct Failing;

    impl Entropy for Failing {
        fn fill(_: &mut [u8]) -> Result<(), GetRandomFailed> {
            Err(GetRandomFailed)
        }
    }

    fn started<E: Entropy>() -> Vec<(NamedGroup, bool)> {
        let start = |group: &dyn SupportedKxGroup| match group.start() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, Error::FailedToGetRandomBytes);
                false
            }
        };
        supported::<E>().into_iter().map(|group| (group.name(), start(group))).collect()
    }

    #[test]
    fn no_key_without_randomness() {
        use NamedGroup::{X25519, secp256r1, secp384r1};
        assert_eq!(started::<Failing>(), [(X25519, false), (secp256r1, false), (secp384r1, false)]);
        // Zero, and above the order of the curve. Each string of octets is a key of X25519.
        assert_eq!(started::<Stuck<0>>(), [(X25519, true), (secp256r1, false), (secp384r1, false)]);
        assert_eq!(
            started::<Stuck<0xff>>(),
            [(X25519, true), (secp256r1, false), (secp384r1, false)]
        );
        assert_eq!(started::<Stuck<1>>(), [(X25519, true), (secp256r1, true), (secp384r1, true)]);
    }

    #[test]
    fn shares_of_another_length_are_refused() {
        for group in supported::<Stuck<1>>() {
            let share: Vec<u8> = group.start().unwrap().pub_key().into();
            let one_more = [&share[..], &[0]].concat();
            let complete = |peer: &[u8]| group.start().unwrap().complete(peer).map(drop);
            assert_eq!(complete(&share), Ok(()), "{group:?}");
            for peer in [&[][..], &[0], &share[..1], &share[..share.len() - 1], &one_more] {
                let refused = Error::from(rustls::PeerMisbehaved::InvalidKeyShare);
                assert_eq!(complete(peer), Err(refused), "{group:?} {peer:?}");
            }
        }
    }
}
