//! STARTTLS for IMAP (RFC 9051 §6.2.1, first RFC 2595 §3), both roles.
//!
//! ```text
//! client   greeting ──OK──► CAPABILITY ──done──► STARTTLS ──OK──► TLS
//!              │ PREAUTH         │                  │ NO, BAD
//!              ├─────────────────┼──────────────────┴► refused, LOGOUT
//!              └───────BYE───────┴──────────────────── refused
//!
//! server   * OK ──► CAPABILITY OK, NOOP OK, the rest NO [PRIVACYREQUIRED] ──► STARTTLS OK ──► TLS
//!                                                                         └──► LOGOUT OK, refused
//!
//! inside TLS
//! client   [greeting ──OK, PREAUTH──►] CAPABILITY ──OK──► ready
//! server   [* OK ──►] CAPABILITY OK, STARTTLS BAD; anything else is the application's
//! ```
//!
//! The client asks for STARTTLS whether it is advertised or not, so that hiding the capability ends
//! in a refusal and never in plaintext. What the server says unasked (`* …`) is dropped, literals
//! and all. A greeting with PREAUTH rules STARTTLS out (RFC 9051 §7.1.4): it is a refusal.
//!
//! Nothing of the plaintext dialogue survives: [`InsideClient`] asks for the capabilities again,
//! and takes a greeting there for an attack, for there is no second one (RFC 9051 §6.2.1). But
//! behind implicit TLS it waits for one, and PREAUTH is welcome there.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::wire::{Carries, Frame, Literals, MAX_LINE, Out, Tagged, Tags, has_code, only_untagged};

/// IMAP.
pub static IMAP: Row = Row {
    name: "imap",
    aliases: &[],
    port: 143,
    implicit: &[("imaps", 993)],
    alpn: Some("imap"),
    specification: "RFC 9051, RFC 2595",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static IMAP_MACHINES: Machines = Machines {
    client: |names| {
        let random = names.random.ok_or(Misuse::Randomness)?;
        Ok(alloc::boxed::Box::new(Client::new(random)))
    },
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.extensions)?)),
    inside_client: |names, greeted| {
        let random = names.random.ok_or(Misuse::Randomness)?;
        Ok(alloc::boxed::Box::new(InsideClient::new(random).greeted(greeted)))
    },
    inside_server: |names, greets| {
        Ok(alloc::boxed::Box::new(InsideServer::new(names.extensions)?.greets(greets)))
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Capability,
    Starttls,
}

/// The client's side.
#[derive(Debug)]
pub struct Client {
    tags: Tags,
    asked: Asked,
    literals: Literals,
    plaintext: bool,
}

/// What a server may say here (RFC 9051 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    Ok,
    Preauth,
    Bye,
    /// Anything else that begins with `*`.
    Unasked,
    /// `+`
    Continue,
    /// The answer to the last command.
    Done(Done),
    /// An answer to no command of ours.
    Strange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Ok,
    Refused,
}

impl Client {
    /// A client whose tags come from `random`: octets that nobody can guess, so that nobody can
    /// answer a command before it is sent.
    pub fn new(random: [u8; 16]) -> Self {
        let (tags, literals) = (Tags::new(random), Literals::default());
        Self { tags, asked: Asked::Greeting, literals, plaintext: false }
    }

    fn ask(
        &mut self,
        next: Asked,
        command: [&[u8]; 2],
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        ask(command, behind, out)?;
        (self.asked, self.literals) = (next, Literals::default());
        Ok(Next::Frame)
    }

    /// Refused: where the policy requires TLS, all that is left to say is goodbye.
    fn refused(
        &self,
        kind: RefusalKind,
        line: Option<Tagged<'_>>,
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
        Err(refusal(kind, line))
    }
}

