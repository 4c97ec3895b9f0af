//! STARTTLS for XMPP (RFC 6120 §5), between client and server and between servers, both roles.
//!
//! ```text
//! client   <stream> ──► <stream>, <features/> ──► <starttls/> ──► <proceed/> ──► TLS
//!              │            │                         │
//!              └────────────┴── <error>, </stream> ───┴──► <failure/> ──► refused, </stream>
//!
//! server   <stream> ──► <stream>, <features/> ──► <starttls/> ──► <proceed/> ──► TLS
//!              │                                      └── </stream> or anything else ──► refused
//!              └── no `to`, no version, another namespace ──► <error>, refused
//!
//! inside TLS
//! client   <stream> ──► <stream>, <features/> ──► ready
//!                           └── STARTTLS among them ──► how another port begins
//! server   <stream> ──► <stream>, <features/> ──► <starttls/> <failure/>, refused;
//!                                                 any other element is the application's
//! ```
//!
//! The client asks whether the features name STARTTLS or not, so that hiding it (CVE-2016-10027)
//! ends in a refusal and never in plaintext. Neither the stream's id nor its features survive:
//! [`InsideClient`] opens a new stream, without closing this one, and [`InsideServer`] answers it
//! with another id and without STARTTLS (RFC 6120 §5.4.3.3). Behind implicit TLS there is no other
//! beginning, so that the server has to wait for the client in either. The name to verify there
//! is the domain that was given here, never what DNS made of it (§13.7.2).

mod inside;
mod read;
mod stream;

#[cfg(feature = "alloc")]
use sha2::{Digest, Sha256};

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::{Machines, Names};
use crate::protocol::{Row, smtp};
use crate::wire::xml::{Token, is_space, markup};
use crate::wire::{Frame, MAX_LINE, Out};
pub use inside::{InsideClient, InsideServer};
use read::{Asked, FromClient, FromServer, Heard};
use stream::{Kind, SASL, VERSION, header};

const STARTTLS: &[u8] = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &[u8] = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const CLOSE: &[u8] = b"</stream:stream>";

