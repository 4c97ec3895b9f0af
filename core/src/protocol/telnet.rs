//! The START_TLS option of telnet (draft-altman-telnet-starttls-02), both roles.
//!
//! ```text
//! client   WILL ──DO──► FOLLOWS ──FOLLOWS──► TLS
//!            └──DONT, WONT──► refused
//!
//! server   DO ──WILL──► ──FOLLOWS──► FOLLOWS ──► TLS
//!            └──WONT, DONT──► not asked
//!
//! inside TLS
//! client   ready at once
//! server   WILL DONT, DO WONT; anything else is the application's
//! ```
//!
//! Both sides ask at once; neither takes the other's question for more than the answer to its own
//! (RFC 854). Other options are declined, and text is dropped. A server says FOLLOWS behind the
//! client's, so that nothing can legally stand behind that. After TLS all options begin anew, but for this one:
//! [`InsideServer`] declines it.

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::telnet::{DO, DONT, Element, IAC, SB, SE, WILL, WONT, element};
use crate::wire::{Frame, MAX_LINE, Out};

/// Remote login.
pub static TELNET: Row = Row {
    name: "telnet",
    aliases: &[],
    port: 23,
    implicit: &[("telnets", 992)],
    alpn: None,
    specification: "draft-altman-telnet-starttls-02",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static TELNET_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |_| Ok(alloc::boxed::Box::new(Server::new())),
    // Either side may speak at any time.
    inside_client: |_, _| Ok(alloc::boxed::Box::new(crate::inside::Nothing::of(&TELNET))),
    inside_server: |_, _| Ok(alloc::boxed::Box::new(InsideServer::new())),
};

/// The option's number, and its one subcommand.
const START_TLS: u8 = 46;
const FOLLOWS: u8 = 1;

/// No octet of plaintext follows this.
const TLS_FOLLOWS: &[u8] = &[IAC, SB, START_TLS, FOLLOWS, IAC, SE];

/// The most elements read before TLS.
const MAX_ELEMENTS: u8 = 128;

/// What the elements of a stream come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Text,
    /// WILL, WONT, DO or DONT, and of which option.
    Option(u8, u8),
    Follows,
    Nothing,
}

/// What a stream is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Within {
    #[default]
    Nothing,
    /// A subnegotiation of START_TLS: begun, and with its subcommand.
    StartTls,
    Follows,
    /// One of another option.
    Other,
}

/// The peer's stream.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    within: Within,
    elements: u8,
}

impl Stream {
    /// Takes in the next element.
    fn next(&mut self, frame: &[u8]) -> Result<Event, Error> {
        if self.elements == MAX_ELEMENTS {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        self.elements += 1;
        let (within, event) = match (self.within, Element::parse(frame)) {
            (Within::Nothing, Element::Text(_)) => (Within::Nothing, Event::Text),
            (Within::Nothing, Element::Option(SB, START_TLS)) => (Within::StartTls, Event::Nothing),
            (Within::Nothing, Element::Option(SB, _)) => (Within::Other, Event::Nothing),
            (Within::Nothing, Element::Option(verb, option)) => {
                (Within::Nothing, Event::Option(verb, option))
            }
            (Within::Nothing, Element::Command(command)) if command != SE => {
                (Within::Nothing, Event::Nothing)
            }
            (Within::StartTls, Element::Text([FOLLOWS])) => (Within::Follows, Event::Nothing),
            (Within::Follows, Element::Command(SE)) => (Within::Nothing, Event::Follows),
            (Within::Other, Element::Text(_)) => (Within::Other, Event::Nothing),
            (Within::Other, Element::Command(SE)) => (Within::Nothing, Event::Nothing),
            _ => return Err(Misbehaviour::Malformed.into()),
        };
        self.within = within;
        Ok(event)
    }
}

/// Declines what the peer would do or have done.
fn decline(verb: u8, option: u8, out: &mut Out<'_>) -> Result<(), Error> {
    match verb {
        DO => out.put(&[&[IAC, WONT, option]]),
        WILL => out.put(&[&[IAC, DONT, option]]),
        // It was never done.
        _ => Ok(()),
    }
}

/// The same as [`element`], but of a text one octet: it is the application's at once, for no
/// command need ever follow.
fn element_or_octet(input: &[u8], scanned: usize) -> Result<Frame, Error> {
    match input.first() {
        Some(&octet) if octet != IAC => Ok(Frame::Whole(1)),
        _ => element(input, scanned),
    }
}

fn refused(kind: RefusalKind) -> Error {
    Error::PeerRefused(Refusal::new(kind, 0))
}

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    stream: Stream,
    /// FOLLOWS was said: nothing else may be.
    followed: bool,
}