impl Response {
    fn parse(line: Tagged<'_>, expected: &[u8]) -> Result<Self, Error> {
        Ok(match line.tag {
            b"*" if line.is("OK") => Self::Ok,
            b"*" if line.is("PREAUTH") => Self::Preauth,
            b"*" if line.is("BYE") => Self::Bye,
            b"*" => Self::Unasked,
            b"+" => Self::Continue,
            tag if tag != expected => Self::Strange,
            _ if line.is("OK") => Self::Done(Done::Ok),
            _ if line.is("NO") || line.is("BAD") => Self::Done(Done::Refused),
            _ => return Err(Misbehaviour::Malformed.into()),
        })
    }

    /// Takes in a frame of the answer to the command with the tag `expected`, and its line, where
    /// it begins one.
    fn hear<'a>(
        literals: &mut Literals,
        frame: &'a [u8],
        expected: &[u8],
    ) -> Result<(Self, Option<Tagged<'a>>), Error> {
        if literals.inside() {
            literals.advance(frame, Carries::Literals)?;
            return Ok((Self::Unasked, None));
        }
        let line = Tagged::parse(frame).ok_or(Misbehaviour::Malformed)?;
        let response = Self::parse(line, expected)?;
        literals.advance(frame, carries(frame))?;
        Ok((response, Some(line)))
    }
}

/// Says a tag and its command. `behind` them only what a server may say unasked has been said.
fn ask(command: [&[u8]; 2], behind: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
    if !only_untagged(behind, carries) {
        return Err(Misbehaviour::Unsolicited.into());
    }
    let [tag, command] = command;
    out.put(&[tag, b" ", command, b"\r\n"])
}

/// The refusal that `line` is.
fn refusal(kind: RefusalKind, line: Option<Tagged<'_>>) -> Error {
    // RFC 5530 §3.
    let temporary = line.is_some_and(|line| has_code(line.rest, "UNAVAILABLE"));
    Error::PeerRefused(Refusal::without_code(kind, temporary))
}

/// What a server's line may announce: a status ends in free text (RFC 9051 §7.1).
fn carries(line: &[u8]) -> Carries {
    match Tagged::parse(line) {
        Some(line) if ["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|word| line.is(word)) => {
            Carries::Nothing
        }
        _ => Carries::Literals,
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &IMAP
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
        let expected = match self.asked {
            Asked::Greeting | Asked::Capability => self.tags.capability(),
            Asked::Starttls => self.tags.starttls(),
        };
        let (response, line) = Response::hear(&mut literals, frame, &expected)?;
        match (self.asked, response) {
            (Asked::Greeting, Response::Ok) => {
                let tag = self.tags.capability();
                self.ask(Asked::Capability, [&tag, b"CAPABILITY"], behind, out)
            }
            (Asked::Greeting, Response::Preauth) => {
                self.refused(RefusalKind::NotOffered, line, behind, out)
            }
            (_, Response::Bye) => self.refused(RefusalKind::Service, line, behind, out),
            (Asked::Greeting, _) => Err(Misbehaviour::Greeting.into()),
            (_, Response::Ok | Response::Unasked) => {
                self.literals = literals;
                Ok(Next::Frame)
            }
            (Asked::Capability, Response::Done(_)) => {
                let tag = self.tags.starttls();
                self.ask(Asked::Starttls, [&tag, b"STARTTLS"], behind, out)
            }
            (Asked::Starttls, Response::Done(Done::Ok)) => Ok(Next::Tls),
            (Asked::Starttls, Response::Done(Done::Refused)) => {
                self.refused(RefusalKind::Upgrade, line, behind, out)
            }
            (_, Response::Preauth | Response::Continue | Response::Strange) => {
                Err(Misbehaviour::UnexpectedReply(0).into())
            }
        }
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
    /// A server that offers `capabilities`, a word each (`"ID"`, `"IMAP4rev2"`), beside STARTTLS;
    /// `IMAP4rev1` where they name no version, and `LOGINDISABLED` unless plaintext is allowed.
    ///
    /// # Errors
    /// [`Misuse::Line`] for a word that is not an atom (RFC 9051 §9), and for more than 1,024 octets
    /// of them, a space each included.
    pub fn new(capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let atom_char = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet);
        let atom = |word: &&str| !word.is_empty() && word.bytes().all(atom_char);
        let length = capabilities.iter().map(|word| word.len() + 1).sum::<usize>();
        if length > 1024 || !capabilities.iter().all(atom) {
            return Err(Misuse::Line.into());
        }
        Ok(Self { capabilities, literals: Literals::default(), plaintext: false })
    }

    fn capability(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let upgrade: &[&[u8]] = match self.plaintext {
            true => &[b" STARTTLS"],
            false => &[b" STARTTLS", b" LOGINDISABLED"],
        };
        capability(self.capabilities, upgrade, out)
    }
}

