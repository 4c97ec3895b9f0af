//! STARTTLS for ManageSieve (RFC 5804 §2.2), both roles.
//!
//! ```text
//! client   capabilities, OK ──► STARTTLS ──OK──► TLS
//!              │                   │ NO
//!              │ NO                ├──► refused, LOGOUT
//!              └────────BYE────────┴──► refused
//!
//! server   capabilities, OK ──► CAPABILITY OK, NOOP OK, the rest NO (ENCRYPT-NEEDED)
//!                           ├──► STARTTLS OK ──► TLS
//!                           └──► LOGOUT OK, refused
//!
//! inside TLS
//! client   capabilities, OK ──► ready
//! server   capabilities, OK ──► CAPABILITY OK, STARTTLS NO; anything else is the application's
//! ```
//!
//! The greeting holds the capabilities, and the client asks for STARTTLS whether it is among them
//! or not, so that hiding it ends in a refusal and never in plaintext. Strings, those behind OK and
//! NO included, may be literals: an answer ends where its last string does.
//!
//! Nothing of the plaintext dialogue survives: the capabilities come again, unasked, inside TLS,
//! and must not hold STARTTLS any more (RFC 5804 §2.2). [`InsideClient`] waits for them, asks
//! nothing, and takes those that do hold it for the greeting of a server that knows of no TLS.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::{Carries, Frame, Literals, MAX_LINE, Out, has_code, is_text};

/// ManageSieve.
pub static MANAGESIEVE: Row = Row {
    name: "managesieve",
    aliases: &[("sieve", 4190)],
    port: 4190,
    implicit: &[],
    alpn: Some("managesieve"),
    specification: "RFC 5804",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static MANAGESIEVE_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.extensions)?)),
    // The capabilities come unasked in any case.
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
    asked: Asked,
    /// What the line that was begun will mean once it is whole.
    response: Response,
    literals: Literals,
    plaintext: bool,
}

/// What a server may say here (RFC 5804 §1.2, §1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    Capability,
    Ok,
    No(Later),
    Bye(Later),
}

/// Whether the server says that a later try may succeed (TRYLATER, RFC 5804 §1.3).
type Later = bool;

impl Response {
    /// Parses the first line of a response.
    fn parse(line: &[u8]) -> Result<Self, Error> {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        if let [b'"' | b'{', ..] = line {
            return Ok(Self::Capability);
        }
        let mut parts = line.splitn(2, |&octet| octet == b' ');
        let (word, text) = (parts.next().unwrap_or_default(), parts.next());
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match has_code(text, "TRYLATER") {
            _ if !is_text(text) => Err(Misbehaviour::Malformed.into()),
            _ if is("OK") => Ok(Self::Ok),
            later if is("NO") => Ok(Self::No(later)),
            later if is("BYE") => Ok(Self::Bye(later)),
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }
}

impl Client {
    /// A client.
    pub fn new() -> Self {
        let (asked, response) = (Asked::Greeting, Response::Capability);
        Self { asked, response, literals: Literals::default(), plaintext: false }
    }

    fn ask(&mut self, behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        // There is nothing that a server may say unasked.
        if !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        out.put(&[b"STARTTLS\r\n"])?;
        (self.asked, self.literals) = (Asked::Starttls, Literals::default());
        Ok(Next::Frame)
    }

