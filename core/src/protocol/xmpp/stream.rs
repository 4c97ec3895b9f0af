//! The header of a stream, and the namespaces in it (RFC 6120 §4.7, §4.8).

use heapless::String;

use super::{XMPP_CLIENT, XMPP_SERVER};
use crate::error::{Error, Misbehaviour};
use crate::protocol::Row;
use crate::wire::Out;
use crate::wire::xml::Token;

const STREAMS: &str = "http://etherx.jabber.org/streams";
const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
pub(super) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// Who talks to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Client,
    Server,
}

impl Kind {
    pub(super) fn row(self) -> &'static Row {
        match self {
            Self::Client => &XMPP_CLIENT,
            Self::Server => &XMPP_SERVER,
        }
    }

    /// The namespace of the stream's content (RFC 6120 §4.8.2).
    pub(super) fn content(self) -> &'static str {
        match self {
            Self::Client => "jabber:client",
            Self::Server => "jabber:server",
        }
    }
}

/// The last attribute of a header.
pub(super) const VERSION: &[u8] = b" version='1.0'>";

/// The header of a stream, up to the attributes that differ (RFC 6120 §4.7).
pub(super) fn header(kind: Kind, out: &mut Out<'_>) -> Result<(), Error> {
    let content = kind.content().as_bytes();
    out.put(&[b"<?xml version='1.0'?><stream:stream xmlns='", content])?;
    out.put(&[b"' xmlns:stream='http://etherx.jabber.org/streams'"])
}

/// The major version of XMPP in a stream's header; none is 0 (RFC 6120 §4.7.5).
pub(super) fn version(header: Token<'_>) -> Result<u16, Error> {
    let Some(version) = header.value("", "version") else { return Ok(0) };
    let number = |text: &str| match text.bytes().all(|octet| octet.is_ascii_digit()) {
        true => text.parse::<u16>().ok(),
        false => None,
    };
    let dot = version.bytes().position(|octet| octet == b'.').unwrap_or(version.len());
    let parts = version.split_at_checked(dot);
    let numbers = parts.and_then(|(major, minor)| {
        let minor = minor.strip_prefix('.').and_then(number);
        number(major).zip(minor)
    });
    numbers.map(|(major, _)| major).ok_or(Misbehaviour::Malformed.into())
}

/// The namespaces that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Streams,
    Tls,
    Sasl,
    Other,
}

impl Space {
    fn of(namespace: &str) -> Self {
        match namespace {
            STREAMS => Self::Streams,
            TLS => Self::Tls,
            SASL => Self::Sasl,
            _ => Self::Other,
        }
    }
}

/// A prefix, at most three times as long as the one in use, `stream`.
type Prefix = String<18, u8>;

/// The prefixes that a stream's header binds, for the elements in the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    streams: Option<Prefix>,
    tls: Option<Prefix>,
}

impl Scope {
    /// What this header of a stream binds.
    pub(super) fn opened(header: Token<'_>) -> Result<Self, Error> {
        let mut scope = Self::default();
        for attribute in header.attributes() {
            let bound = match (attribute.name.prefix, attribute.name.local) {
                ("xmlns", prefix) => prefix,
                ("", "xmlns") => "",
                _ => continue,
            };
            let kept = match Space::of(attribute.value) {
                Space::Streams => &mut scope.streams,
                Space::Tls => &mut scope.tls,
                Space::Sasl | Space::Other => continue,
            };
            *kept = Some(Prefix::try_from(bound).map_err(|_| Misbehaviour::Malformed)?);
        }
        Ok(scope)
    }

    /// The namespace of an element in the stream, or of the stream.
    pub(super) fn space(&self, token: Token<'_>) -> Space {
        let prefix = Some(token.name.prefix);
        match token.own_namespace() {
            Some(namespace) => Space::of(namespace),
            None if self.streams.as_deref() == prefix => Space::Streams,
            None if self.tls.as_deref() == prefix => Space::Tls,
            None => Space::Other,
        }
    }
}
