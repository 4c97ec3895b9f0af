//! STLS for POP3 (RFC 2595 §4), both roles.
//!
//! ```text
//! client   greeting ──+OK──► CAPA ──+OK … .──► STLS ──+OK──► TLS
//!              │               └────-ERR────────►│
//!              └──-ERR───────────────────────────┴──-ERR──► refused, QUIT
//!
//! server   +OK ──► CAPA +OK … ., the rest -ERR ──► STLS +OK ──► TLS
//!                                            └──► QUIT +OK, refused
//!
//! inside TLS
//! client   [greeting ──+OK──►] CAPA ──+OK … .──► ready
//!                                └────-ERR─────────►│
//! server   [+OK ──►] CAPA +OK … ., STLS -ERR; anything else is the application's
//! ```
//!
//! The client asks for STLS whether CAPA (RFC 2449 §5) names it or not. A refusal carries no
//! number; it is temporary where the server says `[SYS/TEMP]` (RFC 3206 §4). Nothing of the
//! plaintext dialogue survives: [`InsideClient`] asks CAPA again, and takes a greeting there for an
//! attack (RFC 2595 §4), but behind implicit TLS, where it waits for one. Put no trust in a
//! timestamp for APOP that came before TLS.

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::protocol::lines::{MAX_COMMANDS, ask, check_offers, not_asked, refused, words};
use crate::protocol::smtp::check_name;
use crate::wire::{DotLines, Frame, MAX_LINE, Out, line};

/// Post Office Protocol, version 3.
pub static POP3: Row = Row {
    name: "pop3",
    aliases: &[],
    port: 110,
    implicit: &[("pop3s", 995)],
    alpn: Some("pop3"),
    specification: "RFC 2595, RFC 2449",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static POP3_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
    inside_client: |_, greeted| Ok(alloc::boxed::Box::new(InsideClient::new().greeted(greeted))),
    inside_server: |names, greets| {
        let machine = InsideServer::new(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

#[derive(Clone, Copy, Debug, Default)]
enum Asked {
    #[default]
    Greeting,
    Capa,
    /// CAPA was granted, and its lines come.
    Capabilities(DotLines),
    Stls,
}

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    asked: Asked,
    plaintext: bool,
}

impl Client {
    /// A POP3 client. It has no name to give.
    pub fn new() -> Self {
        Self::default()
    }

    fn refused(
        &self,
        kind: RefusalKind,
        temporary: bool,
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Error {
        let why = Refusal { temporary, ..Refusal::new(kind, 0) };
        refused(why, (!self.plaintext).then_some(b"QUIT\r\n"), behind, out)
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &POP3
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
        let answer = match &mut self.asked {
            Asked::Capabilities(lines) => match lines.ends(frame)? {
                true => Answer::Ok,
                false => return Ok(Next::Frame),
            },
            _ => Answer::parse(frame)?,
        };
        self.asked = match (self.asked, answer) {
            (Asked::Greeting, Answer::Ok) => {
                ask(b"CAPA\r\n", behind, out)?;
                Asked::Capa
            }
            (Asked::Capa, Answer::Ok) => Asked::Capabilities(DotLines::default()),
            // A server older than CAPA is asked all the same.
            (Asked::Capabilities(_), _) | (Asked::Capa, Answer::Err { .. }) => {
                ask(b"STLS\r\n", behind, out)?;
                Asked::Stls
            }
            (Asked::Stls, Answer::Ok) => return Ok(Next::Tls),
            (Asked::Greeting, Answer::Err { temporary }) => {
                return Err(self.refused(RefusalKind::Service, temporary, behind, out));
            }
            (Asked::Stls, Answer::Err { temporary }) => {
                return Err(self.refused(RefusalKind::Upgrade, temporary, behind, out));
            }
        };
        Ok(Next::Frame)
    }
}

/// What a server says to a command (RFC 1939 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    Err { temporary: bool },
}

impl Answer {
    fn parse(frame: &[u8]) -> Result<Self, Error> {
        let line = frame.strip_suffix(b"\r\n").unwrap_or(frame);
        let end = line.iter().position(|&octet| octet == b' ').unwrap_or(line.len());
        let (indicator, text) = line.split_at_checked(end).unwrap_or((line, b""));
        match indicator {
            b"+OK" => Ok(Self::Ok),
            b"-ERR" => {
                let code = text.get(..TEMPORARY.len()).unwrap_or_default();
                Ok(Self::Err { temporary: code.eq_ignore_ascii_case(TEMPORARY) })
            }
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }
}

/// A response code stands right behind the indicator, in any letter case (RFC 2449 §8).
const TEMPORARY: &[u8] = b" [SYS/TEMP]";

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    name: &'a str,
    capabilities: &'a [&'a str],
    commands: u8,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A POP3 server that calls itself `name` and has `capabilities`, a line each
    /// (`"SASL PLAIN"`), beside STLS.
    ///
    /// # Errors
    /// [`Misuse::Name`](crate::error::Misuse::Name) for a name that is empty, over 255 octets, or
    /// not visible ASCII; [`Misuse::Line`](crate::error::Misuse::Line) for a capability that is
    /// empty, over 510 octets, not printable ASCII, or begins with a dot or a space.
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        check_name(name)?;
        check_offers(capabilities)?;
        Ok(Self { name, capabilities, commands: 0, plaintext: false })
    }
}

