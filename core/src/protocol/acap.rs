//! STARTTLS for ACAP (RFC 2595 §5 on RFC 2244), both roles.
//!
//! ```text
//! client   * ACAP (…) ──► STARTTLS ──OK──► TLS
//!              │             │ NO, BAD
//!              │             ├──► refused, LOGOUT
//!              └─────BYE─────┴──► refused
//!
//! server   * ACAP (…) ──► NOOP OK, the rest NO (ENCRYPT-NEEDED) ──► STARTTLS OK ──► TLS
//!                                                               └──► LOGOUT OK, refused
//!
//! inside TLS
//! client   * ACAP (…) ──► ready
//! server   * ACAP (…) ──► STARTTLS BAD; anything else is the application's
//! ```
//!
//! The greeting holds the capabilities, and the client asks for STARTTLS whether it is among them
//! or not, so that hiding it ends in a refusal and never in plaintext. What the server says unasked
//! (`* …`) is dropped. Strings, those behind OK and NO included, may be literals: an answer ends
//! where its last string does.
//!
//! Nothing of the plaintext dialogue survives: the greeting comes again, unasked, inside TLS
//! (RFC 2595 §5). [`InsideClient`] waits for it, and asks nothing.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::{
    Carries, Frame, Literals, MAX_LINE, Out, Tagged, Tags, has_code, is_text, only_untagged,
};

/// ACAP.
pub static ACAP: Row = Row {
    name: "acap",
    aliases: &[],
    port: 674,
    implicit: &[],
    alpn: None,
    specification: "RFC 2595, RFC 2244",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static ACAP_MACHINES: Machines = Machines {
    client: |names| {
        let random = names.random.ok_or(Misuse::Randomness)?;
        Ok(alloc::boxed::Box::new(Client::new(random)))
    },
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.extensions)?)),
    // The greeting comes unasked in any case.
    inside_client: |_, _| Ok(alloc::boxed::Box::new(InsideClient::new())),
    inside_server: |names, _| Ok(alloc::boxed::Box::new(InsideServer::new(names.extensions)?)),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Starttls,
}

/// The client's side.
#[derive(Debug)]
pub struct Client {
    tags: Tags,
    asked: Asked,
    /// What the line that was begun will mean once it is whole.
    response: Response,
    literals: Literals,
    plaintext: bool,
}

/// What a server may say here (RFC 2244 §6.1.1, §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    Greeting,
    Bye(Later),
    /// Anything else that begins with `*`.
    Unasked,
    /// `+`
    Continue,
    /// The answer to STARTTLS.
    Ok,
    Refused(Later),
    /// An answer to no command of ours.
    Strange,
}

/// Whether the server says that a later try may succeed (TRYLATER, RFC 2244 §4.3).
type Later = bool;

impl Response {
    /// Parses the first line of a response; `expected` is the tag of the answer.
    fn parse(frame: &[u8], expected: &[u8]) -> Result<Self, Error> {
        let line = Tagged::parse(frame).ok_or(Misbehaviour::Malformed)?;
        let later = has_code(line.rest, "TRYLATER");
        Ok(match line.tag {
            b"*" if line.is("ACAP") => Self::Greeting,
            b"*" if line.is("BYE") => Self::Bye(later),
            b"*" => Self::Unasked,
            b"+" => Self::Continue,
            tag if tag != expected => Self::Strange,
            _ if !is_text(line.rest) => return Err(Misbehaviour::Malformed.into()),
            _ if line.is("OK") => Self::Ok,
            _ if line.is("NO") || line.is("BAD") => Self::Refused(later),
            _ => return Err(Misbehaviour::Malformed.into()),
        })
    }
}

impl Client {
    /// A client whose tags come from `random`: octets that nobody can guess, so that nobody can
    /// answer a command before it is sent.
    pub fn new(random: [u8; 16]) -> Self {
        let (tags, literals) = (Tags::new(random), Literals::default());
        let (asked, response) = (Asked::Greeting, Response::Unasked);
        Self { tags, asked, response, literals, plaintext: false }
    }

