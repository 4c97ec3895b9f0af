//! A rustls [`CryptoProvider`] in Rust alone, over the RustCrypto crates, without std: for devices
//! that no C or assembly library supports, and that pay for each algorithm in flash.
//!
//! The application brings the randomness as a type that implements [`Entropy`], and the time as
//! rustls asks for it:
//!
//! ```
//! use std::sync::Arc;
//!
//! use rustls::crypto::GetRandomFailed;
//! use rustls::pki_types::UnixTime;
//! use rustls::time_provider::TimeProvider;
//! use rustls::{ClientConfig, RootCertStore};
//! use starttls_rustcrypto::Entropy;
//!
//! /// The peripherals of the application.
//! #[derive(Debug)]
//! struct Board;
//!
//! impl Entropy for Board {
//!     fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
//! #       use std::io::Read;
//! #       let mut generator = std::fs::File::open("/dev/urandom").map_err(|_| GetRandomFailed)?;
//! #       return generator.read_exact(buffer).map_err(|_| GetRandomFailed);
//! #       #[allow(unreachable_code)]
//!         Err(GetRandomFailed) // here: from the random number generator of the hardware
//!     }
//! }
//!
//! impl TimeProvider for Board {
//!     fn current_time(&self) -> Option<UnixTime> {
//! #       return Some(UnixTime::now());
//! #       #[allow(unreachable_code)]
//!         None // here: from a clock that was set from a trusted source
//!     }
//! }
//!
//! # let roots = RootCertStore::empty();
//! let provider = starttls_rustcrypto::provider::<Board>();
//! // `roots` are the certification authorities the device trusts.
//! let config = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(Board))
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//! # assert!(rustls::ClientConnection::new(Arc::new(config), "mail.test".try_into()?)?.wants_write());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Every algorithm is a feature, and all are on by default: a device names those it needs, with
//! `default-features = false`. A client of servers with common certificates gets by with
//! `aes128-gcm`, `x25519` or `secp256r1`, `ecdsa-p256` and `rsa`; the README lists them all with
//! what each costs.
//!
//! # What it does with secrets
//!
//! Keys and shared secrets are overwritten when dropped. AES, GHASH, ChaCha20, Poly1305, X25519 and
//! the arithmetic on P-256 and P-384 with secrets take the same steps whatever the secret is, as
//! their crates document; no table is indexed by a secret. That counts on a processor whose
//! multiplication takes the same time for all numbers, as Cortex-M4's does and the long one of
//! Cortex-M3 does not. ECDSA signs with the nonces of RFC 6979, which need no randomness. There is
//! no RSA with private keys here, neither signing nor decryption: verification touches public
//! numbers only.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(feature = "aes128-gcm", feature = "aes256-gcm", feature = "chacha20-poly1305"))]
mod aead;
#[cfg(any(
    feature = "secp256r1",
    feature = "secp384r1",
    feature = "ecdsa-p256",
    feature = "ecdsa-p384",
    feature = "sign-p256",
    feature = "sign-p384"
))]
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "few features use all of it"))]
mod curve;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "few features use all of it"))]
mod hash;
#[cfg(any(feature = "rsa", feature = "ecdsa-p256", feature = "ecdsa-p384"))]
mod integers;
#[cfg_attr(not(feature = "default"), allow(dead_code, reason = "few features use all of it"))]
mod kx;
#[cfg(feature = "rsa")]
mod power;
#[cfg(any(feature = "aes128-gcm", feature = "aes256-gcm", feature = "chacha20-poly1305"))]
mod record;
#[cfg(feature = "rsa")]
mod rsa;
mod sign;
mod suites;
mod verify;

use core::fmt;
use core::marker::PhantomData;

use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};

/// Where random octets come from: the application's generator.
///
/// rustls draws from it the randoms of the handshakes and the keys of the key exchange, at any
/// time and from any thread that drives a connection; so it is a type rather than a value, and
/// what it needs of the hardware lies in a `static` of the application.
pub trait Entropy: 'static {
    /// Fills the buffer with octets that nobody can predict.
    ///
    /// # Errors
    ///
    /// [`GetRandomFailed`] if the generator does not deliver, or fails its own tests; then the
    /// handshake fails.
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed>;
}

/// The provider of all algorithms whose features are on.
///
/// Its fields are public: to offer less at runtime, remove entries from them.
pub fn provider<E: Entropy>() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites::supported(),
        kx_groups: kx::supported::<E>(),
        signature_verification_algorithms: verify::SUPPORTED,
        secure_random: &Random::<E>(PhantomData),
        key_provider: &sign::Keys,
    }
}

struct Random<E>(PhantomData<fn() -> E>);

impl<E> fmt::Debug for Random<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

impl<E: Entropy> SecureRandom for Random<E> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        E::fill(buffer)
    }
}