    /// Refused: where the policy requires TLS, all that is left to say is goodbye, unless the server
    /// has said it.
    fn refused(
        &self,
        kind: RefusalKind,
        later: Later,
        goodbye: &[u8],
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        if !self.plaintext {
            out.put(&[goodbye])?;
        } else if !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        Err(Error::PeerRefused(Refusal::without_code(kind, later)))
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &MANAGESIEVE
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
        use RefusalKind::{Service, Upgrade};
        let mut literals = self.literals;
        let response = if literals.inside() { self.response } else { Response::parse(frame)? };
        let whole = literals.advance(frame, Carries::Literals)?;
        match (self.asked, response) {
            _ if !whole => {}
            (Asked::Greeting, Response::Capability) => {}
            (Asked::Greeting, Response::Ok) => return self.ask(behind, out),
            (Asked::Starttls, Response::Ok) => return Ok(Next::Tls),
            (_, Response::Bye(later)) => return self.refused(Service, later, b"", behind, out),
            (Asked::Greeting, Response::No(later)) => {
                return self.refused(Service, later, b"LOGOUT\r\n", behind, out);
            }
            (Asked::Starttls, Response::No(later)) => {
                return self.refused(Upgrade, later, b"LOGOUT\r\n", behind, out);
            }
            (Asked::Starttls, Response::Capability) => {
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
    extensions: &'a [&'a str],
    literals: Literals,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// A server whose scripts may use the Sieve `extensions`, a word each (`"fileinto"`).
    ///
    /// # Errors
    /// [`Misuse::Line`] for a word that is empty, not visible ASCII, or holds `"` or `\`, and for
    /// more than 1,024 octets of them, a space each included: a quoted string is no longer
    /// (RFC 5804 §4).
    pub fn new(extensions: &'a [&'a str]) -> Result<Self, Error> {
        check_words(extensions)?;
        Ok(Self { extensions, literals: Literals::default(), plaintext: false })
    }

    /// No mechanism is offered before TLS.
    fn capability(&self, out: &mut Out<'_>) -> Result<(), Error> {
        capability(self.extensions, &[], b"\"STARTTLS\"\r\n", out)
    }
}

/// Words that a quoted string can hold.
fn check_words(words: &[&str]) -> Result<(), Error> {
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"\"\\".contains(&octet);
    let length = words.iter().map(|word| word.len() + 1).sum::<usize>();
    let fit = length <= 1024 && words.iter().all(|w| !w.is_empty() && w.bytes().all(plain));
    if fit { Ok(()) } else { Err(Misuse::Line.into()) }
}

/// The capabilities that RFC 5804 §1.7 demands, and the `upgrade`.
fn capability(
    extensions: &[&str],
    mechanisms: &[&str],
    upgrade: &[u8],
    out: &mut Out<'_>,
) -> Result<(), Error> {
    out.put(&[b"\"IMPLEMENTATION\" \"starttls\"\r\n\"SIEVE\" "])?;
    quote(extensions, out)?;
    out.put(&[b"\"SASL\" "])?;
    quote(mechanisms, out)?;
    out.put(&[upgrade, b"\"VERSION\" \"1.0\"\r\n"])
}

/// The words in one quoted string, which ends the line.
fn quote(words: &[&str], out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"\""])?;
    for (at, word) in words.iter().enumerate() {
        out.put(&[if at == 0 { b"" } else { b" " }, word.as_bytes()])?;
    }
    out.put(&[b"\"\r\n"])
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &MANAGESIEVE
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        self.capability(out)?;
        out.put(&[b"OK \"Ready\"\r\n"])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let (mut literals, mut next) = (self.literals, Next::Frame);
        let goes_on = literals.inside();
        literals.advance(frame, Carries::Unasked)?;
        match Command::parse(frame) {
            // What goes on was answered where it began.
            _ if goes_on => {}
            Command::Starttls => {
                out.put(&[b"OK \"Begin TLS negotiation now\"\r\n"])?;
                next = Next::Tls;
            }
            Command::Capability => {
                self.capability(out)?;
                out.put(&[b"OK \"CAPABILITY completed\"\r\n"])?;
            }
            Command::Noop(None) => out.put(&[b"OK \"NOOP completed\"\r\n"])?,
            // RFC 5804 §2.13.
            Command::Noop(Some(tag)) if is_quoted(tag) => {
                out.put(&[b"OK (TAG ", tag, b") \"NOOP completed\"\r\n"])?
            }
            Command::Logout => {
                out.put(&[b"OK \"LOGOUT completed\"\r\n"])?;
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Noop(_) | Command::Arguments => {
                out.put(&[b"NO \"Unexpected arguments\"\r\n"])?;
            }
            Command::Other if self.plaintext => {
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Other => out.put(&[b"NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"])?,
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
    /// Whether the literal that follows is the name of a capability.
    named: bool,
}

impl InsideClient {
    /// A client behind the hand-over.
    pub fn new() -> Self {
        Self { response: Response::Capability, literals: Literals::default(), named: false }
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
        &MANAGESIEVE
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        let mut literals = self.literals;
        let goes_on = literals.inside();
        let response = if goes_on { self.response } else { Response::parse(frame)? };
        let starttls = match goes_on {
            true => self.named && frame.eq_ignore_ascii_case(b"STARTTLS"),
            false => frame.get(..10).is_some_and(|w| w.eq_ignore_ascii_case(b"\"STARTTLS\"")),
        };
        if starttls {
            return Err(Misbehaviour::Greeting.into());
        }
        let named = !goes_on && frame.starts_with(b"{");
        let whole = literals.advance(frame, Carries::Literals)?;
        let refused = |kind, later| Err(Error::PeerRefused(Refusal::without_code(kind, later)));
        match response {
            _ if !whole => {}
            Response::Capability => {}
            Response::Ok => return Ok(Step::Ready),
            Response::No(later) => return refused(RefusalKind::Inside, later),
            Response::Bye(later) => return refused(RefusalKind::Service, later),
        }
        *self = Self { response, literals, named };
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    extensions: &'a [&'a str],
    mechanisms: &'a [&'a str],
    literals: Literals,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STARTTLS is not offered.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(extensions: &'a [&'a str]) -> Result<Self, Error> {
        let Server { extensions, literals, .. } = Server::new(extensions)?;
        Ok(Self { extensions, mechanisms: &[], literals })
    }

    /// The same with SASL `mechanisms`, a word each (`"PLAIN"`).
    ///
    /// # Errors
    /// As [`Server::new`], for a mechanism.
    pub fn with_sasl(self, mechanisms: &'a [&'a str]) -> Result<Self, Error> {
        check_words(mechanisms)?;
        Ok(Self { mechanisms, ..self })
    }