/// The list of all capabilities, those about the upgrade among them.
fn capability(words: &[&str], upgrade: &[&[u8]], out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"CAPABILITY"])?;
    let version = |word: &&str| word.get(..5).is_some_and(|w| w.eq_ignore_ascii_case("IMAP4"));
    if !words.iter().any(version) {
        out.put(&[b" IMAP4rev1"])?;
    }
    out.put(upgrade)?;
    for word in words {
        out.put(&[b" ", word.as_bytes()])?;
    }
    Ok(())
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &IMAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[b"* OK ["])?;
        self.capability(out)?;
        out.put(&[b"] ready\r\n"])?;
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
            Command::Capability => {
                out.put(&[b"* "])?;
                self.capability(out)?;
                out.put(&[b"\r\n", tag, b" OK CAPABILITY completed\r\n"])?;
            }
            Command::Starttls => {
                out.put(&[tag, b" OK Begin TLS negotiation now\r\n"])?;
                next = Next::Tls;
            }
            Command::Noop => out.put(&[tag, b" OK NOOP completed\r\n"])?,
            Command::Logout => {
                out.put(&[b"* BYE Logging out\r\n", tag, b" OK LOGOUT completed\r\n"])?;
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Arguments => out.put(&[tag, b" BAD Unexpected arguments\r\n"])?,
            Command::Other | Command::None if self.plaintext => {
                return Err(Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, 0)));
            }
            Command::Other => out.put(&[tag, b" NO [PRIVACYREQUIRED] Use STARTTLS first\r\n"])?,
            Command::None => out.put(&[b"* BAD Tag and command expected\r\n"])?,
        }
        self.literals = literals;
        Ok(next)
    }
}

/// The client's side inside TLS: asks for the capabilities again.
#[derive(Debug)]
pub struct InsideClient {
    tags: Tags,
    asked: Asked,
    /// Whether a line was heard: the first may be a greeting, and no other.
    heard: bool,
    literals: Literals,
}

impl InsideClient {
    /// As [`Client::new`], inside TLS. The same `random` will do: its tag is none of that client's.
    pub fn new(random: [u8; 16]) -> Self {
        let (tags, literals) = (Tags::new(random), Literals::default());
        Self { tags, asked: Asked::Capability, heard: false, literals }
    }

    /// Whether the server greets first: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greeted(self, greeted: bool) -> Self {
        Self { asked: if greeted { Asked::Greeting } else { Asked::Capability }, ..self }
    }

    fn ask(&self, behind: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
        ask([&self.tags.inside(), b"CAPABILITY"], behind, out)
    }
}

