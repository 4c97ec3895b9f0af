//! STARTTLS for NNTP (RFC 4642, RFC 8143), reading and transit, both roles.
//!
//! ```text
//! client   greeting ──200, 201──► CAPABILITIES ──101 … .──► STARTTLS ──382──► TLS
//!              │                       ├───4yz, 5yz───────────►│
//!              └──4yz, 5yz─────────────┴─400───────────────────┴──4yz, 5yz──► refused, QUIT
//!
//! server   200 ──► CAPABILITIES 101 … ., MODE READER 200, the rest 483 ──► STARTTLS 382 ──► TLS
//!                                                                     └──► QUIT 205, refused
//!
//! inside TLS
//! client   [greeting ──200, 201──►] CAPABILITIES ──101 … ., 4yz, 5yz──► ready
//! server   [200 ──►] CAPABILITIES 101 … ., STARTTLS 502; anything else is the application's
//! ```
//!
//! The client asks for STARTTLS whether CAPABILITIES (RFC 3977 §5.2) names it or not. Of the
//! refusals only 400, the service is not available now, says that a later try may succeed: 483
//! and its like will say the same tomorrow. Nothing of the plaintext dialogue survives:
//! [`InsideClient`] asks CAPABILITIES again, and takes a greeting there for an attack (RFC 4642
//! §2.2.2), but behind implicit TLS (RFC 8143 §2), where it waits for one. A server older than
//! CAPABILITIES, or one that wants a login first, is ready all the same.

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::protocol::lines::{MAX_COMMANDS, ask, check_offers, not_asked, refused, words};
use crate::protocol::smtp::check_name;
use crate::wire::{Code, DotLines, Frame, MAX_LINE, Out, ReplyLine, line};

/// Network News Transfer Protocol, for readers.
pub static NNTP: Row = Row {
    name: "nntp",
    aliases: &[],
    port: 119,
    implicit: &[("nntps", 563)],
    alpn: Some("nntp"),
    specification: "RFC 4642, RFC 8143",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static NNTP_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
    inside_client: |_, greeted| Ok(alloc::boxed::Box::new(InsideClient::new().greeted(greeted))),
    inside_server: |names, greets| {
        let machine = InsideServer::new(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

/// The same between servers, on a port and with an ALPN name of its own (RFC 8143 §6).
pub static NNSP: Row = Row {
    name: "nnsp",
    aliases: &[],
    port: 433,
    implicit: &[],
    alpn: Some("nnsp"),
    specification: "RFC 4642, RFC 8143",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static NNSP_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::transit())),
    server: |names| Ok(alloc::boxed::Box::new(Server::transit(names.own, names.extensions)?)),
    inside_client: |_, greeted| {
        Ok(alloc::boxed::Box::new(InsideClient::transit().greeted(greeted)))
    },
    inside_server: |names, greets| {
        let machine = InsideServer::transit(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

/// The first question, outside TLS and inside.
const CAPABILITIES: &[u8] = b"CAPABILITIES\r\n";

#[derive(Clone, Copy, Debug)]
enum Asked {
    Greeting,
    Capabilities,
    /// CAPABILITIES was granted, and its lines come.
    List(DotLines),
    Starttls,
}

/// The client's side.
#[derive(Debug)]
pub struct Client {
    row: &'static Row,
    asked: Asked,
    plaintext: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client that reads news. It has no name to give.
    pub fn new() -> Self {
        Self { row: &NNTP, asked: Asked::Greeting, plaintext: false }
    }

    /// A server that passes news on to another: it differs in port and ALPN name.
    pub fn transit() -> Self {
        Self { row: &NNSP, ..Self::new() }
    }

    fn refused(&self, kind: RefusalKind, code: Code, behind: &[u8], out: &mut Out<'_>) -> Error {
        refused(refusal(kind, code), (!self.plaintext).then_some(b"QUIT\r\n"), behind, out)
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        self.row
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
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let code = match &mut self.asked {
            Asked::List(lines) => match lines.ends(frame)? {
                true => 101,
                false => return Ok(Next::Frame),
            },
            _ => code(frame)?,
        };
        self.asked = match (self.asked, code) {
            (Asked::Greeting, 200 | 201) => {
                ask(CAPABILITIES, behind, out)?;
                Asked::Capabilities
            }
            (Asked::Capabilities, 101) => Asked::List(DotLines::default()),
            (Asked::Starttls, 382) => return Ok(Next::Tls),
            (_, 400) | (Asked::Greeting, 400..=599) => {
                return Err(self.refused(RefusalKind::Service, code, behind, out));
            }
            // A server older than CAPABILITIES is asked all the same.
            (Asked::List(_), _) | (Asked::Capabilities, 400..=599) => {
                ask(b"STARTTLS\r\n", behind, out)?;
                Asked::Starttls
            }
            (Asked::Starttls, 400..=599) => {
                return Err(self.refused(RefusalKind::Upgrade, code, behind, out));
            }
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        Ok(Next::Frame)
    }
}

/// Only 400 promises anything.
fn refusal(kind: RefusalKind, code: Code) -> Refusal {
    Refusal { temporary: code == 400, ..Refusal::new(kind, code) }
}

/// The code of a response, which is one line: there is no `-` behind it (RFC 3977 §3.2).
fn code(line: &[u8]) -> Result<Code, Error> {
    match ReplyLine::parse(line)? {
        ReplyLine { code, last: true, .. } => Ok(code),
        _ => Err(Misbehaviour::Malformed.into()),
    }
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    row: &'static Row,
    name: &'a str,
    capabilities: &'a [&'a str],
    commands: u8,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A server for readers that calls itself `name` and has `capabilities`, a line each
    /// (`"READER"`), beside VERSION and STARTTLS.
    ///
    /// # Errors
    /// [`Misuse::Name`](crate::error::Misuse::Name) for a name that is empty, over 255 octets, or
    /// not visible ASCII; [`Misuse::Line`](crate::error::Misuse::Line) for a capability that is
    /// empty, over 510 octets, not printable ASCII, or begins with a dot or a space.
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        check_name(name)?;
        check_offers(capabilities)?;
        Ok(Self { row: &NNTP, name, capabilities, commands: 0, plaintext: false })
    }

    /// A server that takes news from others: it differs in port and ALPN name.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn transit(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        Ok(Self { row: &NNSP, ..Self::new(name, capabilities)? })
    }
}

/// A server's first words.
fn greet(name: &str, out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"200 ", name.as_bytes(), b" NNTP service ready\r\n"])
}

