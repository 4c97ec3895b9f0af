//! Key exchange: X25519 (RFC 7748), and ECDH over P-256 and P-384 (RFC 8446 §7.4.2).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

use crate::Entropy;

/// The groups whose features are on. A client sends its first share for the first one.
#[cfg_attr(
    not(feature = "default"),
    allow(clippy::extra_unused_type_parameters, reason = "unused only without a group")
)]
pub(crate) fn supported<E: Entropy>() -> Vec<&'static dyn SupportedKxGroup> {
    let groups: &[&'static dyn SupportedKxGroup] = &[
        #[cfg(feature = "x25519")]
        &Group::<x25519::X25519, E>::NEW,
        #[cfg(feature = "secp256r1")]
        &Group::<p256::NistP256, E>::NEW,
        #[cfg(feature = "secp384r1")]
        &Group::<p384::NistP384, E>::NEW,
    ];
    groups.to_vec()
}

/// A way to agree on a secret.
trait Exchange: 'static {
    const NAME: NamedGroup;
    /// Overwritten when dropped.
    type Secret: Send + Sync;

    /// A new secret, and what the peer is told of it.
    fn generate<E: Entropy>() -> Result<(Self::Secret, Vec<u8>), GetRandomFailed>;

    /// What comes out with the peer's share, unless that is none.
    fn agree(secret: &Self::Secret, peer: &[u8]) -> Option<SharedSecret>;
}

struct Group<X, E>(PhantomData<fn() -> (X, E)>);

impl<X, E> Group<X, E> {
    const NEW: Self = Self(PhantomData);
}

impl<X: Exchange, E> fmt::Debug for Group<X, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(X::NAME.as_str().unwrap_or_default())
    }
}

impl<X: Exchange, E: Entropy> SupportedKxGroup for Group<X, E> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (secret, share) = X::generate::<E>()?;
        Ok(Box::new(Active::<X> { secret, share }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        X::NAME
    }
}

struct Active<X: Exchange> {
    secret: X::Secret,
    share: Vec<u8>,
}

impl<X: Exchange> ActiveKeyExchange for Active<X> {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        X::agree(&self.secret, peer).ok_or_else(|| PeerMisbehaved::InvalidKeyShare.into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        X::NAME
    }
}

/// Draws octets until they are a key. They are unless they are zero or not below the order of the
/// curve, which happens once in 2³² times: more than a few times in a row, the generator is broken.
#[cfg(any(feature = "secp256r1", feature = "secp384r1"))]
fn draw<E: Entropy, K>(
    octets: &mut [u8],
    key: impl Fn(&[u8]) -> Option<K>,
) -> Result<K, GetRandomFailed> {
    for _ in 0..4 {
        E::fill(octets)?;
        if let Some(key) = key(octets) {
            return Ok(key);
        }
    }
    Err(GetRandomFailed)
}

#[cfg(feature = "x25519")]
mod x25519 {
    use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
    use zeroize::Zeroizing;

    use super::*;

    pub(super) struct X25519;

    impl Exchange for X25519 {
        const NAME: NamedGroup = NamedGroup::X25519;
        type Secret = Zeroizing<[u8; 32]>;

        fn generate<E: Entropy>() -> Result<(Self::Secret, Vec<u8>), GetRandomFailed> {
            let mut secret = Zeroizing::new([0; 32]);
            E::fill(&mut *secret)?;
            let share = x25519(*secret, X25519_BASEPOINT_BYTES).to_vec();
            Ok((secret, share))
        }

        fn agree(secret: &Self::Secret, peer: &[u8]) -> Option<SharedSecret> {
            let shared = Zeroizing::new(x25519(**secret, peer.try_into().ok()?));
            // A point of small order gives zero whatever the secret is (RFC 8446 §7.4.2).
            let any = shared.iter().fold(0, |sum, octet| sum | octet) != 0;
            any.then(|| SharedSecret::from(&shared[..]))
        }
    }
}

#[cfg(any(feature = "secp256r1", feature = "secp384r1"))]
mod ecdh {
    use elliptic_curve::ecdh::diffie_hellman;
    use elliptic_curve::{CurveArithmetic, FieldBytes, NonZeroScalar, PublicKey};
    use zeroize::Zeroizing;

    use super::*;
    use crate::curve;

    /// A curve that is a group of TLS.
    trait Named: CurveArithmetic {
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

    impl<C: Named> Exchange for C {
        const NAME: NamedGroup = C::NAME;
        type Secret = Zeroizing<NonZeroScalar<C>>;

        fn generate<E: Entropy>() -> Result<(Self::Secret, Vec<u8>), GetRandomFailed> {
            let mut octets = Zeroizing::new(FieldBytes::<C>::default());
            let secret = draw::<E, _>(&mut octets, |octets| {
                let octets = <&FieldBytes<C>>::try_from(octets).ok()?;
                NonZeroScalar::from_repr(*octets).into_option()
            })?;
            let share = curve::encode::<C>(PublicKey::from_secret_scalar(&secret).as_affine());
            Ok((Zeroizing::new(secret), share))
        }

        fn agree(secret: &Self::Secret, peer: &[u8]) -> Option<SharedSecret> {
            let secret: &NonZeroScalar<C> = secret;
            let shared = diffie_hellman(secret, curve::decode::<C>(peer)?.as_affine());
            Some(SharedSecret::from(&shared.raw_secret_bytes()[..]))
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