    fn ask(&mut self, behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if !only_untagged(behind, |_| Carries::Literals) {
            return Err(Misbehaviour::Unsolicited.into());
        }
        out.put(&[&self.tags.starttls(), b" STARTTLS\r\n"])?;
        (self.asked, self.literals) = (Asked::Starttls, Literals::default());
        Ok(Next::Frame)
    }

    /// Refused: where the policy requires TLS, all that is left to say is goodbye.
    fn refused(
        &self,
        kind: RefusalKind,
        later: Later,
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        if self.plaintext && !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        // A server that says BYE has said goodbye already.
        if !self.plaintext && kind != RefusalKind::Service {
            out.put(&[&self.tags.logout(), b" LOGOUT\r\n"])?;
        }
        Err(Error::PeerRefused(Refusal::without_code(kind, later)))
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &ACAP
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
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let mut literals = self.literals;
        let response = match literals.inside() {
            true => self.response,
            false => Response::parse(frame, &self.tags.starttls())?,
        };
        let whole = literals.advance(frame, Carries::Literals)?;
        match (self.asked, response) {
            _ if !whole => {}
            (Asked::Greeting, Response::Greeting) => return self.ask(behind, out),
            (_, Response::Bye(later)) => {
                return self.refused(RefusalKind::Service, later, behind, out);
            }
            (Asked::Greeting, _) => return Err(Misbehaviour::Greeting.into()),
            (Asked::Starttls, Response::Ok) => return Ok(Next::Tls),
            (Asked::Starttls, Response::Refused(later)) => {
                return self.refused(RefusalKind::Upgrade, later, behind, out);
            }
            (Asked::Starttls, Response::Unasked) => {}
            (Asked::Starttls, Response::Greeting | Response::Continue | Response::Strange) => {
                return Err(Misbehaviour::UnexpectedReply(0).into());
            }
        }
        (self.response, self.literals) = (response, literals);
        Ok(Next::Frame)
    }
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    capabilities: &'a [&'a str],
    literals: Literals,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A server that offers `capabilities` beside STARTTLS: what stands between the brackets
    /// (`IMPLEMENTATION "example"`).
    ///
    /// # Errors
    /// [`Misuse::Line`] for a capability that is empty, not printable ASCII, leaves a quoted string
    /// open or holds brackets, and for more than 1,024 octets of them, three each included.
    pub fn new(capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let plain = |octet| matches!(octet, b' '..=b'~') && !b"(){}".contains(&octet);
        let good = |item: &&str| {
            !item.is_empty()
                && item.bytes().all(plain)
                && Literals::default().advance(item.as_bytes(), Carries::Literals) == Ok(true)
        };
        let length = capabilities.iter().map(|item| item.len() + 3).sum::<usize>();
        if length > 1024 || !capabilities.iter().all(good) {
            return Err(Misuse::Line.into());
        }
        Ok(Self { capabilities, literals: Literals::default(), plaintext: false })
    }
}

/// The greeting, which ends in `last`.
fn greet(capabilities: &[&str], last: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"* ACAP"])?;
    for capability in capabilities {
        out.put(&[b" (", capability.as_bytes(), b")"])?;
    }
    out.put(&[last])
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &ACAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        greet(self.capabilities, b" (STARTTLS)\r\n", out)?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (mut literals, mut next) = (self.literals, Next::Frame);
        let goes_on = literals.inside();
        literals.advance(frame, Carries::Unasked)?;
        let (tag, command) = Command::parse(frame);
        match command {
            // What goes on was answered where it began.
            _ if goes_on => {}
            Command::Starttls => {
                out.put(&[tag, b" OK \"Begin TLS negotiation now\"\r\n"])?;
                next = Next::Tls;
            }
            Command::Noop => out.put(&[tag, b" OK \"NOOP completed\"\r\n"])?,
            Command::Logout => {
                out.put(&[b"* BYE \"Logging out\"\r\n", tag, b" OK \"LOGOUT completed\"\r\n"])?;
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Arguments => out.put(&[tag, b" BAD \"Unexpected arguments\"\r\n"])?,
            Command::Other | Command::None if self.plaintext => {
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Other => {
                out.put(&[tag, b" NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"])?;
            }
            Command::None => out.put(&[b"* BAD \"Tag and command expected\"\r\n"])?,
        }
        self.literals = literals;
        Ok(next)
    }
}

