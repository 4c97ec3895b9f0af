//! For adapters over `std`: why there is no channel, with what is known of it.

use std::boxed::Box;
use std::{fmt, io};

use crate::error::Error as Cause;
use crate::negotiate::Negotiate;
use crate::session::Session;
use crate::storage::Storage;
use crate::submission::Report;
use crate::tls::TlsFailure;

/// A failure on the way to a channel.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed, or the deadline passed ([`io::ErrorKind::TimedOut`]).
    Transport(io::Error),
    /// The session failed, or the caller's arguments cannot be used.
    Session {
        /// Who erred, and how.
        error: Cause,
        /// What the TLS library says of an [`Error::Tls`](Cause::Tls).
        tls: Option<TlsFailure>,
        /// The octets with which the peer refused, for a
        /// [`PeerRefused`](Cause::PeerRefused). Anyone on the path could have written them:
        /// escape control characters before showing them.
        untrusted: Option<Box<[u8]>>,
    },
}

impl Error {
    /// The failure of `session`, with what it knows.
    pub fn of<N: Negotiate, I: Storage, O: Storage>(
        session: &Session<N, I, O>,
        error: Cause,
    ) -> Self {
        let untrusted = session.untrusted_text().map(|text| text.untrusted_octets().into());
        Self::Session { error, tls: session.tls_error().cloned(), untrusted }
    }

    /// The failure of `session` after its transport failed with `lost`, if it did: that is the
    /// reason for an end of the transport, and not for what the peer said before.
    pub fn of_lost<N: Negotiate, I: Storage, O: Storage>(
        session: &Session<N, I, O>,
        error: Cause,
        lost: Option<io::Error>,
    ) -> Self {
        match (error, lost) {
            (Cause::Closed | Cause::ClosedInHandshake | Cause::Truncated, Some(lost)) => {
                lost.into()
            }
            _ => Self::of(session, error),
        }
    }

    /// The session's error, unless it was the transport that failed.
    pub fn session(&self) -> Option<Cause> {
        match self {
            Self::Transport(error) => error.get_ref()?.downcast_ref().copied(),
            Self::Session { error, .. } => Some(*error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Session { error, tls: Some(tls), .. } => write!(f, "{error} ({tls})"),
            Self::Session { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport(error) => error.source(),
            Self::Session { tls, .. } => Some(tls.as_ref()?),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Transport(error)
    }
}

impl From<Cause> for Error {
    fn from(error: Cause) -> Self {
        Self::Session { error, tls: None, untrusted: None }
    }
}

/// [`io::Error::get_ref`] of the result downcasts to [`starttls::Error`](Cause); the TLS library's
/// words and the peer's are left behind.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Transport(error) => error,
            Error::Session { error, .. } => error.into(),
        }
    }
}

/// As the inner error of an [`io::Error`] of a fitting kind.
impl From<Cause> for io::Error {
    fn from(error: Cause) -> Self {
        let kind = match error {
            Cause::Closed | Cause::ClosedInHandshake | Cause::Truncated => {
                io::ErrorKind::UnexpectedEof
            }
            Cause::PeerMisbehaved(_) | Cause::Tls(_) => io::ErrorKind::InvalidData,
            Cause::PeerRefused(_) => io::ErrorKind::ConnectionRefused,
            Cause::Unauthenticated(_) => io::ErrorKind::PermissionDenied,
            Cause::Misuse(_) => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// A submission that broke, with what is known of each recipient.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub error: Error,
    /// What is known: [`Outcome::Unknown`](crate::submission::Outcome::Unknown) for those who
    /// may have got the message.
    pub report: Box<Report>,
}

impl Broken {
    /// A submission that broke for `error`.
    pub fn new(error: Error, report: Report) -> Self {
        Self { error, report: Box::new(report) }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