    fn capability(&self, last: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
        capability(self.extensions, self.mechanisms, b"", out)?;
        out.put(&[last])
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &MANAGESIEVE
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        self.capability(b"OK \"TLS is active\"\r\n", out)?;
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let mut literals = self.literals;
        match Command::parse(frame) {
            // What goes on was answered where it began.
            _ if literals.inside() => {}
            Command::Capability => self.capability(b"OK \"CAPABILITY completed\"\r\n", out)?,
            Command::Starttls => out.put(&[b"NO \"TLS is active already\"\r\n"])?,
            Command::Arguments => out.put(&[b"NO \"Unexpected arguments\"\r\n"])?,
            // A client may say NOOP to find out where it is (RFC 5804 §2.13).
            Command::Noop(_) | Command::Logout | Command::Other => return Ok(Step::Application),
        }
        literals.advance(frame, Carries::Unasked)?;
        self.literals = literals;
        Ok(Step::Frame)
    }
}

/// What a client may say here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command<'a> {
    Capability,
    Starttls,
    /// With what should be a string, to be sent back, if there is one.
    Noop(Option<&'a [u8]>),
    Logout,
    /// One of these, with arguments it does not have.
    Arguments,
    Other,
}

impl<'a> Command<'a> {
    fn parse(line: &'a [u8]) -> Self {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let mut parts = line.splitn(2, |&octet| octet == b' ');
        let (word, argument) = (parts.next().unwrap_or_default(), parts.next());
        let commands = [
            ("CAPABILITY", Self::Capability),
            ("STARTTLS", Self::Starttls),
            ("NOOP", Self::Noop(argument)),
            ("LOGOUT", Self::Logout),
        ];
        let is = |(name, _): &&(&str, Self)| word.eq_ignore_ascii_case(name.as_bytes());
        match (commands.iter().find(is), argument) {
            (Some((_, command)), None) => *command,
            (Some((_, command @ Self::Noop(_))), Some(_)) => *command,
            (Some(_), Some(_)) => Self::Arguments,
            (None, _) => Self::Other,
        }
    }
}

