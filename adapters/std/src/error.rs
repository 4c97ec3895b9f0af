//! What can go wrong, with what is known about it.

use std::{fmt, io};

use starttls::tls::TlsFailure;

/// A failure on the way to an encrypted channel, or on it.
#[derive(Debug)]
pub enum Error {
    /// The transport failed, or the deadline passed ([`io::ErrorKind::TimedOut`]).
    Transport(io::Error),
    /// The session failed.
    Session {
        /// How.
        error: starttls::Error,
        /// What the TLS library says, if it was TLS.
        tls: Option<TlsFailure>,
        /// The refusing line, if the peer refused. Anyone on the path could have written it.
        untrusted: Option<Box<[u8]>>,
    },
}

impl Error {
    /// The session's error, if it was the session.
    pub fn session(&self) -> Option<starttls::Error> {
        match self {
            Self::Transport(_) => None,
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
            Self::Transport(error) => Some(error),
            Self::Session { error, .. } => Some(error),
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        use starttls::Error as E;
        let kind = match &error {
            Error::Transport(_) => None,
            Error::Session { error, .. } => Some(match error {
                E::Closed | E::ClosedInHandshake | E::Truncated => io::ErrorKind::UnexpectedEof,
                E::PeerRefused(_) => io::ErrorKind::ConnectionRefused,
                E::Misuse(_) => io::ErrorKind::InvalidInput,
                _ => io::ErrorKind::InvalidData,
            }),
        };
        match (error, kind) {
            (Error::Transport(error), _) => error,
            (error, kind) => io::Error::new(kind.unwrap_or(io::ErrorKind::Other), error),
        }
    }
}