/// Client to server.
pub static XMPP_CLIENT: Row = Row {
    name: "xmpp-client",
    aliases: &[],
    port: 5222,
    implicit: &[("xmpp-clients", 5223)],
    alpn: Some("xmpp-client"),
    specification: "RFC 6120",
    by_domain: true,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static XMPP_CLIENT_MACHINES: Machines = Machines {
    client: |names| Ok(alloc::boxed::Box::new(Client::to_server(names.peer)?)),
    server: |names| {
        Ok(alloc::boxed::Box::new(Server::to_client(names.own, id(names, b"before")?)?))
    },
    inside_client: |names, _| Ok(alloc::boxed::Box::new(InsideClient::to_server(names.peer)?)),
    inside_server: |names, _| {
        let (id, features) = (id(names, b"inside")?, names.extensions);
        Ok(alloc::boxed::Box::new(InsideServer::to_client(names.own, id, features)?))
    },
};

/// Server to server.
pub static XMPP_SERVER: Row = Row {
    name: "xmpp-server",
    aliases: &[],
    port: 5269,
    implicit: &[("xmpp-servers", 5270)],
    alpn: Some("xmpp-server"),
    specification: "RFC 6120",
    by_domain: true,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static XMPP_SERVER_MACHINES: Machines = Machines {
    client: |names| Ok(alloc::boxed::Box::new(Client::server_to_server(names.own, names.peer)?)),
    server: |names| {
        Ok(alloc::boxed::Box::new(Server::server_to_server(names.own, id(names, b"before")?)?))
    },
    inside_client: |names, _| {
        Ok(alloc::boxed::Box::new(InsideClient::server_to_server(names.own, names.peer)?))
    },
    inside_server: |names, _| {
        let (id, features) = (id(names, b"inside")?, names.extensions);
        Ok(alloc::boxed::Box::new(InsideServer::server_to_server(names.own, id, features)?))
    },
};

/// The id of one stream of the two a connection has. Neither tells the other: whoever read the
/// first, in plaintext, cannot guess the second (RFC 6120 §4.7.3, §5.4.3.3).
#[cfg(feature = "alloc")]
fn id(names: Names<'_>, stream: &[u8]) -> Result<[u8; 16], Error> {
    let random = names.random.ok_or(Misuse::Randomness)?;
    let digest: [u8; 32] =
        Sha256::new().chain_update(random).chain_update(stream).finalize().into();
    digest.first_chunk().copied().ok_or(Misuse::Randomness.into())
}

/// A domain that can stand in an attribute as it is: visible ASCII (an internationalised one in its
/// A-labels), 1 to 255 octets.
fn check_domain(domain: &str) -> Result<(), Error> {
    smtp::check_name(domain)?;
    match domain.contains(['<', '>', '&', '\'', '"']) {
        true => Err(Misuse::Name.into()),
        false => Ok(()),
    }
}

/// Who opens a stream, and to whom.
#[derive(Debug)]
struct Initiator<'a> {
    to: &'a str,
    from: &'a str,
    kind: Kind,
}

impl<'a> Initiator<'a> {
    fn new(kind: Kind, from: &'a str, to: &'a str) -> Result<Self, Error> {
        check_domain(from)?;
        check_domain(to)?;
        Ok(Self { to, from, kind })
    }

    /// The header of a stream.
    fn open(&self, out: &mut Out<'_>) -> Result<(), Error> {
        header(self.kind, out)?;
        out.put(&[b" to='", self.to.as_bytes(), b"'"])?;
        // A client says who it is inside TLS only, and here nobody knows (RFC 6120 §4.7.1).
        if self.kind == Kind::Server {
            out.put(&[b" from='", self.from.as_bytes(), b"'"])?;
        }
        out.put(&[VERSION])
    }
}

/// The client's side: the initiating entity, be it a client or a server.
#[derive(Debug)]
pub struct Client<'a> {
    us: Initiator<'a>,
    server: FromServer,
    plaintext: bool,
}

impl<'a> Client<'a> {
    /// A client of the server for the domain `to`.
    ///
    /// # Errors
    /// [`Misuse::Name`] if that is empty, over 255 octets, not visible ASCII, or holds one of
    /// `<>&'"`.
    pub fn to_server(to: &'a str) -> Result<Self, Error> {
        Self::of(Kind::Client, to, to)
    }

    /// A server for the domain `from`, as the client of the server for the domain `to`.
    ///
    /// # Errors
    /// As [`to_server`](Self::to_server), for either domain.
    pub fn server_to_server(from: &'a str, to: &'a str) -> Result<Self, Error> {
        Self::of(Kind::Server, from, to)
    }

    fn of(kind: Kind, from: &'a str, to: &'a str) -> Result<Self, Error> {
        let us = Initiator::new(kind, from, to)?;
        Ok(Self { us, server: FromServer::default(), plaintext: false })
    }

    /// `<failure/>`, which the end of the stream follows (RFC 6120 §5.4.2.2).
    fn declined<T>(&self, behind: &[u8], out: &mut Out<'_>) -> Result<T, Error> {
        let behind = if is_end(behind) { &[] } else { behind };
        self.refused(Refusal::new(RefusalKind::Upgrade, 0), behind, out)
    }

    /// The end of the stream, for plaintext too (RFC 6120 §4.9.1.1).
    fn ended<T>(&self, temporary: bool, out: &mut Out<'_>) -> Result<T, Error> {
        self.refused(Refusal::without_code(RefusalKind::Service, temporary), &[], out)
    }

    /// Refused: where the policy requires TLS, all that is left is to close the stream.
    fn refused<T>(&self, why: Refusal, behind: &[u8], out: &mut Out<'_>) -> Result<T, Error> {
        if self.plaintext {
            check_behind(behind)?;
        } else {
            out.put(&[CLOSE])?;
        }
        Err(Error::PeerRefused(why))
    }
}