impl Client {
    /// A client that asks for TLS before anything else.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &TELNET
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[&[IAC, WILL, START_TLS]])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        element(input, scanned)
    }

    /// What stands behind a refusal is the server's text, and left to the application.
    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (mut stream, mut followed) = (self.stream, self.followed);
        let mut next = Next::Frame;
        match (stream.next(frame)?, followed) {
            (Event::Option(DO, START_TLS), false) => {
                out.put(&[TLS_FOLLOWS])?;
                followed = true;
            }
            (Event::Follows, true) => next = Next::Tls,
            (Event::Follows, false) => return Err(Misbehaviour::Unsolicited.into()),
            (Event::Option(DONT | WONT, START_TLS), false) => {
                return Err(refused(RefusalKind::Upgrade));
            }
            (Event::Option(verb @ (DONT | WONT), START_TLS), true) => {
                return Err(Misbehaviour::UnexpectedReply(u16::from(verb)).into());
            }
            (Event::Option(verb, option), false) => decline(verb, option, out)?,
            (Event::Option(..), true) | (Event::Text | Event::Nothing, _) => {}
        }
        (self.stream, self.followed) = (stream, followed);
        Ok(next)
    }
}

/// The server's side.
#[derive(Debug, Default)]
pub struct Server {
    stream: Stream,
    /// The client will.
    agreed: bool,
    plaintext: bool,
}

impl Server {
    /// A server that asks its clients for TLS before anything else.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Negotiate for Server {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &TELNET
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[&[IAC, DO, START_TLS]])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        if self.yields_text() { element_or_octet(input, scanned) } else { element(input, scanned) }
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (mut stream, mut agreed) = (self.stream, self.agreed);
        let mut next = Next::Frame;
        match (stream.next(frame)?, agreed) {
            (Event::Option(WILL, START_TLS), _) => agreed = true,
            (Event::Follows, true) => {
                out.put(&[TLS_FOLLOWS])?;
                next = Next::Tls;
            }
            (Event::Follows, false) => return Err(Misbehaviour::Unsolicited.into()),
            (Event::Option(WONT | DONT, START_TLS), false) => {
                return Err(refused(RefusalKind::NotAsked));
            }
            (Event::Option(verb @ (WONT | DONT), START_TLS), true) => {
                return Err(Misbehaviour::UnexpectedReply(u16::from(verb)).into());
            }
            (Event::Option(verb, option), _) => decline(verb, option, out)?,
            (Event::Text, _) if self.yields_text() => return Err(refused(RefusalKind::NotAsked)),
            (Event::Text | Event::Nothing, _) => {}
        }
        (self.stream, self.agreed) = (stream, agreed);
        Ok(next)
    }
}

impl Server {
    /// Whether text that stands here ends the negotiation.
    fn yields_text(&self) -> bool {
        self.plaintext && !self.agreed && self.stream.within == Within::Nothing
    }
}

/// The server's side inside TLS, up to the first text, command or other option.
#[derive(Debug, Default)]
pub struct InsideServer(());

