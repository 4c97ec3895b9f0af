//! Every way this crate can fail, told apart by who erred.
//!
//! | variant | who erred | what to do |
//! |---|---|---|
//! | [`Error::PeerRefused`] | the peer said no, by the rules | report it, or go on in plaintext if the policy allows |
//! | [`Error::PeerMisbehaved`] | the peer broke the protocol, or someone in the middle did | close the transport |
//! | [`Error::Misuse`] | the caller | fix the program or its input |
//! | [`Error::OutputFull`] | nobody | send what is in the buffer and call again |
//! | [`Error::Tls`] | the TLS layer, either side | close the transport; the details stay with the session |
//! | [`Error::Unauthenticated`] | nobody: the policy is not met | send no credentials, or verify the peer |
//! | [`Error::Closed`], [`Error::ClosedInHandshake`], [`Error::Truncated`] | the transport | nothing more will come |
//!
//! All but `OutputFull` and `Misuse` are final: the machine that returned one returns it again.

use core::fmt;

/// Any failure of this crate. `Copy`, without text: what the peer wrote is reached through
/// accessors that call it untrusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The output buffer has no room for the next message. Nothing changed: send what it holds,
    /// then call again with more room.
    OutputFull,
    /// The peer declined the upgrade in the way its protocol provides.
    PeerRefused(Refusal),
    /// The peer, or someone between, broke the protocol.
    PeerMisbehaved(Misbehaviour),
    /// The caller asked for something that cannot be done.
    Misuse(Misuse),
    /// The TLS layer failed.
    Tls(TlsError),
    /// Credentials would go to a peer that was not verified; why it was not.
    Unauthenticated(TlsError),
    /// The peer ended the connection before the upgrade was agreed, or, cleanly, before it had
    /// answered.
    Closed,
    /// The transport ended, or close_notify came, in the TLS handshake.
    ClosedInHandshake,
    /// The transport ended without close_notify: what was read may be cut short
    /// (RFC 8446 §6.1).
    Truncated,
}

/// How a peer declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refusal {
    /// What was declined.
    pub kind: RefusalKind,
    /// The protocol's numeric code, or 0 where it has none.
    pub code: u16,
    /// Whether the peer says that a later try may succeed (4yz and its like).
    pub temporary: bool,
}

impl Refusal {
    pub(crate) const fn new(kind: RefusalKind, code: u16) -> Self {
        Self { kind, code, temporary: matches!(code, 400..=499) }
    }

    /// A refusal in a protocol without numbers, which says by other means whether to try again.
    pub(crate) const fn without_code(kind: RefusalKind, temporary: bool) -> Self {
        Self { kind, code: 0, temporary }
    }
}

/// What a peer declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RefusalKind {
    /// The service itself, in its greeting.
    Service,
    /// The peer speaks the protocol without extensions, so there is no upgrade to ask for.
    NotOffered,
    /// The request to upgrade.
    Upgrade,
    /// What a client asks right behind the hand-over, inside TLS.
    Inside,
    /// Server side: the client went on, or left, without asking for the upgrade.
    NotAsked,
}

/// How the peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Misbehaviour {
    /// Octets stood behind the message that ends the negotiation: injected plaintext.
    BytesAfterUpgrade,
    /// An answer stood there before the question was asked.
    Unsolicited,
    /// A message is longer than the protocol allows.
    FrameTooLong,
    /// A reply has more lines, or the negotiation more messages, than any honest peer sends.
    TooManyFrames,
    /// A line ends in a bare LF, or holds a bare CR.
    BareLineEnd,
    /// A line holds a NUL octet.
    Nul,
    /// A message does not follow the grammar.
    Malformed,
    /// The lines of one reply carry different codes.
    MixedReply,
    /// A well-formed reply that is no answer to what was asked; the code it carried.
    UnexpectedReply(u16),
    /// A greeting inside TLS where the protocol has none, or none where it must have one.
    Greeting,
    /// A server's proof of knowing the password does not verify.
    ServerProof,
    /// A server asks for fewer rounds of password hashing than are safe, or for more than the
    /// caller's ceiling; the number it asked for.
    Iterations(u32),
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Misuse {
    /// The receive buffer is smaller than the longest message the protocol allows, or than the
    /// TLS record that arrives and the records of the same handshake message before it; or the
    /// send buffer is smaller than a session needs. The octets it has to hold at least.
    BufferTooSmall(usize),
    /// More octets were reported as received, transmitted or consumed than there were.
    Count,
    /// A verb was used in a phase that does not have it.
    Phase,
    /// A name is empty, too long, or holds octets its place does not allow.
    Name,
    /// An address is empty, too long, or holds octets an SMTP path does not allow.
    Address,
    /// A credential is empty, too long, or holds CR, LF or NUL.
    Credential,
    /// A line that would be sent holds CR, LF or NUL, or is too long.
    Line,
    /// A time before 1970 or after 9999, or a zone of a day or more.
    Date,
    /// A mail without recipients.
    NoRecipients,
    /// A mail with more recipients than one transaction takes here.
    TooManyRecipients,
    /// The message is not what was declared: its size differs.
    DeclaredSize,
    /// The message is not what was declared: it holds octets above 127.
    DeclaredSevenBit,
    /// A TLS configuration this crate does not accept: early data, or a missing protocol name.
    TlsConfig,
    /// The source of randomness failed.
    Randomness,
    /// The negotiation was not told that plaintext is allowed.
    PlaintextNotAllowed,
}

