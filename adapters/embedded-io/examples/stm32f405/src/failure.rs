//! Every way a try can fail.

use starttls::error::{Error as Cause, Misuse, TlsError};
use starttls_embedded_io::Error;

use crate::{config, modem, uart};

/// Why a mail was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// The device is not provisioned as it has to be.
    Config(config::Error),
    /// The clock was never set: no certificate could be judged.
    Clock,
    /// The heap has not what a mail takes; the octets that are free.
    Heap(usize),
    /// The source of randomness failed.
    Randomness,
    /// The certificate of the authority cannot be used.
    Anchor,
    /// There is no connection.
    Modem(modem::Error),
    /// Octets were lost on the way to the modem.
    Uart(uart::Error),
    /// The session took too long: somebody went silent.
    TimedOut,
    /// The negotiation or TLS failed.
    Session(Cause),
    /// The server does not want to speak with the device; its code.
    NoService(u16),
    /// The server does not let the user in; its code.
    Login(u16),
    /// The server does not want the mail; its code.
    Refused(u16),
    /// The server does not offer what the mail needs.
    Lacks,
    /// The server left without having said what becomes of the mail.
    Unsent,
    /// The connection was lost when the mail was out and the answer was not back: it may have been
    /// delivered. Trying again may deliver it twice, under the same Message-ID.
    InDoubt,
    /// What cannot happen with this transport and this message.
    Other,
}

impl Failure {
    /// What is logged, with a number where there is one.
    pub fn text(&self) -> (&'static str, Option<u32>) {
        use modem::Error as M;
        let text = match *self {
            Self::Config(config::Error::Missing) => "configuration missing",
            Self::Config(config::Error::Malformed) => "configuration malformed",
            Self::Config(config::Error::Incomplete) => "configuration incomplete",
            Self::Clock => "clock not set",
            Self::Heap(free) => return ("heap too small", Some(free as u32)),
            Self::Randomness => "no randomness",
            Self::Anchor => "trust anchor malformed",
            Self::Modem(M::Silent) => "modem silent",
            Self::Modem(M::NoCarrier) => "modem no carrier",
            Self::Modem(M::Busy) => "modem busy",
            Self::Modem(M::NoDialtone) => "modem no dialtone",
            Self::Modem(M::NoAnswer) => "modem no answer",
            Self::Modem(M::Refused) => "modem refused",
            Self::Modem(M::Uart(error)) | Self::Uart(error) => match error {
                uart::Error::Overrun => "uart overrun",
                uart::Error::Framing => "uart framing",
            },
            Self::TimedOut => "timed out",
            Self::Session(cause) => return session(cause),
            Self::NoService(code) => return ("no service", Some(code.into())),
            Self::Login(code) => return ("login refused", Some(code.into())),
            Self::Refused(code) => return ("mail refused", Some(code.into())),
            Self::Lacks => "server lacks a feature",
            Self::Unsent => "mail not sent",
            Self::InDoubt => "mail in doubt",
            Self::Other => "other failure",
        };
        (text, None)
    }

    /// The exit status under an emulator.
    pub fn status(&self) -> u8 {
        match self {
            Self::Config(_) => 10,
            Self::Clock => 11,
            Self::Heap(_) => 12,
            Self::Anchor => 13,
            Self::Randomness => 14,
            Self::Modem(_) => 20,
            Self::Uart(_) => 21,
            Self::TimedOut => 22,
            Self::Session(Cause::Tls(_)) => 31,
            Self::Session(Cause::PeerRefused(_)) => 32,
            Self::Session(Cause::PeerMisbehaved(_)) => 33,
            Self::Session(Cause::Misuse(_)) => 34,
            Self::Session(_) => 30,
            Self::NoService(_) => 40,
            Self::Login(_) => 41,
            Self::Refused(_) => 42,
            Self::Lacks => 43,
            Self::Unsent => 44,
            Self::InDoubt => 45,
            Self::Other => 50,
        }
    }
}

impl From<&Error<uart::Error>> for Failure {
    fn from(error: &Error<uart::Error>) -> Self {
        match error {
            Error::Transport(error) => Self::Uart(*error),
            Error::TimedOut => Self::TimedOut,
            Error::Session(failure) => Self::Session(failure.error()),
            _ => Self::Other,
        }
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self::Session(cause)
    }
}

impl From<modem::Error> for Failure {
    fn from(error: modem::Error) -> Self {
        Self::Modem(error)
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Config(error)
    }
}

fn session(cause: Cause) -> (&'static str, Option<u32>) {
    let text = match cause {
        Cause::PeerRefused(refusal) => return ("upgrade refused", Some(refusal.code.into())),
        Cause::PeerMisbehaved(_) => "server misbehaved",
        Cause::Misuse(Misuse::BufferTooSmall(need)) => {
            return ("record larger than the buffer", Some(need as u32));
        }
        Cause::Misuse(Misuse::Randomness) => "no randomness",
        Cause::Misuse(_) => "configuration refused",
        Cause::Tls(how) => match how {
            TlsError::Expired => "certificate expired",
            TlsError::NotValidYet => "certificate not valid yet",
            TlsError::WrongName => "certificate for another name",
            TlsError::UnknownIssuer => "certificate not trusted",
            TlsError::BadPin => "certificate not the pinned one",
            TlsError::Certificate => "certificate not acceptable",
            TlsError::NoCertificate => "no certificate",
            TlsError::Incompatible => "nothing in common",
            TlsError::NotTls => "not TLS",
            TlsError::Decrypt => "record does not authenticate",
            TlsError::PeerMisbehaved => "TLS broken by the server",
            TlsError::AlertReceived(alert) => return ("alert received", Some(alert.into())),
            _ => "TLS failed",
        },
        Cause::Closed | Cause::ClosedInHandshake | Cause::Truncated => "connection ended",
        Cause::Unauthenticated(_) => "server not verified",
        _ => "session failed",
    };
    (text, None)
}