impl Inside for InsideClient {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &IMAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    /// There may be news at any time (RFC 9051 §5.3).
    fn goes_on(&self) -> bool {
        true
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.asked {
            Asked::Greeting => {}
            _ if arrived.is_empty() => self.ask(b"", out)?,
            _ => return Err(Misbehaviour::Greeting.into()),
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.literals.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let mut literals = self.literals;
        let (response, line) = Response::hear(&mut literals, frame, &self.tags.inside())?;
        match (self.asked, response) {
            (_, Response::Bye) => return Err(refusal(RefusalKind::Service, line)),
            (Asked::Greeting, Response::Ok | Response::Preauth) => {
                self.ask(behind, out)?;
                (self.asked, literals) = (Asked::Capability, Literals::default());
            }
            (Asked::Greeting, _) => return Err(Misbehaviour::Greeting.into()),
            (_, Response::Ok | Response::Preauth) if !self.heard => {
                return Err(Misbehaviour::Greeting.into());
            }
            (_, Response::Ok | Response::Unasked) => {}
            (_, Response::Done(Done::Ok)) => return Ok(Step::Ready),
            (_, Response::Done(Done::Refused)) => return Err(refusal(RefusalKind::Inside, line)),
            (_, Response::Preauth | Response::Continue | Response::Strange) => {
                return Err(Misbehaviour::UnexpectedReply(0).into());
            }
        }
        (self.heard, self.literals) = (true, literals);
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    capabilities: &'a [&'a str],
    literals: Literals,
    greets: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STARTTLS is not offered, and LOGIN is not disabled.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let Server { capabilities, literals, .. } = Server::new(capabilities)?;
        Ok(Self { capabilities, literals, greets: false })
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
        &IMAP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if self.greets {
            out.put(&[b"* OK ["])?;
            capability(self.capabilities, &[], out)?;
            out.put(&[b"] ready\r\n"])?;
        }
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
            Command::Capability => {
                out.put(&[b"* "])?;
                capability(self.capabilities, &[], out)?;
                out.put(&[b"\r\n", tag, b" OK CAPABILITY completed\r\n"])?;
            }
            // RFC 9051 §6.2.1.
            Command::Starttls => out.put(&[tag, b" BAD TLS is active already\r\n"])?,
            Command::Arguments => out.put(&[tag, b" BAD Unexpected arguments\r\n"])?,
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
    Capability,
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
        let commands = [
            ("CAPABILITY", Self::Capability),
            ("STARTTLS", Self::Starttls),
            ("NOOP", Self::Noop),
            ("LOGOUT", Self::Logout),
        ];
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
    const CAPABILITY: &str = "a001000000000001 CAPABILITY\r\n";
    const ASKED: &str = "a001000000000001 CAPABILITY\r\na002000000000002 STARTTLS\r\n";
    const LOGOUT: &str = "a001000000000001 CAPABILITY\r\na002000000000002 STARTTLS\r\n\
                          00000001a0020000 LOGOUT\r\n";
    const DONE: &str = "a001000000000001 OK done\r\n";
    const GO: &str = "a002000000000002 OK go\r\n";

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Client::new(RANDOM), false, input, sent, end);
    }

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Server::new(&["ID"]).unwrap(), false, input, sent, end);
    }

    fn refused(kind: RefusalKind, temporary: bool) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal::without_code(kind, temporary)))
    }

    #[test]
    fn client_reaches_tls() {
        client(&["* OK x\r\n", DONE, GO], ASKED, Ok(()));
        client(&["* ok\r\n", "* CAPABILITY IMAP4rev1\r\n", DONE, GO], ASKED, Ok(()));
        // Unasked lines, literals and refusals of CAPABILITY on the way.
        let list = "* LIST () \"/\" {24}\r\na002000000000002 OK go\r\n)\r\n";
        client(&["* OK x\r\n* 1 EXISTS\r\n", list, DONE, list, GO], ASKED, Ok(()));
        client(&["* OK x\r\n", "a001000000000001 BAD what\r\n", GO], ASKED, Ok(()));
        client(&["* OK {9}\r\n", "* OK {9}\r\n", DONE, GO], ASKED, Ok(()));
    }

    #[test]
    fn client_refusals_are_typed() {
        use RefusalKind::{NotOffered, Service, Upgrade};
        let logout = "00000001a0020000 LOGOUT\r\n";
        client(&["* PREAUTH x\r\n"], logout, refused(NotOffered, false));
        client(&["* BYE x\r\n"], "", refused(Service, false));
        client(&["* BYE [UNAVAILABLE] x\r\n"], "", refused(Service, true));
        client(&["* OK x\r\n", "* BYE x\r\n"], CAPABILITY, refused(Service, false));
        client(&["* OK x\r\n", DONE, "* BYE x\r\n"], ASKED, refused(Service, false));
        for (reply, temporary) in
            [("NO x", false), ("BAD x", false), ("no", false), ("NO [unavailable] x", true)]
        {
            let reply = std::format!("a002000000000002 {reply}\r\n");
            client(&["* OK x\r\n", DONE, &reply], LOGOUT, refused(Upgrade, temporary));
        }
    }

    #[test]
    fn client_takes_nothing_else() {
        for line in ["* NO x\r\n", "* 1 EXISTS\r\n", "a1 OK x\r\n", "+ go\r\n", DONE] {
            client(&[line], "", Err(Greeting.into()));
        }
        client(&["220 x\r\n"], "", Err(Greeting.into()));
        client(&["OK\r\n"], "", Err(Malformed.into()));
        let strange = Misbehaviour::UnexpectedReply(0);
        for line in ["+ go\r\n", "* PREAUTH x\r\n", "a1 OK x\r\n", GO] {
            client(&["* OK x\r\n", line], CAPABILITY, Err(strange.into()));
        }
        for line in ["+ go\r\n", "a002 OK x\r\n", "A002000000000002 OK x\r\n", DONE] {
            client(&["* OK x\r\n", DONE, line], ASKED, Err(strange.into()));
        }
        for line in ["a002000000000002 OKAY\r\n", "a002000000000002\r\n", "*\r\n", "* X \"\r\n"] {
            client(&["* OK x\r\n", DONE, line], ASKED, Err(Malformed.into()));
        }
    }

    #[test]
    fn client_refuses_answers_before_the_question() {
        client(&["* OK x\r\na001000000000001 OK x\r\n"], "", Err(Unsolicited.into()));
        client(&["* OK x\r\na"], "", Err(Unsolicited.into()));
        let early = std::format!("{DONE}* OK {{9}}\r\n{GO}");
        client(&["* OK x\r\n", &early], CAPABILITY, Err(Unsolicited.into()));
        let behind = std::format!("{GO}* CAPABILITY\r\n");
        let end = Err(Misbehaviour::BytesAfterUpgrade.into());
        client(&["* OK x\r\n", DONE, &behind], ASKED, end);
    }

    const READY: &str = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED ID] ready\r\n";

    #[test]
    fn server_answers() {
        let capability = "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED ID\r\n\
                          a OK CAPABILITY completed\r\n";
        for (command, reply) in [
            ("a CAPABILITY", capability),
            ("a noop", "a OK NOOP completed\r\n"),
            ("a NOOP x", "a BAD Unexpected arguments\r\n"),
            ("a STARTTLS ", "a BAD Unexpected arguments\r\n"),
            ("a LOGIN u p", "a NO [PRIVACYREQUIRED] Use STARTTLS first\r\n"),
            ("a STARTTLSX", "a NO [PRIVACYREQUIRED] Use STARTTLS first\r\n"),
            ("STARTTLS", "* BAD Tag and command expected\r\n"),
            ("* STARTTLS", "* BAD Tag and command expected\r\n"),
            ("a  STARTTLS", "* BAD Tag and command expected\r\n"),
            ("", "* BAD Tag and command expected\r\n"),
        ] {
            let (line, sent) = (std::format!("{command}\r\n"), std::format!("{READY}{reply}"));
            server(&[&line], &sent, Err(Error::Closed));
        }
        let go = std::format!("{READY}a.1 OK Begin TLS negotiation now\r\n");
        server(&["a.1 starttls\r\n"], &go, Ok(()));
        let bye = std::format!("{READY}* BYE Logging out\r\na OK LOGOUT completed\r\n");
        server(&["a LOGOUT\r\n"], &bye, refused(RefusalKind::NotAsked, false));
    }

    #[test]
    fn server_skips_what_literals_hold() {
        let no = std::format!("{READY}a NO [PRIVACYREQUIRED] Use STARTTLS first\r\n");
        let login = "a LOGIN {14+}\r\nb STARTTLS\r\n\r\n {2+}\r\nb STARTTLS\r\n";
        server(&[login], &no, Err(Error::Closed));
        // Refused, {n} is not sent.
        let go = std::format!("{no}b OK Begin TLS negotiation now\r\n");
        server(&["a LOGIN {14}\r\n", "b STARTTLS\r\n"], &go, Ok(()));
    }

    #[test]
    fn server_that_may_stay_in_plaintext() {
        let ready = "* OK [CAPABILITY STARTTLS imap4rev2] ready\r\n";
        let not_asked = refused(RefusalKind::NotAsked, false);
        for line in ["a LOGIN u p\r\n", "a LOGIN {4+}\r\n", "\r\n"] {
            let machine = Server::new(&["imap4rev2"]).unwrap();
            check(machine, true, &[line], ready, not_asked);
        }
    }

    #[test]
    fn capabilities_are_checked() {
        for bad in ["", "A B", "A\r\n* OK", "\u{fc}", "\0", "A]", "(A", "\"A\"", "A\\", "A*"] {
            assert_eq!(Server::new(&["ID", bad]).err(), Some(Misuse::Line.into()), "{bad:?}");
        }
        assert!(Server::new(&[&"x".repeat(1020), "yz"]).is_ok());
        assert!(Server::new(&[&"x".repeat(1021), "yz"]).is_err());
    }

    const INSIDE: &str = "00000001a0020000 CAPABILITY\r\n";
    const LISTED: &str = "* CAPABILITY IMAP4rev1\r\n00000001a0020000 OK done\r\n";

    #[track_caller]
    fn inside(greeted: bool, arrived: &str, input: &[&str], sent: &str, end: Result<&str, Error>) {
        let machine = InsideClient::new(RANDOM).greeted(greeted);
        check_inside(machine, arrived, input, sent, end);
    }

    #[test]
    fn client_asks_again_inside_tls() {
        inside(false, "", &[LISTED], INSIDE, Ok(""));
        inside(
            false,
            "",
            &["* CAP", "ABILITY X\r", "\n00000001a0020000 ok", "\r\n"],
            INSIDE,
            Ok(""),
        );
        // Once the answer has begun, there may be news, and literals in them.
        let news = "* CAPABILITY X\r\n* OK x\r\n* NO {5}\r\n* X {2}\r\n* \r\n";
        inside(false, "", &[news, "00000001a0020000 OK\r\n"], INSIDE, Ok(""));
        inside(false, "", &["* NO x\r\n* OK x\r\n", LISTED], INSIDE, Ok(""));
        // And behind it, where they are the application's.
        let behind = std::format!("{LISTED}* 1 EXISTS\r\n* 2");
        inside(false, "", &[&behind], INSIDE, Ok("* 1 EXISTS\r\n* 2"));
    }

    #[test]
    fn client_waits_for_the_greeting_of_implicit_tls() {
        for greeting in ["* OK x\r\n", "* PREAUTH x\r\n", "* ok [ALERT] x\r\n* OK {9}\r\n"] {
            inside(true, "", &[greeting, LISTED], INSIDE, Ok(""));
            inside(true, greeting, &[LISTED], INSIDE, Ok(""));
        }
        // Behind it, OK is no greeting.
        inside(true, "", &["* OK x\r\n", "* OK x\r\n", LISTED], INSIDE, Ok(""));
    }

    #[test]
    fn client_takes_no_greeting_but_where_it_belongs() {
        let end = || Err(Greeting.into());
        for greeting in ["* OK x\r\n", "* PREAUTH x\r\n", "* ok\r\n"] {
            inside(false, greeting, &[], "", end());
            inside(false, "", &[greeting], INSIDE, end());
        }
        inside(false, "*", &[], "", end());
        for line in ["* NO x\r\n", "* CAPABILITY X\r\n", "a1 OK x\r\n", "+ go\r\n", LISTED] {
            inside(true, "", &[line], "", end());
        }
    }

    #[test]
    fn client_takes_nothing_else_inside_tls() {
        let strange = || Err(Misbehaviour::UnexpectedReply(0).into());
        for line in ["+ go\r\n", "a1 OK x\r\n", DONE, GO] {
            inside(false, "", &[line], INSIDE, strange());
        }
        inside(false, "", &["* 1 EXISTS\r\n* PREAUTH x\r\n"], INSIDE, strange());
        inside(true, "* OK x\r\n", &["* PREAUTH x\r\n"], INSIDE, strange());
        for line in ["220 x\r\n", "OK\r\n", "00000001a0020000 OKAY\r\n", "* X \"\r\n"] {
            let end = if line.starts_with("220") { strange() } else { Err(Malformed.into()) };
            inside(false, "", &[line], INSIDE, end);
        }
        let early = std::format!("* OK x\r\n{LISTED}");
        inside(true, "", &[&early], "", Err(Unsolicited.into()));
        inside(true, "* OK x\r\n* X\r\n0", &[], "", Err(Unsolicited.into()));
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        use RefusalKind::{Inside, Service};
        let refused =
            |kind, temporary| Err(Error::PeerRefused(Refusal::without_code(kind, temporary)));
        inside(false, "", &["* BYE x\r\n"], INSIDE, refused(Service, false));
        inside(false, "", &["* CAPABILITY X\r\n* BYE\r\n"], INSIDE, refused(Service, false));
        inside(true, "", &["* BYE [UNAVAILABLE] x\r\n"], "", refused(Service, true));
        for (reply, temporary) in [("NO x", false), ("bad", false), ("NO [UNAVAILABLE] x", true)] {
            let reply = std::format!("00000001a0020000 {reply}\r\n");
            inside(false, "", &[&reply], INSIDE, refused(Inside, temporary));
        }
    }

    #[track_caller]
    fn serves(greets: bool, input: &[&str], sent: &str, end: Result<&str, Error>) {
        let machine = InsideServer::new(&["ID"]).unwrap().greets(greets);
        check_inside(machine, "", input, sent, end);
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let list = "* CAPABILITY IMAP4rev1 ID\r\na OK CAPABILITY completed\r\n";
        let bad = "a BAD TLS is active already\r\n";
        let arguments = "a BAD Unexpected arguments\r\n";
        for (line, reply) in [
            ("a capability\r\n", list),
            ("a STARTTLS\r\n", bad),
            ("a STARTTLS x\r\n", arguments),
            ("a CAPABILITY {2+}\r\nx\n\r\n", arguments),
            ("a STARTTLS {14+}\r\nb STARTTLS\r\n\r\n {2+}\r\nb NOOP\r\n", arguments),
            // Refused, {n} is not sent.
            ("a STARTTLS {99}\r\n", arguments),
        ] {
            let login = "a LOGIN u p\r\nb ST";
            serves(false, &[line, login], reply, Ok(login));
            let greeted = std::format!("* OK [CAPABILITY IMAP4rev1 ID] ready\r\n{reply}");
            serves(true, &[line, login], &greeted, Ok(login));
        }
        check_inside(InsideServer::new(&["ID"]).unwrap(), "a X\r\n", &[], "", Ok("a X\r\n"));
        let machine = InsideServer::new(&["imap4rev2"]).unwrap().greets(true);
        check_inside(machine, "", &[], "* OK [CAPABILITY imap4rev2] ready\r\n", Err(Error::Closed));
    }

    #[test]
    fn the_rest_is_the_applications() {
        for line in ["a LOGIN {5+}", "a NOOP", "a LOGOUT", "a X \"", "* STARTTLS", "STARTTLS", ""] {
            let line = std::format!("{line}\r\n");
            serves(false, &[&line], "", Ok(&line));
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 128 && size_of::<Server<'_>>() <= 128);
        assert!(size_of::<InsideClient>() <= 128 && size_of::<InsideServer<'_>>() <= 128);
    }
}