/// The client's side inside TLS: waits for the capabilities.
#[derive(Debug)]
pub struct InsideClient {
    /// What the line that was begun will mean once it is whole.
    response: Response,
    literals: Literals,
}

impl InsideClient {
    /// A client behind the hand-over.
    pub fn new() -> Self {
        Self { response: Response::Unasked, literals: Literals::default() }
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
        &ACAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    /// There may be news at any time (RFC 2244 §2.4).
    fn goes_on(&self) -> bool {
        true
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        let mut literals = self.literals;
        let response = match literals.inside() {
            true => self.response,
            // Nothing was asked, so no tag is right.
            false => Response::parse(frame, b"")?,
        };
        let whole = literals.advance(frame, Carries::Literals)?;
        match response {
            _ if !whole => {}
            Response::Greeting => return Ok(Step::Ready),
            Response::Bye(later) => {
                let why = Refusal::without_code(RefusalKind::Service, later);
                return Err(Error::PeerRefused(why));
            }
            _ => return Err(Misbehaviour::Greeting.into()),
        }
        (self.response, self.literals) = (response, literals);
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    capabilities: &'a [&'a str],
    literals: Literals,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STARTTLS is not offered.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let Server { capabilities, literals, .. } = Server::new(capabilities)?;
        Ok(Self { capabilities, literals })
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &ACAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        greet(self.capabilities, b"\r\n", out)?;
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let mut literals = self.literals;
        let (tag, command) = Command::parse(frame);
        match command {
            // What goes on was answered where it began.
            _ if literals.inside() => {}
            Command::Starttls => out.put(&[tag, b" BAD \"TLS is active already\"\r\n"])?,
            Command::Arguments => out.put(&[tag, b" BAD \"Unexpected arguments\"\r\n"])?,
            Command::Noop | Command::Logout | Command::Other | Command::None => {
                return Ok(Step::Application);
            }
        }
        literals.advance(frame, Carries::Unasked)?;
        self.literals = literals;
        Ok(Step::Frame)
    }
}

/// What a client may say here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Starttls,
    Noop,
    Logout,
    /// One of these, with arguments it does not have.
    Arguments,
    Other,
    /// Not even a command.
    None,
}