impl InsideServer {
    /// A server that has TLS, and asks for it no more.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Inside for InsideServer {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &TELNET
    }

    /// IAC, verb and option.
    fn max_frame(&self) -> usize {
        3
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        element_or_octet(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match Element::parse(frame) {
            Element::Option(verb, START_TLS) if verb != SB => {
                decline(verb, START_TLS, out)?;
                Ok(Step::Frame)
            }
            // FOLLOWS too: of an option that was declined the application drops it (RFC 855).
            _ => Ok(Step::Application),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "alloc")]
    use crate::protocol::vectors::check_inside;
    use crate::protocol::vectors::check_octets;

    /// The events of a stream, `Nothing` left out.
    fn events(mut octets: &[u8]) -> Result<alloc::vec::Vec<Event>, Error> {
        let (mut stream, mut events) = (Stream::default(), alloc::vec::Vec::new());
        while let Frame::Whole(length) = element(octets, 0)? {
            let event = stream.next(&octets[..length])?;
            if event != Event::Nothing {
                events.push(event);
            }
            octets = &octets[length..];
        }
        Ok(events)
    }

    #[test]
    fn follows_is_six_octets() {
        assert_eq!(TLS_FOLLOWS, b"\xff\xfa\x2e\x01\xff\xf0");
        assert_eq!(events(TLS_FOLLOWS), Ok([Event::Follows].into()));
    }

    #[test]
    fn follows_is_nothing_else() {
        for bad in [
            &b"\xff\xfa\x2e\xff\xf0"[..],
            b"\xff\xfa\x2e\x00\xff\xf0",
            b"\xff\xfa\x2e\x01\x01\xff\xf0",
            b"\xff\xfa\x2e\xff\xff",
            b"\xff\xfa\x2e\x01\xff\xff",
            b"\xff\xfa\x2e\x01\xff\xf1",
            b"\xff\xfa\x2e\xff\xfa\x2e",
            b"\xff\xfa\x2e\x01\xff\xfb\x2e",
            b"\xff\xf0",
        ] {
            assert_eq!(events(bad), Err(Misbehaviour::Malformed.into()), "{bad:?}");
        }
    }

    #[test]
    fn other_subnegotiations_are_passed_over() {
        // FOLLOWS within it is its text.
        let other = b"\xff\xfa\x18\x2e\x01\xff\xff\xf0\xff\xf0";
        assert_eq!(events(other), Ok([].into()));
        assert_eq!(events(b"\xff\xfa\x18\x01\xff\xf1"), Err(Misbehaviour::Malformed.into()));
        let mixed = b"a\xff\xff\xff\xf1\xff\xfd\x18\xff\xfa\x2e\x01\xff\xf0";
        let expected = [Event::Text, Event::Text, Event::Option(DO, 24), Event::Follows];
        assert_eq!(events(mixed), Ok(expected.into()));
    }

    #[test]
    fn server_declines_the_option_inside_tls() {
        for (typed, sent) in [
            (&b""[..], &b""[..]),
            (b"\xff\xfb\x2e", b"\xff\xfe\x2e"),
            (b"\xff\xfd\x2e\xff\xfb\x2e", b"\xff\xfc\x2e\xff\xfe\x2e"),
            (b"\xff\xfc\x2e\xff\xfe\x2e", b""),
        ] {
            for last in [
                &b"login\r\n"[..],
                b"\xff\xff\xff\xfb\x2e",
                b"\xff\xf6\xff\xfb\x2e",
                b"\xff\xfb\x18\xff\xfb\x2e",
                TLS_FOLLOWS,
            ] {
                let input = [typed, last].concat();
                check_octets(InsideServer::new(), b"", &[&input], sent, Ok(last));
                check_octets(InsideServer::new(), &input[..], &[], sent, Ok(last));
            }
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_waits_for_nothing_inside_tls() {
        use crate::protocol::{Names, scheme};
        for name in ["telnet", "telnets"] {
            let machine = scheme(name).unwrap().inside_client(Names::new("x")).unwrap();
            check_inside(machine, "login: ", &[], "", Ok("login: "));
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 8 && size_of::<Server>() <= 8);
    }
}