impl Negotiate for Client<'_> {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        self.us.kind.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        self.us.open(out)?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.server.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (server, heard) = self.server.next(frame)?;
        let next = match heard {
            Heard::More | Heard::Starttls => Next::Frame,
            Heard::Old => self.refused(Refusal::new(RefusalKind::NotOffered, 0), behind, out)?,
            Heard::Features => {
                check_behind(behind)?;
                out.put(&[STARTTLS])?;
                Next::Frame
            }
            Heard::Proceed => Next::Tls,
            Heard::Failure => self.declined(behind, out)?,
            Heard::Ended(temporary) => self.ended(temporary, out)?,
        };
        self.server = server;
        Ok(next)
    }
}

/// Who answers a stream, and by which id.
#[derive(Debug)]
struct Receiver<'a> {
    name: &'a str,
    id: [u8; 16],
    kind: Kind,
}

impl<'a> Receiver<'a> {
    fn new(kind: Kind, name: &'a str, id: [u8; 16]) -> Result<Self, Error> {
        check_domain(name)?;
        Ok(Self { name, id, kind })
    }

    /// The header of the stream the other way, to whoever the client says it is (§4.7.2).
    fn open(&self, theirs: Token<'_>, out: &mut Out<'_>) -> Result<(), Error> {
        header(self.kind, out)?;
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
        let id = self.id.map(|octet| [digit(octet >> 4), digit(octet & 15)]);
        out.put(&[b" from='", self.name.as_bytes(), b"' id='", id.as_flattened(), b"'"])?;
        if let Some(from) = theirs.attributes().find(|one| one.name.is("", "from")) {
            let mut parts = from.value.as_bytes().split(|&octet| octet == b'/');
            let bare = parts.next().unwrap_or_default();
            let quote = [from.quote as u8];
            out.put(&[b" to=", &quote, bare, &quote])?;
        }
        out.put(&[b" xml:lang='en'", VERSION])
    }

    /// What ends a stream (RFC 6120 §4.9).
    fn error(&self, condition: &str, out: &mut Out<'_>) -> Result<(), Error> {
        let streams: &[u8] = b" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        out.put(&[b"<stream:error><", condition.as_bytes(), streams])
    }
}

/// The server's side: the receiving entity.
#[derive(Debug)]
pub struct Server<'a> {
    us: Receiver<'a>,
    client: FromClient,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A server for clients, of the domain `name`, whatever domain a client is looking for. The
    /// stream's id is made of `id`, which nobody can guess (RFC 6120 §4.7.3).
    ///
    /// # Errors
    /// [`Misuse::Name`] as for [`Client::to_server`].
    pub fn to_client(name: &'a str, id: [u8; 16]) -> Result<Self, Error> {
        Self::of(Kind::Client, name, id)
    }

    /// The same for other servers.
    ///
    /// # Errors
    /// As [`to_client`](Self::to_client).
    pub fn server_to_server(name: &'a str, id: [u8; 16]) -> Result<Self, Error> {
        Self::of(Kind::Server, name, id)
    }

    fn of(kind: Kind, name: &'a str, id: [u8; 16]) -> Result<Self, Error> {
        let us = Receiver::new(kind, name, id)?;
        Ok(Self { us, client: FromClient::default(), plaintext: false })
    }

    fn features(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let starttls: &[u8] = match self.plaintext {
            true => STARTTLS,
            false => b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>",
        };
        out.put(&[b"<stream:features>", starttls, b"</stream:features>"])
    }

    /// Closes the stream behind `last` words.
    fn goodbye<T>(last: &[&[u8]], out: &mut Out<'_>) -> Result<T, Error> {
        out.put(last)?;
        out.put(&[CLOSE])?;
        Err(NOT_ASKED)
    }

    /// A stream error, unless plaintext is allowed: then what came is the application's.
    fn refused<T>(&self, condition: &str, out: &mut Out<'_>) -> Result<T, Error> {
        if self.plaintext {
            return Err(NOT_ASKED);
        }
        self.us.error(condition, out)?;
        Self::goodbye(&[], out)
    }
}