/// How TLS failed, as a value that fits a register; the session keeps the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate is past its validity.
    Expired,
    /// The peer's certificate is not valid yet; is the clock right?
    NotValidYet,
    /// The peer's certificate is for another name.
    WrongName,
    /// The peer's certificate does not lead to a trusted root.
    UnknownIssuer,
    /// The peer's key is not a pinned one, or a verifier of the application's own says no.
    BadPin,
    /// The peer's certificate fails in another way.
    Certificate,
    /// The peer sent no certificate where one is required.
    NoCertificate,
    /// No common version, cipher suite or group.
    Incompatible,
    /// The application protocols do not match (RFC 7301).
    Alpn,
    /// What came is no TLS record.
    NotTls,
    /// A record or message that TLS forbids.
    PeerMisbehaved,
    /// A record that does not authenticate.
    Decrypt,
    /// The peer sent this fatal alert (RFC 8446 §6.2).
    AlertReceived(u8),
    /// Anything else.
    Other,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputFull => f.write_str("the output buffer is full"),
            Self::PeerRefused(refusal) => refusal.fmt(f),
            Self::PeerMisbehaved(how) => how.fmt(f),
            Self::Misuse(how) => how.fmt(f),
            Self::Tls(how) => how.fmt(f),
            Self::Unauthenticated(why) => {
                write!(f, "no credentials for a peer that is not verified: {why}")
            }
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::ClosedInHandshake => {
                f.write_str("the connection was closed in the TLS handshake")
            }
            Self::Truncated => {
                f.write_str("the connection was closed without close_notify; data may be missing")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RefusalKind::Service => "the server refuses service",
            RefusalKind::NotOffered => "the server does not offer TLS",
            RefusalKind::Upgrade => "the server refused to start TLS",
            RefusalKind::Inside => "the server refused to go on inside TLS",
            RefusalKind::NotAsked => "the client did not ask for TLS",
        })?;
        match (self.code, self.temporary) {
            (0, true) => f.write_str(" (temporary: try again later)"),
            (0, false) => Ok(()),
            (code, true) => write!(f, " (code {code}, temporary: try again later)"),
            (code, false) => write!(f, " (code {code})"),
        }
    }
}

impl fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BytesAfterUpgrade => "octets were sent across the TLS boundary",
            Self::Unsolicited => "a reply came before its command was sent",
            Self::FrameTooLong => "a message is too long",
            Self::TooManyFrames => "a reply has too many lines",
            Self::BareLineEnd => "a line does not end in CR LF",
            Self::Nul => "a line holds a NUL octet",
            Self::Malformed => "a message is malformed",
            Self::MixedReply => "the lines of a reply have different codes",
            Self::UnexpectedReply(code) => return write!(f, "unexpected reply {code}"),
            Self::Greeting => "a greeting is missing, or stands where there must be none",
            Self::ServerProof => "the server does not know the password",
            Self::Iterations(n) => {
                return write!(f, "the server asks for {n} rounds of password hashing");
            }
        })
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BufferTooSmall(need) => {
                return write!(f, "a buffer is too small, {need} octets are needed");
            }
            Self::Count => "more octets were counted than there are",
            Self::Phase => "that cannot be done in this phase",
            Self::Name => "a name is empty, too long or holds forbidden octets",
            Self::Address => "an address is empty, too long or holds forbidden octets",
            Self::Credential => "a credential is empty, too long or holds forbidden octets",
            Self::Line => "a line is too long or holds forbidden octets",
            Self::Date => "a date cannot be written",
            Self::NoRecipients => "there are no recipients",
            Self::TooManyRecipients => "there are too many recipients for one mail",
            Self::DeclaredSize => "the message does not have its declared size",
            Self::DeclaredSevenBit => "the message holds 8-bit octets and was declared 7-bit",
            Self::TlsConfig => "the TLS configuration cannot be used",
            Self::Randomness => "the source of randomness failed",
            Self::PlaintextNotAllowed => "plaintext was not allowed",
        })
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the certificate has expired",
            Self::NotValidYet => "the certificate is not valid yet",
            Self::WrongName => "the certificate is for another name",
            Self::UnknownIssuer => "the certificate's issuer is not trusted",
            Self::BadPin => "the certificate is not the pinned one",
            Self::Certificate => "the certificate is not acceptable",
            Self::NoCertificate => "no certificate was presented",
            Self::Incompatible => "there is no common TLS version, cipher suite or group",
            Self::Alpn => "there is no common application protocol",
            Self::NotTls => "what the peer sent is not TLS",
            Self::PeerMisbehaved => "the peer broke the TLS protocol",
            Self::Decrypt => "a TLS record does not authenticate",
            Self::AlertReceived(alert) => return write!(f, "the peer sent TLS alert {alert}"),
            Self::Other => "TLS failed",
        })
    }
}

impl core::error::Error for Error {}

impl From<Misbehaviour> for Error {
    fn from(how: Misbehaviour) -> Self {
        Self::PeerMisbehaved(how)
    }
}

impl From<Misuse> for Error {
    fn from(how: Misuse) -> Self {
        Self::Misuse(how)
    }
}

impl From<TlsError> for Error {
    fn from(how: TlsError) -> Self {
        Self::Tls(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_temporary_refusal_says_so_with_and_without_a_code() {
        let refusal = |code, temporary| Refusal { kind: RefusalKind::Upgrade, code, temporary };
        for (refusal, text) in [
            (refusal(0, false), "the server refused to start TLS"),
            (refusal(0, true), "the server refused to start TLS (temporary: try again later)"),
            (refusal(580, false), "the server refused to start TLS (code 580)"),
            (
                refusal(431, true),
                "the server refused to start TLS (code 431, temporary: try again later)",
            ),
        ] {
            assert_eq!(refusal.to_string(), text);
        }
    }
}
