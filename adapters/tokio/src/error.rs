//! What can go wrong on the way to a secured channel.

use std::{fmt, io};

use starttls::negotiate::Negotiate;
use starttls::tls::TlsFailure;

use crate::stream::HeapSession;

/// Why there is no secured channel.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Transport(io::Error),
    /// The negotiation or the handshake failed, or the caller's arguments cannot be used.
    #[non_exhaustive]
    Session {
        /// Who erred, and how.
        error: starttls::Error,
        /// What the TLS library says of a [`starttls::Error::Tls`].
        tls: Option<TlsFailure>,
        /// The octets with which the peer refused, for a [`starttls::Error::PeerRefused`]. Anyone
        /// on the path could have written them: escape control characters before showing them.
        untrusted: Option<Box<[u8]>>,
    },
}

impl Error {
    pub(crate) fn of<N: Negotiate>(session: &HeapSession<N>, error: starttls::Error) -> Self {
        let untrusted = session.untrusted_text().map(|text| text.untrusted_octets().into());
        Self::Session { error, tls: session.tls_error().cloned(), untrusted }
    }

    /// The session's error, unless it was the transport that failed.
    pub fn session(&self) -> Option<starttls::Error> {
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

impl From<starttls::Error> for Error {
    fn from(error: starttls::Error) -> Self {
        Self::Session { error, tls: None, untrusted: None }
    }
}

/// [`io::Error::get_ref`] of the result downcasts to [`starttls::Error`]; the TLS library's words
/// and the peer's are left behind.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Transport(error) => error,
            Error::Session { error, .. } => into_io(error),
        }
    }
}

/// An [`io::Error`] that holds `error`.
pub(crate) fn into_io(error: starttls::Error) -> io::Error {
    use starttls::Error as E;
    let kind = match error {
        E::Closed | E::ClosedInHandshake | E::Truncated => io::ErrorKind::UnexpectedEof,
        E::PeerMisbehaved(_) | E::Tls(_) => io::ErrorKind::InvalidData,
        E::PeerRefused(_) => io::ErrorKind::ConnectionRefused,
        E::Misuse(_) => io::ErrorKind::InvalidInput,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