/// The answer to CAPABILITIES, up to where the upgrade would stand.
fn list<'a>(
    mut capabilities: impl Iterator<Item = &'a str>,
    out: &mut Out<'_>,
) -> Result<(), Error> {
    // VERSION comes first (RFC 3977 §5.2.2).
    out.put(&[b"101 Capability list:\r\nVERSION 2\r\n"])?;
    capabilities.try_for_each(|capability| out.put(&[capability.as_bytes(), b"\r\n"]))
}

const BAD_ARGUMENTS: &[u8] = b"501 Syntax error in arguments\r\n";

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        self.row
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        greet(self.name, out)?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if self.commands == MAX_COMMANDS {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let mut next = Next::Frame;
        match Command::parse(frame) {
            Command::Capabilities => {
                list(self.capabilities.iter().copied(), out)?;
                out.put(&[b"STARTTLS\r\n.\r\n"])?;
            }
            Command::ModeReader => out.put(&[b"200 Posting allowed\r\n"])?,
            Command::Starttls => {
                out.put(&[b"382 Continue with TLS negotiation\r\n"])?;
                next = Next::Tls;
            }
            Command::Quit => {
                out.put(&[b"205 Connection closing\r\n"])?;
                return Err(not_asked(205));
            }
            Command::BadArguments => out.put(&[BAD_ARGUMENTS])?,
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => out.put(&[b"483 Must issue a STARTTLS command first\r\n"])?,
        }
        self.commands += 1;
        Ok(next)
    }
}

/// The client's side inside TLS: asks for the capabilities again.
#[derive(Debug)]
pub struct InsideClient {
    row: &'static Row,
    asked: Asked,
}

impl Default for InsideClient {
    fn default() -> Self {
        Self::new()
    }
}

impl InsideClient {
    /// As [`Client::new`], inside TLS.
    pub fn new() -> Self {
        Self { row: &NNTP, asked: Asked::Capabilities }
    }

    /// As [`Client::transit`], inside TLS.
    pub fn transit() -> Self {
        Self { row: &NNSP, ..Self::new() }
    }

    /// Whether the server greets first: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greeted(self, greeted: bool) -> Self {
        Self { asked: if greeted { Asked::Greeting } else { Asked::Capabilities }, ..self }
    }
}