const NOT_ASKED: Error = Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0));

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        self.us.kind.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        markup(input, scanned, false)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (client, asked) = self.client.next(self.us.kind, frame)?;
        let next = match asked {
            Asked::More => Next::Frame,
            Asked::Stream(header, None) => {
                self.us.open(header, out)?;
                self.features(out)?;
                Next::Frame
            }
            Asked::Stream(_, Some(condition)) if self.plaintext => self.refused(condition, out)?,
            Asked::Stream(header, Some(condition)) => {
                // An error is said in a stream, too (RFC 6120 §4.9.1.2).
                self.us.open(header, out)?;
                self.refused(condition, out)?
            }
            Asked::Starttls => {
                out.put(&[PROCEED])?;
                Next::Tls
            }
            Asked::End => Self::goodbye(&[], out)?,
            // RFC 6120 §6.5.4.
            Asked::Auth if !self.plaintext => {
                let sasl = SASL.as_bytes();
                Self::goodbye(
                    &[b"<failure xmlns='", sasl, b"'><encryption-required/></failure>"],
                    out,
                )?
            }
            Asked::Auth | Asked::Other => self.refused("policy-violation", out)?,
        };
        self.client = client;
        Ok(next)
    }
}

/// White space may stand between any two elements; an answer may not, before the question.
fn check_behind(behind: &[u8]) -> Result<(), Error> {
    match behind.iter().all(|&octet| is_space(octet.into())) {
        true => Ok(()),
        false => Err(Misbehaviour::Unsolicited.into()),
    }
}

