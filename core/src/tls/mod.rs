//! TLS through rustls 0.23, the only module that names it.
//!
//! The caller brings the configuration, and with it the crypto provider, the roots and the clock;
//! this module drives rustls's unbuffered API behind four calls (to step through records, to lend
//! one, to seal one, to queue the close), and gives back types of its own.
//!
//! rustls 0.23 asserts that it sends one closing alert, and a peer that sends garbage behind our
//! close_notify makes it send another: with debug assertions on, and only then, that panics. A
//! program that meets strangers in a debug build turns them off for that package, as this
//! workspace does (`[profile.dev.package.rustls]`).

mod config;
mod connection;
mod failure;
mod opportunistic;
mod pins;
mod spill;

pub(crate) use config::server_name;
pub use config::{ClientTls, ServerTls};
pub(crate) use connection::{Connection, Poll};
pub use failure::TlsFailure;
pub use pins::Pins;
pub(crate) use spill::Spill;

use crate::error::TlsError;

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl Version {
    /// `TLSv1.2` or `TLSv1.3`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// What is known of the peer on an encrypted channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Security {
    /// The verifier of the configuration accepted its certificate.
    Authenticated,
    /// Encrypted, to nobody in particular: why verification did not succeed.
    Unauthenticated(TlsError),
}