impl Inside for InsideClient {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        self.row
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.asked {
            Asked::Greeting => {}
            _ if arrived.is_empty() => out.put(&[CAPABILITIES])?,
            _ => return Err(Misbehaviour::Greeting.into()),
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if let Asked::List(lines) = &mut self.asked {
            return Ok(if lines.ends(frame)? { Step::Ready } else { Step::Frame });
        }
        self.asked = match (self.asked, code(frame)?) {
            (Asked::Greeting, 200 | 201) => {
                ask(CAPABILITIES, behind, out)?;
                Asked::Capabilities
            }
            (Asked::Greeting, code @ 400..=599) | (_, code @ 400) => {
                return Err(Error::PeerRefused(refusal(RefusalKind::Service, code)));
            }
            (Asked::Greeting, _) | (_, 200 | 201) => return Err(Misbehaviour::Greeting.into()),
            (_, 101) => Asked::List(DotLines::default()),
            (_, 400..=599) => return Ok(Step::Ready),
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    row: &'static Row,
    name: &'a str,
    capabilities: &'a [&'a str],
    greets: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STARTTLS is not among the capabilities, and neither is
    /// MODE-READER, which must not be there (RFC 4642 §2.2.2).
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        Server::new(name, capabilities).map(Self::of)
    }

    /// As [`Server::transit`], inside TLS.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn transit(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        Server::transit(name, capabilities).map(Self::of)
    }

    fn of(Server { row, name, capabilities, .. }: Server<'a>) -> Self {
        Self { row, name, capabilities, greets: false }
    }

    /// Whether it greets: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greets(self, greets: bool) -> Self {
        Self { greets, ..self }
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        self.row
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if self.greets {
            greet(self.name, out)?;
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match Command::parse(frame) {
            Command::Capabilities => {
                let stays = |capability: &&str| !capability.eq_ignore_ascii_case("MODE-READER");
                list(self.capabilities.iter().copied().filter(stays), out)?;
                out.put(&[b".\r\n"])?;
            }
            Command::Starttls => out.put(&[b"502 TLS is active already\r\n"])?,
            Command::BadArguments => out.put(&[BAD_ARGUMENTS])?,
            Command::ModeReader | Command::Quit | Command::Other => return Ok(Step::Application),
        }
        Ok(Step::Frame)
    }
}

/// What a client may say before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Capabilities,
    ModeReader,
    Starttls,
    Quit,
    BadArguments,
    Other,
}

impl Command {
    fn parse(line: &[u8]) -> Self {
        let (verb, argument) = words(line);
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        match argument.is_empty() {
            true if is("STARTTLS") => Self::Starttls,
            true if is("QUIT") => Self::Quit,
            // A server without use for the keyword ignores it (RFC 3977 §5.2.2).
            _ if is("CAPABILITIES") && is_keyword(argument) => Self::Capabilities,
            false if is("MODE") && argument.eq_ignore_ascii_case(b"READER") => Self::ModeReader,
            _ if is("CAPABILITIES") || is("STARTTLS") || is("QUIT") => Self::BadArguments,
            _ => Self::Other,
        }
    }
}

