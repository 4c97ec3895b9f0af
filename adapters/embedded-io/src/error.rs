//! Why there is no channel, or no more of it.

#[cfg(feature = "rustls")]
use alloc::boxed::Box;
use core::fmt;

use embedded_io::ErrorKind;
use starttls::error::{Error as Cause, Misuse};

#[cfg(feature = "rustls")]
use starttls::{
    negotiate::Negotiate, session::Session, storage::Storage, submission::Report, tls::TlsFailure,
};

/// A failure; `E` is the transport's own error.
///
/// [`kind`](embedded_io::Error::kind) is the transport's, or:
///
/// | failure | kind |
/// |---|---|
/// | the deadline passed | [`TimedOut`](ErrorKind::TimedOut) |
/// | the transport ended too early | [`ConnectionAborted`](ErrorKind::ConnectionAborted) |
/// | the peer refused | [`ConnectionRefused`](ErrorKind::ConnectionRefused) |
/// | the peer misbehaved, or TLS failed | [`InvalidData`](ErrorKind::InvalidData) |
/// | credentials for a peer that is not verified | [`PermissionDenied`](ErrorKind::PermissionDenied) |
/// | writing after closing | [`BrokenPipe`](ErrorKind::BrokenPipe) |
/// | a buffer is too small | [`OutOfMemory`](ErrorKind::OutOfMemory) |
/// | other misuse | [`InvalidInput`](ErrorKind::InvalidInput) |
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The transport failed. One with a time-out of its own may be tried again after it.
    Transport(E),
    /// The transport took no octet, which it should not say in this way.
    WriteZero,
    /// The deadline passed. It is final: octets may have been lost on the way, so that the
    /// channel can neither be read nor written any more.
    TimedOut,
    /// The session or the negotiation failed, or the caller's arguments cannot be used.
    Session(Failure),
    /// The peer had more to say when the channel was closed than was read.
    Unread,
    /// The message could not be read.
    Message(ErrorKind),
}

impl<E> Error<E> {
    /// The session's error, unless something else failed.
    pub fn session(&self) -> Option<Cause> {
        match self {
            Self::Session(failure) => Some(failure.error()),
            _ => None,
        }
    }
}

impl<E: embedded_io::Error> Error<E> {
    /// Nothing happened: the same is to be done again.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Transport(error) if error.kind() == ErrorKind::Interrupted)
    }
}

impl<E> From<Cause> for Error<E> {
    fn from(error: Cause) -> Self {
        Self::Session(Failure {
            error,
            #[cfg(feature = "rustls")]
            details: None,
        })
    }
}

impl<E: embedded_io::Error> embedded_io::Error for Error<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(error) => error.kind(),
            Self::WriteZero => ErrorKind::WriteZero,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::Session(failure) => failure.kind(),
            Self::Unread => ErrorKind::InvalidData,
            Self::Message(kind) => *kind,
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::WriteZero => f.write_str("the transport takes nothing"),
            Self::TimedOut => f.write_str("the deadline passed"),
            Self::Session(failure) => failure.fmt(f),
            Self::Unread => f.write_str("the peer had more to say"),
            Self::Message(kind) => write!(f, "the message cannot be read: {kind}"),
        }
    }
}

impl<E: core::error::Error> core::error::Error for Error<E> {}

#[cfg(feature = "defmt")]
impl<E: defmt::Format> defmt::Format for Error<E> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Transport(error) => defmt::write!(f, "Transport({})", error),
            Self::WriteZero => defmt::write!(f, "WriteZero"),
            Self::TimedOut => defmt::write!(f, "TimedOut"),
            Self::Session(failure) => defmt::write!(f, "Session({})", failure.error()),
            Self::Unread => defmt::write!(f, "Unread"),
            Self::Message(kind) => defmt::write!(f, "Message({})", kind),
        }
    }
}

/// How a session failed, with what it knows.
#[derive(Debug)]
pub struct Failure {
    error: Cause,
    #[cfg(feature = "rustls")]
    details: Option<Box<Details>>,
}

#[cfg(feature = "rustls")]
#[derive(Debug)]
struct Details {
    tls: Option<TlsFailure>,
    untrusted: Option<Box<[u8]>>,
}

impl Failure {
    /// Who erred, and how.
    pub fn error(&self) -> Cause {
        self.error
    }

    fn kind(&self) -> ErrorKind {
        match self.error {
            Cause::Closed | Cause::ClosedInHandshake | Cause::Truncated => {
                ErrorKind::ConnectionAborted
            }
            Cause::PeerMisbehaved(_) | Cause::Tls(_) => ErrorKind::InvalidData,
            Cause::PeerRefused(_) => ErrorKind::ConnectionRefused,
            Cause::Unauthenticated(_) => ErrorKind::PermissionDenied,
            Cause::OutputFull | Cause::Misuse(Misuse::BufferTooSmall(_)) => ErrorKind::OutOfMemory,
            Cause::Misuse(Misuse::Phase) => ErrorKind::BrokenPipe,
            Cause::Misuse(_) => ErrorKind::InvalidInput,
            _ => ErrorKind::Other,
        }
    }
}

#[cfg(feature = "rustls")]
impl Failure {
    /// What the TLS library says of an [`Error::Tls`](Cause::Tls).
    pub fn tls(&self) -> Option<&TlsFailure> {
        self.details.as_ref()?.tls.as_ref()
    }

    /// The octets with which the peer refused, for a [`PeerRefused`](Cause::PeerRefused). Anyone
    /// on the path could have written them: escape control characters before showing them.
    pub fn untrusted_text(&self) -> Option<&[u8]> {
        self.details.as_ref()?.untrusted.as_deref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "rustls")]
        if let Some(tls) = self.tls() {
            return write!(f, "{} ({tls})", self.error);
        }
        self.error.fmt(f)
    }
}

#[cfg(feature = "rustls")]
impl<E> Error<E> {
    /// The failure of `session`, with what it knows.
    pub(crate) fn of<N: Negotiate, I: Storage, O: Storage>(
        session: &Session<N, I, O>,
        error: Cause,
    ) -> Self {
        let details = Details {
            tls: session.tls_error().cloned(),
            untrusted: session.untrusted_text().map(|text| text.untrusted_octets().into()),
        };
        Self::Session(Failure { error, details: Some(Box::new(details)) })
    }

    /// The failure of `session` after its transport failed with `lost`, if it did: that is the
    /// reason for an end of the transport, and not for what the peer said before.
    pub(crate) fn of_lost<N: Negotiate, I: Storage, O: Storage>(
        session: &Session<N, I, O>,
        error: Cause,
        lost: Option<Self>,
    ) -> Self {
        match (error, lost) {
            (Cause::Closed | Cause::ClosedInHandshake | Cause::Truncated, Some(lost)) => lost,
            _ => Self::of(session, error),
        }
    }
}

/// A submission that broke, with what is known of each recipient.
#[cfg(feature = "rustls")]
#[derive(Debug)]
pub struct Broken<E> {
    /// Why.
    pub error: Error<E>,
    /// What is known: [`Outcome::Unknown`](starttls::submission::Outcome::Unknown) for those who
    /// may have got the message.
    pub report: Box<Report>,
}

#[cfg(feature = "rustls")]
impl<E> Broken<E> {
    pub(crate) fn new(error: Error<E>, report: Report) -> Self {
        Self { error, report: Box::new(report) }
    }
}

#[cfg(feature = "rustls")]
impl<E: fmt::Display> fmt::Display for Broken<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

#[cfg(feature = "rustls")]
impl<E: core::error::Error> core::error::Error for Broken<E> {}