/// Whether this is one quoted string and nothing else.
fn is_quoted(text: &[u8]) -> bool {
    let Some(mut text) = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return false;
    };
    while let [octet, rest @ ..] = text {
        text = match (octet, rest) {
            (b'"', _) | (b'\\', []) => return false,
            (b'\\', [_, rest @ ..]) => rest,
            _ => rest,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Misbehaviour::{Greeting, Malformed, Unsolicited};
    use crate::protocol::vectors::{check, check_inside};

    const HELLO: &str = "\"SIEVE\" \"fileinto\"\r\n\"STARTTLS\"\r\nOK\r\n";
    const ASKED: &str = "STARTTLS\r\n";
    const LOGOUT: &str = "STARTTLS\r\nLOGOUT\r\n";

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Client::new(), false, input, sent, end);
    }

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Server::new(&["fileinto", "vacation"]).unwrap(), false, input, sent, end);
    }

    fn refused(kind: RefusalKind, temporary: bool) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal::without_code(kind, temporary)))
    }

    #[test]
    fn client_reaches_tls() {
        client(&[HELLO, "OK \"go\"\r\n"], ASKED, Ok(()));
        // Hidden or not, the client asks.
        client(&["ok \"\"\r\n", "oK\r\n"], ASKED, Ok(()));
        let hello = "{5}\r\nSIEVE {4}\r\nOK\r\n\r\n\"X\"\r\nOK {2+}\r\n\"!\r\n";
        client(&[hello, "OK (TAG {4}\r\nNO\r\n) {0}\r\n\r\n"], ASKED, Ok(()));
    }

    #[test]
    fn client_refusals_are_typed() {
        use RefusalKind::{Service, Upgrade};
        client(&["NO \"x\"\r\n"], "LOGOUT\r\n", refused(Service, false));
        client(&["\"X\"\r\nBYE (TRYLATER) \"x\"\r\n"], "", refused(Service, true));
        client(&[HELLO, "bye {1}\r\nx\r\n"], ASKED, refused(Service, false));
        for (reply, temporary) in [
            ("NO", false),
            ("no \"x\"", false),
            ("NO (TRYLATER) \"x\"", true),
            ("NO (TRYLATER/X) \"x\"", false),
            ("NO (TRYLATER) {4}\r\nOK\r\n", true),
        ] {
            let reply = std::format!("{reply}\r\n");
            client(&[HELLO, &reply], LOGOUT, refused(Upgrade, temporary));
            // How the greeting ended says nothing about the answer.
            client(&["OK {1}\r\n!\r\n", &reply], LOGOUT, refused(Upgrade, temporary));
        }
    }

    #[test]
    fn client_takes_nothing_else() {
        for line in ["* OK x\r\n", "\r\n", "OK x\r\n", "OKAY\r\n", " OK\r\n", "OK \r\n", "\"\r\n"] {
            client(&[line], "", Err(Malformed.into()));
            client(&[HELLO, line], ASKED, Err(Malformed.into()));
        }
        let strange = Misbehaviour::UnexpectedReply(0);
        client(&[HELLO, "\"SASL\" \"\"\r\n"], ASKED, Err(strange.into()));
    }

    #[test]
    fn client_refuses_what_stands_behind() {
        let early = std::format!("{HELLO}O");
        client(&[&early], "", Err(Unsolicited.into()));
        let end = Err(Misbehaviour::BytesAfterUpgrade.into());
        client(&[HELLO, "OK\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n"], ASKED, end);
        client(&[HELLO, "OK {2}\r\nxx\r\nO"], ASKED, end);
        // The text is not whole: TLS does not begin in the middle of it.
        client(&[HELLO, "OK {2}\r\nxx"], ASKED, Err(Error::Closed));
    }

    const READY: &str = "\"IMPLEMENTATION\" \"starttls\"\r\n\"SIEVE\" \"fileinto vacation\"\r\n\
                         \"SASL\" \"\"\r\n\"STARTTLS\"\r\n\"VERSION\" \"1.0\"\r\nOK \"Ready\"\r\n";

    #[test]
    fn server_answers() {
        let caps = READY.replace("Ready", "CAPABILITY completed");
        for (command, reply) in [
            ("capability", &caps[..]),
            ("NOOP", "OK \"NOOP completed\"\r\n"),
            ("noop \"a \\\"b\\\\\"", "OK (TAG \"a \\\"b\\\\\") \"NOOP completed\"\r\n"),
            ("NOOP \"a\" \"b\"", "NO \"Unexpected arguments\"\r\n"),
            ("NOOP x", "NO \"Unexpected arguments\"\r\n"),
            ("NOOP ", "NO \"Unexpected arguments\"\r\n"),
            ("STARTTLS ", "NO \"Unexpected arguments\"\r\n"),
            ("LOGOUT {5}", "NO \"Unexpected arguments\"\r\n"),
            ("AUTHENTICATE \"X\"", "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
            ("STARTTLSX", "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
            ("a STARTTLS", "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
            ("", "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n"),
        ] {
            let (line, sent) = (std::format!("{command}\r\n"), std::format!("{READY}{reply}"));
            server(&[&line], &sent, Err(Error::Closed));
        }
        let go = std::format!("{READY}OK \"Begin TLS negotiation now\"\r\n");
        server(&["starttls\r\n"], &go, Ok(()));
        let bye = std::format!("{READY}OK \"LOGOUT completed\"\r\n");
        server(&["Logout\r\n"], &bye, refused(RefusalKind::NotAsked, false));
    }

    #[test]
    fn server_skips_what_literals_hold() {
        let no = std::format!("{READY}NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"\r\n");
        server(&["PUTSCRIPT \"x\" {10+}\r\nSTARTTLS\r\n\r\n"], &no, Err(Error::Closed));
        let go = std::format!("{no}OK \"Begin TLS negotiation now\"\r\n");
        server(&["PUTSCRIPT \"x\" {10}\r\n", "STARTTLS\r\n"], &go, Ok(()));
        let arguments = std::format!("{READY}NO \"Unexpected arguments\"\r\n");
        server(&["NOOP {10+}\r\nSTARTTLS\r\n\r\n"], &arguments, Err(Error::Closed));
    }

    #[test]
    fn server_that_may_stay_in_plaintext() {
        let not_asked = refused(RefusalKind::NotAsked, false);
        let ready = READY.replace("fileinto vacation", "");
        for line in ["AUTHENTICATE \"X\"\r\n", "AUTHENTICATE {5+}\r\n", "\r\n"] {
            check(Server::new(&[]).unwrap(), true, &[line], &ready, not_asked);
        }
    }

    #[test]
    fn quoted_strings() {
        for good in ["\"\"", "\"a\"", "\"\\\"\"", "\"\\\\\""] {
            assert!(is_quoted(good.as_bytes()), "{good}");
        }
        for bad in ["", "\"", "a\"", "\"a", "\"a\"b\"", "\"\\\"", "\"\\\\\"\""] {
            assert!(!is_quoted(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn extensions_are_checked() {
        for bad in ["", "A B", "A\r\nOK", "\u{fc}", "\0", "A\"", "A\\"] {
            assert_eq!(Server::new(&["x", bad]).err(), Some(Misuse::Line.into()), "{bad:?}");
        }
        assert!(Server::new(&[&"x".repeat(1020), "yz"]).is_ok());
        assert!(Server::new(&[&"x".repeat(1021), "yz"]).is_err());
    }

    #[track_caller]
    fn inside(arrived: &str, input: &[&str], end: Result<&str, Error>) {
        check_inside(InsideClient::new(), arrived, input, "", end);
    }

    #[test]
    fn client_waits_for_the_capabilities_inside_tls() {
        inside("", &["\"SIEVE\" \"fileinto\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n"], Ok(""));
        inside("\"X\"", &["\r\n", "ok \"x\"\r", "\n"], Ok(""));
        inside("", &["{2}\r\nOK \"\"\r\nOK (TAG {4}\r\nNO\r\n) {0}\r\n\r\n"], Ok(""));
    }

    #[test]
    fn client_takes_no_greeting_from_before_tls() {
        let end = || Err(Greeting.into());
        for line in ["\"STARTTLS\"", "\"StartTLS\" \"x\"", "{8}\r\nSTARTTLS", "{8+}\r\nstarttls"] {
            let greeting = std::format!("\"SIEVE\" \"\"\r\n{line}\r\nOK\r\n");
            inside("", &[&greeting], end());
            inside(&greeting, &[], end());
        }
        // These are other capabilities, values and texts.
        for line in [
            "\"STARTTLSX\"",
            "\"X\" \"STARTTLS\"",
            "{9}\r\nSTARTTLSX",
            "\"X\" {8}\r\nSTARTTLS",
            "{1}\r\nX {8}\r\nSTARTTLS",
            "OK {8}\r\nSTARTTLS",
        ] {
            inside("", &[&std::format!("{line}\r\n"), "OK\r\n"], Ok(""));
        }
    }

    #[test]
    fn client_takes_nothing_else_inside_tls() {
        for line in ["* OK x\r\n", "+OK x\r\n", "220 x\r\n", "\r\n", "OK x\r\n", "\"\r\n"] {
            inside("", &[line], Err(Malformed.into()));
        }
        inside("", &["OK\r\nO"], Err(Unsolicited.into()));
        inside("OK\r\nOK\r\n", &[], Err(Unsolicited.into()));
        // The text has to be whole.
        inside("", &["OK {2}\r\nxx"], Err(Error::Closed));
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        use RefusalKind::{Inside, Service};
        let refused = |kind, later| Err(Error::PeerRefused(Refusal::without_code(kind, later)));
        inside("", &["\"X\"\r\nBYE \"x\"\r\n"], refused(Service, false));
        inside("", &["bye (TRYLATER) {2}\r\nOK\r\n"], refused(Service, true));
        inside("", &["NO\r\n"], refused(Inside, false));
        inside("", &["\"X\"\r\nNO (TRYLATER) {4}\r\nOK\r\n\r\n"], refused(Inside, true));
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let machine = || InsideServer::new(&["fileinto"]).unwrap().with_sasl(&["PLAIN", "LOGIN"]);
        let list = |text: &str| {
            std::format!(
                "\"IMPLEMENTATION\" \"starttls\"\r\n\"SIEVE\" \"fileinto\"\r\n\
                 \"SASL\" \"PLAIN LOGIN\"\r\n\"VERSION\" \"1.0\"\r\nOK \"{text}\"\r\n"
            )
        };
        let arguments = "NO \"Unexpected arguments\"\r\n";
        let login = "AUTHENTICATE \"PLAIN\" {3+}\r\nabc\r\n";
        for (line, reply) in [
            ("Capability\r\n", &*list("CAPABILITY completed")),
            ("StartTls\r\n", "NO \"TLS is active already\"\r\n"),
            ("STARTTLS x\r\n", arguments),
            ("CAPABILITY {10+}\r\nSTARTTLS\r\n {2+}\r\nNO\r\n", arguments),
            // Refused, {n} is not sent.
            ("STARTTLS {99}\r\n", arguments),
        ] {
            let sent = list("TLS is active") + reply;
            check_inside(machine().unwrap(), "", &[line, login], &sent, Ok(login));
            check_inside(machine().unwrap(), line, &[login], &sent, Ok(login));
        }
        for line in ["NOOP", "NOOP \"x\"", "NOOP {1+}", "X \"", "a STARTTLS", ""] {
            let line = std::format!("{line}\r\n");
            check_inside(machine().unwrap(), "", &[&line], &list("TLS is active"), Ok(&line));
        }
    }

    #[test]
    fn mechanisms_are_checked() {
        for bad in ["", "A B", "A\r\nOK", "A\"", "A\\"] {
            let error = InsideServer::new(&[]).unwrap().with_sasl(&["PLAIN", bad]).err();
            assert_eq!(error, Some(Misuse::Line.into()), "{bad:?}");
        }
        assert!(InsideServer::new(&["A B"]).is_err());
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 128 && size_of::<Server<'_>>() <= 128);
        assert!(size_of::<InsideClient>() <= 128 && size_of::<InsideServer<'_>>() <= 128);
    }
}