/// Nothing, or a word of letters, digits, dots and dashes (RFC 3977 §9.8).
fn is_keyword(argument: &[u8]) -> bool {
    argument.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::check_inside;

    #[test]
    fn responses_are_one_line() {
        assert_eq!(code(b"382 go\r\n"), Ok(382));
        assert_eq!(code(b"382\r\n"), Ok(382));
        for bad in [&b"382-go\r\n"[..], b"382\tgo\r\n", b"38 go\r\n", b".\r\n", b"\r\n"] {
            assert_eq!(code(bad), Err(Misbehaviour::Malformed.into()), "{bad:?}");
        }
    }

    #[test]
    fn commands() {
        for (line, command) in [
            (&b"CAPABILITIES\r\n"[..], Command::Capabilities),
            (b"capabilities AUTOUPDATE\r\n", Command::Capabilities),
            (b"CAPABILITIES a b\r\n", Command::BadArguments),
            (b"MODE READER\r\n", Command::ModeReader),
            (b"mode\treader \r\n", Command::ModeReader),
            (b"MODE STREAM\r\n", Command::Other),
            (b"MODE\r\n", Command::Other),
            (b"STARTTLS\r\n", Command::Starttls),
            (b"STARTTLS x\r\n", Command::BadArguments),
            (b"QUIT\r\n", Command::Quit),
            (b"QUIT x\r\n", Command::BadArguments),
            (b"STARTTLSX\r\n", Command::Other),
            (b"\r\n", Command::Other),
        ] {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }

    #[test]
    fn the_two_differ_in_row_alone() {
        assert_eq!((Client::new().row(), Client::transit().row()), (&NNTP, &NNSP));
        assert_eq!(Client::default().row(), &NNTP);
        let transit = Server::transit("news.example.org", &[]).unwrap();
        assert_eq!((transit.row().port, transit.row().alpn), (433, Some("nnsp")));
    }

    #[track_caller]
    fn inside(greeted: bool, arrived: &str, input: &[&str], sent: &str, end: Result<&str, Error>) {
        check_inside(InsideClient::new().greeted(greeted), arrived, input, sent, end);
    }

    const ASKED: &str = "CAPABILITIES\r\n";

    #[test]
    fn client_asks_again_inside_tls() {
        let list = "101 x\r\nVERSION 2\r\nREADER\r\n.\r\n";
        inside(false, "", &[list], ASKED, Ok(""));
        inside(false, "", &["101 x\r\nVERSI", "ON 2\r\n200 x\r\n.\r", "\n"], ASKED, Ok(""));
        inside(true, "", &["200 x\r\n", list], ASKED, Ok(""));
        inside(true, "201 x\r\n", &[list], ASKED, Ok(""));
        // Older than CAPABILITIES, or not before a login.
        for code in [403, 480, 483, 500, 502] {
            inside(false, "", &[&alloc::format!("{code} no\r\n")], ASKED, Ok(""));
        }
    }

    #[test]
    fn client_takes_no_greeting_but_where_it_belongs() {
        let end = || Err(Misbehaviour::Greeting.into());
        inside(false, "200 x\r\n", &[], "", end());
        inside(false, "2", &[], "", end());
        for greeting in ["200 x\r\n", "201 x\r\n"] {
            inside(false, "", &[greeting], ASKED, end());
            inside(true, "", &["200 x\r\n", greeting], ASKED, end());
        }
        for none in ["101 x\r\n", "382 x\r\n", "281 x\r\n"] {
            inside(true, "", &[none], "", end());
        }
    }

    #[test]
    fn client_refuses_what_stands_behind_inside_tls() {
        let end = || Err(Misbehaviour::Unsolicited.into());
        inside(true, "200 x\r\n101 x\r\n.\r\n", &[], "", end());
        inside(true, "200 x\r\n1", &[], "", end());
        inside(false, "", &["101 x\r\n.\r\n2"], ASKED, end());
        inside(false, "", &["500 x\r\n101 x\r\n"], ASKED, end());
        inside(false, "", &["211 x\r\n"], ASKED, Err(Misbehaviour::UnexpectedReply(211).into()));
        let many = alloc::format!("101 x\r\n{}.\r\n", "X\r\n".repeat(129));
        inside(false, "", &[&many], ASKED, Err(Misbehaviour::TooManyFrames.into()));
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        for (greeted, code, sent) in [(true, 400, ""), (true, 502, ""), (false, 400, ASKED)] {
            let temporary = code == 400;
            let why = Refusal { kind: RefusalKind::Service, code, temporary };
            let reply = alloc::format!("{code} no\r\n");
            inside(greeted, "", &[&reply], sent, Err(Error::PeerRefused(why)));
        }
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let capabilities = ["MODE-READER", "IHAVE", "mode-reader", "READER"];
        let machine = || InsideServer::new("news.example.org", &capabilities).unwrap();
        let list = "101 Capability list:\r\nVERSION 2\r\nIHAVE\r\nREADER\r\n.\r\n";
        let group = "GROUP a\r\nGRO";
        check_inside(machine(), "", &["CAPABILITIES\r\n", group], list, Ok(group));
        check_inside(machine(), group, &[], "", Ok(group));
        let asked = "starttls\r\nSTARTTLS x\r\nQUIT\r\n";
        let said = "502 TLS is active already\r\n501 Syntax error in arguments\r\n";
        check_inside(machine(), "", &[asked], said, Ok("QUIT\r\n"));
        for ours in ["MODE READER\r\n", "\r\n", "STARTTLSX\r\n"] {
            check_inside(machine(), "", &[ours], "", Ok(ours));
        }
        let greeting = "200 news.example.org NNTP service ready\r\n";
        check_inside(machine().greets(true), "", &[], greeting, Err(Error::Closed));
        check_inside(machine(), "", &["CAPABILITIES\r\n"], list, Err(Error::Closed));
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<InsideClient>() <= 24 && size_of::<InsideServer<'_>>() <= 56);
        assert_eq!(InsideClient::default().row(), &NNTP);
        assert_eq!(InsideClient::transit().row(), &NNSP);
        assert_eq!(InsideServer::transit("news.example.org", &[]).unwrap().row(), &NNSP);
    }
}