/// Whether this is nothing but an end tag, or the front of one.
fn is_end(behind: &[u8]) -> bool {
    let behind = behind.trim_ascii();
    let end = behind == b"<" || behind.starts_with(b"</");
    end && !behind.strip_suffix(b">").unwrap_or(behind).contains(&b'>')
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::negotiate::{AllowPlaintext, Negotiation};
    use crate::protocol::vectors::play;

    const ID: [u8; 16] = *b"\x00\x09\x0a\x0f\x10\x9a\xa9\xff01234567";
    const HEADER: &str = "<stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' from='localhost' version='1.0'>";
    const FEATURES: &str =
        "<stream:features><a><b/>text</a><starttls xmlns='x'></starttls></stream:features>";
    const OPENED: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>";
    const ASKED: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>\
        <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<(), Error>) {
        let machine = Client::to_server("localhost").unwrap();
        assert_eq!(play(Negotiation::new(machine), input), (sent.into(), end));
    }

    #[track_caller]
    fn opportunist(input: &[&str], sent: &str, end: Result<(), Error>) {
        let machine = Client::to_server("localhost").unwrap();
        let negotiation = Negotiation::or_plaintext(machine, AllowPlaintext);
        assert_eq!(play(negotiation, input), (sent.into(), end));
    }

    fn refused(kind: RefusalKind) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal::new(kind, 0)))
    }

    #[test]
    fn client_reaches_tls() {
        let proceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        client(&[HEADER, FEATURES, proceed], ASKED, Ok(()));
        client(&[HEADER, "\n<stream:features/>\n", "\n", proceed], ASKED, Ok(()));
        let long = proceed.replace("/>", "> </proceed>");
        client(&["<?xml version='1.0'?>\n", HEADER, FEATURES, &long], ASKED, Ok(()));
        let prefixed = "<t:proceed xmlns:t=\"urn:ietf:params:xml:ns:xmpp-tls\"></t:proceed>";
        client(&[HEADER, FEATURES, prefixed], ASKED, Ok(()));
        let header = HEADER
            .replace("version", "xmlns:t='urn:ietf:params:xml:ns:xmpp-tls' version")
            .replace("stream:", "s:")
            .replace("xmlns:stream", "xmlns:s");
        client(&[&header, "<s:features></s:features>", "<t:proceed/>"], ASKED, Ok(()));
        let bare = "<stream xmlns='http://etherx.jabber.org/streams' version='1.0'>";
        client(&[bare, "<features></features>", proceed], ASKED, Ok(()));
    }

    #[test]
    fn client_refusals_are_typed() {
        let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let closed = format!("{ASKED}</stream:stream>");
        client(&[HEADER, FEATURES, failure], &closed, refused(RefusalKind::Upgrade));
        let (both, faked) =
            (format!("{failure}</stream:stream> "), format!("{failure}</a><message/>"));
        opportunist(&[HEADER, FEATURES, failure], ASKED, refused(RefusalKind::Upgrade));
        opportunist(&[HEADER, FEATURES, &both], ASKED, refused(RefusalKind::Upgrade));
        let half = format!("{failure}<");
        opportunist(&[HEADER, FEATURES, &half], ASKED, refused(RefusalKind::Upgrade));
        let unsolicited = Err(Misbehaviour::Unsolicited.into());
        opportunist(&[HEADER, FEATURES, &faked], ASKED, unsolicited);
    }

    #[test]
    fn client_reads_stream_errors() {
        for (condition, temporary) in [
            ("reset", true),
            ("resource-constraint", true),
            ("system-shutdown", true),
            ("host-unknown", false),
        ] {
            let error = format!("<stream:error><{condition} xmlns='x'/></stream:error>");
            let why = Refusal { temporary, ..Refusal::new(RefusalKind::Service, 0) };
            let closed = format!("{OPENED}</stream:stream>");
            client(&[HEADER, &error], &closed, Err(Error::PeerRefused(why)));
            opportunist(&[HEADER, &error], OPENED, Err(Error::PeerRefused(why)));
        }
    }

    #[test]
    fn client_compares_versions() {
        for (version, end) in [
            ("1.0", Err(Error::Closed)),
            ("01.00", Err(Error::Closed)),
            ("2.7", Err(Error::Closed)),
            ("0.9", refused(RefusalKind::NotOffered)),
            ("1", Err(Misbehaviour::Malformed.into())),
            ("1.", Err(Misbehaviour::Malformed.into())),
            ("+1.0", Err(Misbehaviour::Malformed.into())),
            ("99999.0", Err(Misbehaviour::Malformed.into())),
        ] {
            let header = HEADER.replace("'1.0'", &format!("'{version}'"));
            opportunist(&[&header], OPENED, end);
        }
        opportunist(
            &[&HEADER.replace("version='1.0'", "")],
            OPENED,
            refused(RefusalKind::NotOffered),
        );
    }

    const GREETING: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
        xmlns:stream='http://etherx.jabber.org/streams' from='localhost' \
        id='00090a0f109aa9ff3031323334353637' xml:lang='en' version='1.0'>";
    const REQUIRED: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
        <required/></starttls></stream:features>";

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<(), Error>) {
        let machine = Server::to_client("localhost", ID).unwrap();
        assert_eq!(play(Negotiation::new(machine), input), (sent.into(), end));
    }

    #[test]
    fn server_reaches_tls() {
        let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
        let sent =
            format!("{GREETING}{REQUIRED}<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        server(&[OPENED, starttls], &sent, Ok(()));
        let long = starttls.replace("/>", "> </starttls>");
        server(&["\n", OPENED.trim_start_matches("<?xml version='1.0'?>"), &long], &sent, Ok(()));
        let echo = sent.replace(" xml:lang", " to=\"a'b@c\" xml:lang");
        let header = OPENED.replace(" to=", " from=\"a'b@c/d\" to=");
        server(&[&header, starttls], &echo, Ok(()));
    }

    #[test]
    fn server_says_what_is_wrong() {
        let error = |condition: &str| {
            format!(
                "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 </stream:error></stream:stream>"
            )
        };
        for (there, instead, condition) in [
            ("jabber:client", "jabber:server", "invalid-namespace"),
            ("etherx.jabber.org", "example.org", "invalid-namespace"),
            (" to='localhost'", "", "improper-addressing"),
            (" to='localhost'", " to=''", "improper-addressing"),
            (" version='1.0'>", ">", "unsupported-version"),
            (" version='1.0'>", " version='0.9'>", "unsupported-version"),
        ] {
            let header = OPENED.replace(there, instead);
            let sent = format!("{GREETING}{}", error(condition));
            server(&[&header], &sent, refused(RefusalKind::NotAsked));
            let machine = Server::to_client("localhost", ID).unwrap();
            let negotiation = Negotiation::or_plaintext(machine, AllowPlaintext);
            assert_eq!(play(negotiation, &[&header]), ("".into(), refused(RefusalKind::NotAsked)));
        }
        let sent = format!("{GREETING}{REQUIRED}{}", error("policy-violation"));
        server(&[OPENED, "<iq type='get' id='1'>"], &sent, refused(RefusalKind::NotAsked));
        server(&[OPENED, "<starttls/>"], &sent, refused(RefusalKind::NotAsked));
        let bye = format!("{GREETING}{REQUIRED}</stream:stream>");
        server(&[OPENED, "</stream:stream>"], &bye, refused(RefusalKind::NotAsked));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
        let sent = format!(
            "{GREETING}{REQUIRED}<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <encryption-required/></failure></stream:stream>"
        );
        server(&[OPENED, auth], &sent, refused(RefusalKind::NotAsked));
    }

    #[test]
    fn names_are_checked() {
        for bad in ["", "a b", "a\0", "b\u{fc}cher.example", "a<", "a>", "a&", "a'", "a\""] {
            let error = Some(Misuse::Name.into());
            assert_eq!(Client::to_server(bad).err(), error, "{bad:?}");
            assert_eq!(Client::server_to_server(bad, "a").err(), error, "{bad:?}");
            assert_eq!(Client::server_to_server("a", bad).err(), error, "{bad:?}");
            assert_eq!(Server::to_client(bad, ID).err(), error, "{bad:?}");
            assert_eq!(Server::server_to_server(bad, ID).err(), error, "{bad:?}");
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn the_ids_of_two_streams_are_strangers() {
        use crate::protocol::scheme;
        let names = |random| Names { random: Some(random), ..Names::new("localhost") };
        let ids = [ID, [0; 16]].map(|random| {
            [id(names(random), b"before").unwrap(), id(names(random), b"inside").unwrap()]
        });
        let [[a, b], [c, d]] = ids;
        assert!(a != ID && b != ID && a != b && a != c && b != d && a != d);
        // And each machine of the table has its own.
        for name in ["xmpp-client", "xmpp-server"] {
            let scheme = scheme(name).unwrap();
            let opened = OPENED.replace("jabber:client", &name.replace("xmpp-", "jabber:"));
            let machine = scheme.server(names(ID)).unwrap();
            let (said, _) = play(Negotiation::new(machine), &[&opened]);
            let (mut machine, mut room) = (scheme.inside_server(names(ID)).unwrap(), [0; 1024]);
            let mut out = Out::new(&mut room);
            let frame = opened.trim_start_matches("<?xml version='1.0'?>");
            machine.process(frame.as_bytes(), b"", &mut out).unwrap();
            let inside = core::str::from_utf8(out.octets()).unwrap();
            let ids = [&*said, inside].map(|said| said.split_once(" id='").unwrap().1.get(..33));
            assert!(ids[0] != ids[1] && ids.iter().all(|id| id.unwrap().ends_with('\'')));
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn a_server_needs_randomness() {
        use crate::protocol::{Names, scheme};
        for name in ["xmpp-client", "xmpp-server"] {
            let (scheme, names) = (scheme(name).unwrap(), Names::new("localhost"));
            assert_eq!(scheme.server(names).err(), Some(Misuse::Randomness.into()));
            assert_eq!(scheme.inside_server(names).err(), Some(Misuse::Randomness.into()));
            let names = Names { random: Some(ID), ..names };
            assert!(scheme.server(names).is_ok() && scheme.inside_server(names).is_ok());
            assert!(scheme.client(names).is_ok());
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client<'_>>() <= 128 && size_of::<Server<'_>>() <= 128);
    }
}