/// A server's first words.
fn greet(name: &str, out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"+OK ", name.as_bytes(), b" POP3 server ready\r\n"])
}

/// The answer to CAPA, which ends in `last`.
fn capa(capabilities: &[&str], last: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"+OK Capability list follows\r\n"])?;
    for capability in capabilities {
        out.put(&[capability.as_bytes(), b"\r\n"])?;
    }
    out.put(&[last])
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &POP3
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
            Command::Capa => capa(self.capabilities, b"STLS\r\n.\r\n", out)?,
            Command::Stls => {
                out.put(&[b"+OK Begin TLS negotiation\r\n"])?;
                next = Next::Tls;
            }
            Command::Quit => {
                out.put(&[b"+OK ", self.name.as_bytes(), b" closing\r\n"])?;
                return Err(not_asked(0));
            }
            Command::BadArguments => out.put(&[b"-ERR No arguments are allowed\r\n"])?,
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => out.put(&[b"-ERR Must issue a STLS command first\r\n"])?,
        }
        self.commands += 1;
        Ok(next)
    }
}

/// The client's side inside TLS: asks for the capabilities again.
#[derive(Debug)]
pub struct InsideClient(Asked);

impl InsideClient {
    /// As [`Client::new`], inside TLS.
    pub fn new() -> Self {
        Self(Asked::Capa)
    }

    /// Whether the server greets first: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greeted(self, greeted: bool) -> Self {
        Self(if greeted { Asked::Greeting } else { Asked::Capa })
    }
}

impl Default for InsideClient {
    fn default() -> Self {
        Self::new()
    }
}

