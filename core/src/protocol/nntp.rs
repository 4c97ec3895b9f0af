//! STARTTLS for NNTP (RFC 4642, RFC 8143), reading and transit, both roles.
//!
//! ```text
//! client   greeting ──200, 201──► CAPABILITIES ──101 … .──► STARTTLS ──382──► TLS
//!              │                       ├───4yz, 5yz───────────►│
//!              └──4yz, 5yz─────────────┴─400───────────────────┴──4yz, 5yz──► refused, QUIT
//!
//! server   200 ──► CAPABILITIES 101 … ., MODE READER 200, the rest 483 ──► STARTTLS 382 ──► TLS
//!                                                                     └──► QUIT 205, refused
//! ```
//!
//! The client asks for STARTTLS whether CAPABILITIES (RFC 3977 §5.2) names it or not. Of the
//! refusals only 400, the service is not available now, says that a later try may succeed: 483
//! and its like will say the same tomorrow. Nothing of the plaintext dialogue survives: ask
//! CAPABILITIES again inside TLS, where there is no second greeting (RFC 4642 §2.2.2).

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
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
    #[cfg(feature = "alloc")]
    machines: Machines {
        client: |_| Ok(alloc::boxed::Box::new(Client::new())),
        server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
        ..Machines::NONE
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
    #[cfg(feature = "alloc")]
    machines: Machines {
        client: |_| Ok(alloc::boxed::Box::new(Client::transit())),
        server: |names| Ok(alloc::boxed::Box::new(Server::transit(names.own, names.extensions)?)),
        ..Machines::NONE
    },
};

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
        let why = Refusal { temporary: code == 400, ..Refusal::new(kind, code) };
        refused(why, (!self.plaintext).then_some(b"QUIT\r\n"), behind, out)
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
                ask(b"CAPABILITIES\r\n", behind, out)?;
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

    fn capabilities(&self, out: &mut Out<'_>) -> Result<(), Error> {
        // VERSION comes first (RFC 3977 §5.2.2).
        out.put(&[b"101 Capability list:\r\nVERSION 2\r\n"])?;
        for capability in self.capabilities {
            out.put(&[capability.as_bytes(), b"\r\n"])?;
        }
        out.put(&[b"STARTTLS\r\n.\r\n"])
    }
}

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
        out.put(&[b"200 ", self.name.as_bytes(), b" NNTP service ready\r\n"])?;
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
            Command::Capabilities => self.capabilities(out)?,
            Command::ModeReader => out.put(&[b"200 Posting allowed\r\n"])?,
            Command::Starttls => {
                out.put(&[b"382 Continue with TLS negotiation\r\n"])?;
                next = Next::Tls;
            }
            Command::Quit => {
                out.put(&[b"205 Connection closing\r\n"])?;
                return Err(not_asked(205));
            }
            Command::BadArguments => out.put(&[b"501 Syntax error in arguments\r\n"])?,
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => out.put(&[b"483 Must issue a STARTTLS command first\r\n"])?,
        }
        self.commands += 1;
        Ok(next)
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
}