impl Command {
    fn parse(line: &[u8]) -> (&[u8], Self) {
        let Some(line) = Tagged::parse(line).filter(Tagged::has_tag) else {
            return (b"*", Self::None);
        };
        let commands =
            [("STARTTLS", Self::Starttls), ("NOOP", Self::Noop), ("LOGOUT", Self::Logout)];
        let command = match (commands.iter().find(|(word, _)| line.is(word)), line.rest) {
            (Some((_, command)), None) => *command,
            (Some(_), Some(_)) => Self::Arguments,
            (None, _) => Self::Other,
        };
        (line.tag, command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Misbehaviour::{Greeting, Malformed, Unsolicited};
    use crate::protocol::vectors::{check, check_inside};

    const RANDOM: [u8; 16] = [0xa0, 1, 0, 0, 0, 0, 0, 1, 0xa0, 2, 0, 0, 0, 0, 0, 2];
    const HELLO: &str = "* ACAP (SASL \"CRAM-MD5\") (STARTTLS)\r\n";
    const ASKED: &str = "a002000000000002 STARTTLS\r\n";
    const LOGOUT: &str = "a002000000000002 STARTTLS\r\n00000001a0020000 LOGOUT\r\n";
    const GO: &str = "a002000000000002 OK \"go\"\r\n";

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Client::new(RANDOM), false, input, sent, end);
    }

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Server::new(&["SASL \"CRAM-MD5\""]).unwrap(), false, input, sent, end);
    }

    fn refused(kind: RefusalKind, temporary: bool) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal::without_code(kind, temporary)))
    }

    #[test]
    fn client_reaches_tls() {
        client(&[HELLO, GO], ASKED, Ok(()));
        // Hidden or not, the client asks.
        client(&["* acap\r\n", "a002000000000002 ok\r\n"], ASKED, Ok(()));
        let hello = "* ACAP (IMPLEMENTATION {20}\r\n* BYE \"\"\r\n* ACAP x\r\n) (STARTTLS)\r\n";
        let go = "* ALERT {4}\r\na)\r\n\r\na002000000000002 OK {2+}\r\n\"!\r\n";
        client(&[hello, go], ASKED, Ok(()));
    }

    #[test]
    fn client_refusals_are_typed() {
        use RefusalKind::{Service, Upgrade};
        client(&["* BYE \"x\"\r\n"], "", refused(Service, false));
        client(&["* BYE (TRYLATER) {1}\r\nx\r\n"], "", refused(Service, true));
        client(&[HELLO, "* BYE \"x\"\r\n"], ASKED, refused(Service, false));
        for (reply, temporary) in [
            ("NO \"x\"", false),
            ("bad", false),
            ("NO (TRYLATER) \"x\"", true),
            ("NO (TRYLATER) {3}\r\nx\r\n", true),
        ] {
            let reply = std::format!("a002000000000002 {reply}\r\n");
            client(&[HELLO, &reply], LOGOUT, refused(Upgrade, temporary));
        }
    }

    #[test]
    fn client_takes_nothing_else() {
        for line in ["* OK x\r\n", "* PREAUTH x\r\n", "a1 OK\r\n", "+ go\r\n"] {
            client(&[line], "", Err(Greeting.into()));
        }
        client(&["ACAP\r\n"], "", Err(Malformed.into()));
        let strange = Misbehaviour::UnexpectedReply(0);
        for line in ["+ go\r\n", HELLO, "a1 OK\r\n", "A002000000000002 OK\r\n"] {
            client(&[HELLO, line], ASKED, Err(strange.into()));
        }
        for line in ["a002000000000002 OKAY\r\n", "a002000000000002 OK go\r\n", "* X \"\r\n"] {
            client(&[HELLO, line], ASKED, Err(Malformed.into()));
        }
    }

    #[test]
    fn client_refuses_what_stands_behind() {
        let early = std::format!("{HELLO}* ALERT \"x\"\r\na0");
        client(&[&early], "", Err(Unsolicited.into()));
        let hidden = std::format!("{HELLO}* ALERT {{2}}\r\nxx\r\na0");
        client(&[&hidden], "", Err(Unsolicited.into()));
        let behind = "a002000000000002 OK {2}\r\nxx\r\n* ACAP\r\n";
        client(&[HELLO, behind], ASKED, Err(Misbehaviour::BytesAfterUpgrade.into()));
        // The text is not whole: TLS does not begin in the middle of it.
        client(&[HELLO, "a002000000000002 OK {2}\r\nxx"], ASKED, Err(Error::Closed));
    }

    #[test]
    fn server_answers() {
        for (command, reply) in [
            ("a noop", "a OK \"NOOP completed\"\r\n"),
            ("a NOOP x", "a BAD \"Unexpected arguments\"\r\n"),
            ("a STARTTLS ", "a BAD \"Unexpected arguments\"\r\n"),
            ("a LANG \"de\"", "a NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
            ("a STARTTLSX", "a NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
            ("STARTTLS", "* BAD \"Tag and command expected\"\r\n"),
            ("* STARTTLS", "* BAD \"Tag and command expected\"\r\n"),
            ("", "* BAD \"Tag and command expected\"\r\n"),
        ] {
            let (line, sent) = (std::format!("{command}\r\n"), std::format!("{HELLO}{reply}"));
            server(&[&line], &sent, Err(Error::Closed));
        }
        let go = std::format!("{HELLO}a OK \"Begin TLS negotiation now\"\r\n");
        server(&["a starttls\r\n"], &go, Ok(()));
        let bye = std::format!("{HELLO}* BYE \"Logging out\"\r\na OK \"LOGOUT completed\"\r\n");
        server(&["a LOGOUT\r\n"], &bye, refused(RefusalKind::NotAsked, false));
    }

    #[test]
    fn server_skips_what_literals_hold() {
        let no = std::format!("{HELLO}a NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n");
        server(&["a LANG {12+}\r\nb STARTTLS\r\n\r\n"], &no, Err(Error::Closed));
        let go = std::format!("{no}b OK \"Begin TLS negotiation now\"\r\n");
        server(&["a LANG {12}\r\n", "b STARTTLS\r\n"], &go, Ok(()));
    }

    #[test]
    fn server_that_may_stay_in_plaintext() {
        let not_asked = refused(RefusalKind::NotAsked, false);
        for line in ["a AUTHENTICATE \"PLAIN\"\r\n", "a AUTHENTICATE {5+}\r\n", "\r\n"] {
            let machine = Server::new(&[]).unwrap();
            check(machine, true, &[line], "* ACAP (STARTTLS)\r\n", not_asked);
        }
    }

    #[test]
    fn capabilities_are_checked() {
        for bad in ["", "A\r\n* OK", "\u{fc}", "\0", "A \"", "A)", "(A", "{5", "A}"] {
            assert_eq!(Server::new(&["X", bad]).err(), Some(Misuse::Line.into()), "{bad:?}");
        }
        assert!(Server::new(&[&"x".repeat(1016), "yz"]).is_ok());
        assert!(Server::new(&[&"x".repeat(1017), "yz"]).is_err());
    }

    #[track_caller]
    fn inside(arrived: &str, input: &[&str], end: Result<&str, Error>) {
        check_inside(InsideClient::new(), arrived, input, "", end);
    }

    #[test]
    fn client_waits_for_the_capabilities_inside_tls() {
        inside("", &["* ACAP (SASL \"PLAIN\")\r\n"], Ok(""));
        inside("* acap\r\n", &[], Ok(""));
        // RFC 2595 §5 does not say that STARTTLS is not among them.
        inside("* AC", &["AP (X {12}\r\n* BYE \"x\"\r\n", ") (STARTTLS)\r\n"], Ok(""));
        inside("", &["* ACAP\r\n* ALERT \"x\"\r\n* X"], Ok("* ALERT \"x\"\r\n* X"));
    }

    #[test]
    fn client_takes_nothing_else_inside_tls() {
        for line in ["* OK x\r\n", "* PREAUTH\r\n", "a1 OK\r\n", "+ go\r\n", "220 x\r\n", GO] {
            inside("", &[line, "* ACAP\r\n"], Err(Greeting.into()));
        }
        // The line has to be whole.
        inside("", &["* X {1}\r\nx"], Err(Error::Closed));
        inside("", &["* X {1}\r\nx\r\n"], Err(Greeting.into()));
        for line in ["ACAP\r\n", "\r\n", "* ACAP \"\r\n"] {
            inside("", &[line], Err(Malformed.into()));
        }
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        let refused =
            |later| Err(Error::PeerRefused(Refusal::without_code(RefusalKind::Service, later)));
        inside("", &["* BYE \"x\"\r\n"], refused(false));
        inside("", &["* bye (TRYLATER) {7}\r\n* ACAP ", "\r\n"], refused(true));
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let machine = || InsideServer::new(&["SASL \"PLAIN\""]).unwrap();
        let bad = "a BAD \"TLS is active already\"\r\n";
        let arguments = "a BAD \"Unexpected arguments\"\r\n";
        let login = "a AUTHENTICATE \"PLAIN\" {3+}\r\nabc\r\n";
        for (line, reply) in [
            ("a starttls\r\n", bad),
            ("a STARTTLS x\r\n", arguments),
            ("a STARTTLS {14+}\r\nb STARTTLS\r\n\r\n {2+}\r\nb NOOP\r\n", arguments),
            // Refused, {n} is not sent.
            ("a STARTTLS {99}\r\n", arguments),
        ] {
            let sent = std::format!("* ACAP (SASL \"PLAIN\")\r\n{reply}");
            check_inside(machine(), "", &[line, login], &sent, Ok(login));
            check_inside(machine(), line, &[login], &sent, Ok(login));
        }
        for line in ["a NOOP", "a LOGOUT", "a X \"", "* STARTTLS", "STARTTLS", ""] {
            let line = std::format!("{line}\r\n");
            check_inside(InsideServer::new(&[]).unwrap(), "", &[&line], "* ACAP\r\n", Ok(&line));
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 128 && size_of::<Server<'_>>() <= 128);
        assert!(size_of::<InsideClient>() <= 128 && size_of::<InsideServer<'_>>() <= 128);
    }
}
