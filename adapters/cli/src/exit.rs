//! What went wrong, in one line on stderr and one number: the only place that knows the numbers.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use starttls::Error;
use starttls::error::{RefusalKind, TlsError};
use starttls::tls::TlsFailure;

use crate::text;

/// Done.
pub(crate) const DONE: u8 = 0;
/// A usage error, or an unreadable file.
pub(crate) const USAGE: u8 = 2;
/// No connection, a broken one, or no time left.
pub(crate) const NETWORK: u8 = 3;
/// The peer does not offer TLS, or refused it.
pub(crate) const REFUSED: u8 = 4;
/// The peer misbehaved.
pub(crate) const MISBEHAVED: u8 = 5;
/// TLS failed.
pub(crate) const TLS: u8 = 6;

/// The policy is not met.
pub(crate) const POLICY: u8 = 7;
/// Login, sender, recipient or message were refused for good.
pub(crate) const NEVER: u8 = 8;
/// They were refused for now.
pub(crate) const LATER: u8 = 9;

/// The status for an error of the machines.
pub(crate) fn code(error: Error) -> u8 {
    match error {
        Error::PeerRefused(_) => REFUSED,
        // Room was given for everything that is legal: what needs more is beyond the limits.
        Error::PeerMisbehaved(_) | Error::Misuse(starttls::error::Misuse::BufferTooSmall(_)) => {
            MISBEHAVED
        }
        Error::Tls(_) => TLS,
        Error::Unauthenticated(_) => POLICY,
        Error::Misuse(_) => USAGE,
        _ => NETWORK,
    }
}

/// The same as a word, for machines to read.
pub(crate) fn outcome(code: u8) -> &'static str {
    match code {
        DONE => "secured",
        USAGE => "usage",
        REFUSED => "refused",
        MISBEHAVED => "misbehaved",
        TLS => "tls-failed",
        POLICY => "policy",
        NEVER => "rejected",
        LATER => "deferred",
        _ => "unreachable",
    }
}

/// An end that is not success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(USAGE, text)
    }

    pub(crate) fn network(what: &str, error: &io::Error) -> Self {
        Self::new(NETWORK, format!("{what}: {}", io_text(error)))
    }

    /// No channel in time.
    pub(crate) fn late(limit: Duration) -> Self {
        let seconds = limit.as_secs_f64();
        let text = format!(
            "the time ran out: no channel within {seconds} s; --timeout SECONDS allows more"
        );
        Self::new(NETWORK, text)
    }

    /// An error of the machines, with what TLS has to say of it, and what the peer had.
    pub(crate) fn session(
        error: Error,
        tls: Option<&TlsFailure>,
        untrusted: Option<&[u8]>,
    ) -> Self {
        let mut shown = error.to_string();
        if let Some(tls) = tls {
            shown.push_str(&format!(" ({})", text::escape(tls.to_string().as_bytes())));
        }
        if let Some(octets) = untrusted {
            let said = text::escape_lines(octets);
            shown.push_str(&format!("; untrusted text, sent in plaintext: \"{said}\""));
        }
        if let Some(advice) = advice(error) {
            shown.push_str("; ");
            shown.push_str(advice);
        }
        Self::new(code(error), shown)
    }

    /// A machine that cannot be made.
    pub(crate) fn machine(error: Error) -> Self {
        Self::session(error, None, None)
    }

    /// An error of a stream: the machine's if there is one inside, else the transport's.
    pub(crate) fn stream(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(&error) => Self::session(error, None, None),
            None => Self::network("the connection broke", error),
        }
    }

    /// Says first what it was that failed.
    #[must_use]
    pub(crate) fn at(self, what: impl fmt::Display) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }

    /// Prints the line and yields the number.
    pub(crate) fn report(&self) -> u8 {
        note(&self.text);
        self.code
    }
}

/// One line of ours on stderr.
pub(crate) fn note(text: &str) {
    complain(&format!("starttls: {text}"));
}

/// One line on stderr, written at once, so that lines of other processes do not cut it. Nobody may
/// be listening, and then there is nobody to tell.
pub(crate) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Results on stdout.
///
/// # Errors
/// [`NETWORK`], if nobody takes them.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let result = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    result.map_err(|error| Failure::network("standard output", &error))
}

/// [`print`] for what is said of a thing that was done: whoever should read it may be gone, and that
/// changes nothing of it.
pub(crate) fn tell(text: &str) {
    if let Err(failure) = print(text) {
        failure.report();
    }
}

fn io_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "the time ran out".to_owned(),
        _ => text::escape(error.to_string().as_bytes()),
    }
}

/// What to do about it.
fn advice(error: Error) -> Option<&'static str> {
    Some(match error {
        Error::Tls(TlsError::UnknownIssuer) => "--ca FILE names other roots",
        Error::Tls(TlsError::WrongName) => "--name NAME expects another name",
        Error::Tls(TlsError::NotValidYet) => "is the clock right?",
        Error::Tls(TlsError::NotTls) => "does the peer speak TLS here?",
        Error::Tls(TlsError::Alpn) => "--no-alpn does without the protocol's name",
        Error::Closed => "does the peer speak this protocol here?",
        Error::PeerRefused(refusal) if refusal.temporary => return None,
        Error::PeerRefused(refusal) => match refusal.kind {
            RefusalKind::NotOffered | RefusalKind::Upgrade => {
                "nothing but the negotiation was sent; if it has a port for implicit TLS, use that"
            }
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use starttls::error::{Misbehaviour, Misuse, Refusal};

    fn refusal(kind: RefusalKind, code: u16) -> Error {
        Error::PeerRefused(Refusal { kind, code, temporary: (400..500).contains(&code) })
    }

    #[test]
    fn codes() {
        for (error, expected) in [
            (Error::Closed, 3),
            (Error::ClosedInHandshake, 3),
            (Error::Truncated, 3),
            (refusal(RefusalKind::Upgrade, 454), 4),
            (refusal(RefusalKind::Service, 554), 4),
            (refusal(RefusalKind::NotOffered, 500), 4),
            (Error::PeerMisbehaved(Misbehaviour::BytesAfterUpgrade), 5),
            (Error::PeerMisbehaved(Misbehaviour::UnexpectedReply(250)), 5),
            (Error::Misuse(Misuse::BufferTooSmall(70_000)), 5),
            (Error::Tls(TlsError::WrongName), 6),
            (Error::Tls(TlsError::AlertReceived(40)), 6),
            (Error::Unauthenticated(TlsError::WrongName), 7),
            (Error::Misuse(Misuse::Name), 2),
            (Error::Misuse(Misuse::NoRecipients), 2),
        ] {
            assert_eq!(code(error), expected, "{error:?}");
        }
    }

    #[test]
    fn errors_inside_streams_are_found() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, Error::Tls(TlsError::Decrypt));
        assert_eq!(Failure::stream(&inner).code, 6);
        let cut = io::Error::new(io::ErrorKind::UnexpectedEof, Error::Truncated);
        assert_eq!(Failure::stream(&cut).code, 3);
        assert_eq!(Failure::stream(&io::ErrorKind::ConnectionReset.into()).code, 3);
    }

    #[test]
    fn what_a_peer_said_is_escaped_and_marked() {
        let error = refusal(RefusalKind::Upgrade, 454);
        let failure = Failure::session(error, None, Some(b"454 \x1b[2Jno\r\n"));
        assert_eq!(
            failure.text,
            "the server refused to start TLS (code 454, temporary: try again later); \
             untrusted text, sent in plaintext: \"454 \\x1b[2Jno\""
        );
    }
}