impl Inside for InsideClient {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &POP3
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.0 {
            Asked::Greeting => {}
            _ if arrived.is_empty() => out.put(&[b"CAPA\r\n"])?,
            _ => return Err(Misbehaviour::Greeting.into()),
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let answer = Answer::parse(frame);
        let refused = |kind, temporary| {
            Err(Error::PeerRefused(Refusal { temporary, ..Refusal::new(kind, 0) }))
        };
        self.0 = match (self.0, answer) {
            // No capability looks like this: what seemed to be the answer was a greeting.
            (Asked::Capabilities(_), Ok(_)) => return Err(Misbehaviour::Greeting.into()),
            (Asked::Capabilities(mut lines), Err(_)) => match lines.ends(frame)? {
                true => return Ok(Step::Ready),
                false => Asked::Capabilities(lines),
            },
            (_, Err(error)) => return Err(error),
            (Asked::Greeting, Ok(Answer::Ok)) => {
                ask(b"CAPA\r\n", behind, out)?;
                Asked::Capa
            }
            (Asked::Greeting, Ok(Answer::Err { temporary })) => {
                return refused(RefusalKind::Service, temporary);
            }
            (_, Ok(Answer::Ok)) => Asked::Capabilities(DotLines::default()),
            // A server that cannot say it now has what a server older than CAPA does not have.
            (_, Ok(Answer::Err { temporary: true })) => return refused(RefusalKind::Inside, true),
            (_, Ok(Answer::Err { temporary: false })) => return Ok(Step::Ready),
        };
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    name: &'a str,
    capabilities: &'a [&'a str],
    greets: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STLS is not offered.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let Server { name, capabilities, .. } = Server::new(name, capabilities)?;
        Ok(Self { name, capabilities, greets: false })
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
        &POP3
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
            Command::Capa => capa(self.capabilities, b".\r\n", out)?,
            // RFC 2595 §4.
            Command::Stls => out.put(&[b"-ERR Command not permitted when TLS active\r\n"])?,
            Command::BadArguments => out.put(&[b"-ERR No arguments are allowed\r\n"])?,
            Command::Quit | Command::Other => return Ok(Step::Application),
        }
        Ok(Step::Frame)
    }
}

/// What a client may say here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Capa,
    Stls,
    Quit,
    BadArguments,
    Other,
}

