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
//! ```
//!
//! The client asks for STARTTLS whether it is advertised or not, so that hiding the capability ends
//! in a refusal and never in plaintext. What the server says unasked (`* …`) is dropped, literals
//! and all. A greeting with PREAUTH rules STARTTLS out (RFC 9051 §7.1.4): it is a refusal.
//!
//! Nothing of the plaintext dialogue survives: ask for the capabilities again inside TLS, where
//! there is no second greeting (RFC 9051 §6.2.1).

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
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
    #[cfg(feature = "alloc")]
    machines: Machines {
        client: |names| {
            let random = names.random.ok_or(Misuse::Randomness)?;
            Ok(alloc::boxed::Box::new(Client::new(random)))
        },
        server: |names| Ok(alloc::boxed::Box::new(Server::new(names.extensions)?)),
        ..Machines::NONE
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

/// What a server may say before TLS (RFC 9051 §7.1).
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

    fn response(&self, line: Tagged<'_>) -> Result<Response, Error> {
        let expected = match self.asked {
            Asked::Greeting | Asked::Capability => self.tags.capability(),
            Asked::Starttls => self.tags.starttls(),
        };
        Ok(match line.tag {
            b"*" if line.is("OK") => Response::Ok,
            b"*" if line.is("PREAUTH") => Response::Preauth,
            b"*" if line.is("BYE") => Response::Bye,
            b"*" => Response::Unasked,
            b"+" => Response::Continue,
            tag if tag != expected => Response::Strange,
            _ if line.is("OK") => Response::Done(Done::Ok),
            _ if line.is("NO") || line.is("BAD") => Response::Done(Done::Refused),
            _ => return Err(Misbehaviour::Malformed.into()),
        })
    }

    fn ask(
        &mut self,
        next: Asked,
        command: [&[u8]; 2],
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        if !only_untagged(behind, carries) {
            return Err(Misbehaviour::Unsolicited.into());
        }
        let [tag, command] = command;
        out.put(&[tag, b" ", command, b"\r\n"])?;
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
        // RFC 5530 §3.
        let temporary = line.is_some_and(|line| has_code(line.rest, "UNAVAILABLE"));
        Err(Error::PeerRefused(Refusal::without_code(kind, temporary)))
    }
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
        let (line, response, carries) = if literals.inside() {
            (None, Response::Unasked, Carries::Literals)
        } else {
            let line = Tagged::parse(frame).ok_or(Misbehaviour::Malformed)?;
            (Some(line), self.response(line)?, carries(frame))
        };
        literals.advance(frame, carries)?;
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
        out.put(&[b"CAPABILITY"])?;
        let version = |word: &&str| word.get(..5).is_some_and(|w| w.eq_ignore_ascii_case("IMAP4"));
        if !self.capabilities.iter().any(version) {
            out.put(&[b" IMAP4rev1"])?;
        }
        out.put(&[b" STARTTLS"])?;
        if !self.plaintext {
            out.put(&[b" LOGINDISABLED"])?;
        }
        for word in self.capabilities {
            out.put(&[b" ", word.as_bytes()])?;
        }
        Ok(())
    }
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

/// What a client may say before TLS.
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
    use crate::protocol::vectors::check;

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

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client>() <= 128 && size_of::<Server<'_>>() <= 128);
    }
}