impl Command {
    fn parse(line: &[u8]) -> Self {
        let (verb, argument) = words(line);
        let known = [("CAPA", Self::Capa), ("STLS", Self::Stls), ("QUIT", Self::Quit)];
        let named = |(name, _): &&(&str, Self)| verb.eq_ignore_ascii_case(name.as_bytes());
        match known.iter().find(named) {
            Some(&(_, command)) if argument.is_empty() => command,
            Some(_) => Self::BadArguments,
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::check_inside;

    #[test]
    fn answers_are_exact() {
        let parse = |text: &str| Answer::parse(text.as_bytes());
        for text in ["+OK\r\n", "+OK ready <1.2@x>\r\n", "+OK \r\n"] {
            assert_eq!(parse(text), Ok(Answer::Ok), "{text:?}");
        }
        for text in ["-ERR\r\n", "-ERR no\r\n", "-ERR x [SYS/TEMP]\r\n", "-ERR [SYS/PERM] x\r\n"] {
            assert_eq!(parse(text), Ok(Answer::Err { temporary: false }), "{text:?}");
        }
        for text in ["-ERR [SYS/TEMP] later\r\n", "-ERR [sys/temp]\r\n"] {
            assert_eq!(parse(text), Ok(Answer::Err { temporary: true }), "{text:?}");
        }
        for text in
            ["+OKAY\r\n", "+ok\r\n", "+ \r\n", "-ERROR\r\n", " +OK\r\n", "\r\n", "+OK\t\r\n"]
        {
            assert_eq!(parse(text), Err(Misbehaviour::Malformed.into()), "{text:?}");
        }
    }

    #[test]
    fn commands_take_no_arguments() {
        for (line, command) in [
            (&b"STLS\r\n"[..], Command::Stls),
            (b"stls \r\n", Command::Stls),
            (b"Capa\r\n", Command::Capa),
            (b"QUIT\r\n", Command::Quit),
            (b"STLS now\r\n", Command::BadArguments),
            (b"STLSX\r\n", Command::Other),
            (b" STLS\r\n", Command::Other),
            (b"USER a\r\n", Command::Other),
            (b"\r\n", Command::Other),
        ] {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }
    const CAPA: &str = "CAPA\r\n";

    #[track_caller]
    fn inside(greeted: bool, arrived: &str, input: &[&str], sent: &str, end: Result<&str, Error>) {
        let machine = InsideClient::new().greeted(greeted);
        check_inside(machine, arrived, input, sent, end);
    }

    fn refused(kind: RefusalKind, temporary: bool) -> Result<&'static str, Error> {
        Err(Error::PeerRefused(Refusal::without_code(kind, temporary)))
    }

    #[test]
    fn client_asks_again_inside_tls() {
        let list = "+OK\r\nTOP\r\nSASL PLAIN\r\n.\r\n";
        inside(false, "", &[list], CAPA, Ok(""));
        inside(false, "", &["+OK list\r\n", "TO", "P\r\n..\r\n.\r", "\n"], CAPA, Ok(""));
        inside(true, "", &["+OK ready <1.2@x>\r\n", list], CAPA, Ok(""));
        inside(true, "+OK\r\n", &[list], CAPA, Ok(""));
        // CAPA is younger than the protocol (RFC 2449).
        inside(false, "", &["-ERR what\r\n"], CAPA, Ok(""));
        inside(true, "+OK\r\n", &["-ERR\r\n"], CAPA, Ok(""));
    }

    #[test]
    fn client_takes_no_greeting_but_where_it_belongs() {
        let end = || Err(Misbehaviour::Greeting.into());
        inside(false, "+OK x\r\n", &[], "", end());
        inside(false, "+", &[], "", end());
        inside(false, "", &["+OK x\r\n", "+OK list\r\n"], CAPA, end());
        inside(false, "", &["+OK x\r\n-ERR what\r\n"], CAPA, end());
        inside(true, "", &["+OK x\r\n", "+OK y\r\n", "+OK\r\n"], CAPA, end());
        // Only whole words are indicators.
        inside(false, "", &["+OK\r\n+OKAY\r\n-ERRATIC\r\n.\r\n"], CAPA, Ok(""));
    }

    #[test]
    fn client_refuses_what_stands_behind() {
        let end = || Err(Misbehaviour::Unsolicited.into());
        inside(true, "+OK x\r\n+OK\r\n.\r\n", &[], "", end());
        inside(true, "", &["+OK x\r\n-"], "", end());
        inside(false, "", &["+OK\r\n.\r\n+OK"], CAPA, end());
        inside(false, "", &["-ERR what\r\n+"], CAPA, end());
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        use RefusalKind::{Inside, Service};
        inside(true, "", &["-ERR no\r\n"], "", refused(Service, false));
        inside(true, "", &["-ERR [SYS/TEMP] later\r\n"], "", refused(Service, true));
        inside(false, "", &["-ERR [sys/temp] later\r\n"], CAPA, refused(Inside, true));
        for (greeted, sent) in [(true, ""), (false, CAPA)] {
            for line in ["220 x\r\n", "* OK x\r\n", "\r\n"] {
                inside(greeted, "", &[line], sent, Err(Misbehaviour::Malformed.into()));
            }
        }
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let machine = || InsideServer::new("mail.example.org", &["TOP", "SASL PLAIN"]).unwrap();
        let list = "+OK Capability list follows\r\nTOP\r\nSASL PLAIN\r\n.\r\n";
        let user = "USER a\r\nSTL";
        for (line, reply) in [
            ("capa\r\n", list),
            ("STLS\r\n", "-ERR Command not permitted when TLS active\r\n"),
            ("STLS \r\n", "-ERR Command not permitted when TLS active\r\n"),
            ("STLS now\r\n", "-ERR No arguments are allowed\r\n"),
        ] {
            check_inside(machine(), "", &[line, user], reply, Ok(user));
            let greeted = alloc::format!("+OK mail.example.org POP3 server ready\r\n{reply}");
            check_inside(machine().greets(true), line, &["QUIT\r\n"], &greeted, Ok("QUIT\r\n"));
        }
        check_inside(machine(), user, &[], "", Ok(user));
        let bare = InsideServer::new("mail.example.org", &[]).unwrap();
        let empty = "+OK Capability list follows\r\n.\r\n";
        check_inside(bare, "", &["CAPA\r\n"], empty, Err(Error::Closed));
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 128 && size_of::<Server<'_>>() <= 128);
        assert!(size_of::<InsideClient>() <= 128 && size_of::<InsideServer<'_>>() <= 128);
    }
}
