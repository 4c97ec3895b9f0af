//! STARTTLS for IRC (the IRCv3 extension `tls`, deprecated in favour of STS), both roles.
//!
//! ```text
//! client   STARTTLS ──670──► TLS
//!             ├──NOTICE and its like dropped, PING answered, at most 128 of them
//!             └──691, 4yz, 5yz, FAIL, ERROR──► refused, QUIT
//!
//! server   CAP LS, CAP REQ answered, CAP END and PONG taken, the rest 451 ──► STARTTLS 670 ──► TLS
//!                                                                        └──► QUIT ERROR, refused
//!
//! inside TLS
//! client   ready: it may speak first, and so may the server
//! server   CAP LS without tls, CAP REQ :tls NAK, STARTTLS 691; anything else is the application's
//! ```
//!
//! There is no greeting, and the request comes before NICK and USER, so the client asks at once.
//! It does not ask for capabilities first: servers grant STARTTLS to those who did not. Some answer
//! nothing at all; a deadline of the caller's ends that wait. Nothing of the plaintext dialogue
//! survives: the client begins inside TLS as on a new connection.
//!
//! So a 670 cannot be told from one that was sent before the request. There is nothing to wait for
//! that would part the two: many servers say nothing before the client does, and what they do not
//! know before registration, be it CAP or PING, some pass over in silence. Nobody gains by it. A
//! 670 that did not come from the server takes nothing along, for nothing may stand behind it, and
//! the server's own, if it comes, is no TLS record: it ends the handshake.
//!
//! A line may carry tags and a source (RFC 2812 §2.3.1, IRCv3 message tags); what counts is the
//! command behind them. Numerics have no class that says "later", so no refusal is temporary.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::protocol::lines::{MAX_COMMANDS, not_asked, refused};
use crate::protocol::smtp::check_name;
use crate::wire::{Code, Frame, MAX_LINE, Out, line, lines};

/// The capability of the upgrade.
const TLS: &str = "tls";

/// The longest line a server sends before tags were agreed upon (RFC 2812 §2.3), in octets.
const MAX_MESSAGE: usize = 512;

/// Internet Relay Chat.
pub static IRC: Row = Row {
    name: "irc",
    aliases: &[],
    port: 6667,
    implicit: &[("ircs", 6697)],
    alpn: Some("irc"),
    specification: "IRCv3 tls",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static IRC_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
    inside_client: |_, _| Ok(alloc::boxed::Box::new(crate::inside::Nothing::of(&IRC))),
    inside_server: |names, _| {
        Ok(alloc::boxed::Box::new(InsideServer::new(names.own, names.extensions)?))
    },
};

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    lines: u8,
    plaintext: bool,
}

impl Client {
    /// An IRC client. It gives its name inside TLS.
    pub fn new() -> Self {
        Self::default()
    }

    fn refused(&self, kind: RefusalKind, code: Code, behind: &[u8], out: &mut Out<'_>) -> Error {
        let why = Refusal { temporary: false, ..Refusal::new(kind, code) };
        if !self.plaintext {
            return refused(why, Some(b"QUIT\r\n"), behind, out);
        }
        match chatter_only(behind) {
            true => Error::PeerRefused(why),
            false => Misbehaviour::Unsolicited.into(),
        }
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &IRC
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[b"STARTTLS\r\n"])?;
        Ok(Next::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if self.lines == MAX_COMMANDS {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        match Said::parse(frame)? {
            Said::Numeric(670) => return Ok(Next::Tls),
            // ERR_NOPERMFORHOST, ERR_YOUREBANNEDCREEP: nothing to do with TLS.
            Said::Numeric(code @ (463 | 465)) => {
                return Err(self.refused(RefusalKind::Service, code, behind, out));
            }
            Said::Numeric(code @ (691 | 400..=599)) => {
                return Err(self.refused(RefusalKind::Upgrade, code, behind, out));
            }
            Said::Numeric(code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
            Said::Fail => return Err(self.refused(RefusalKind::Upgrade, 0, behind, out)),
            Said::Error => return Err(self.refused(RefusalKind::Service, 0, behind, out)),
            Said::Ping(token) => out.put(&[b"PONG :", token, b"\r\n"])?,
            Said::Chatter => {}
            Said::Other => return Err(Misbehaviour::UnexpectedReply(0).into()),
        }
        self.lines += 1;
        Ok(Next::Frame)
    }
}

/// What a server says before registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said<'a> {
    Numeric(Code),
    Ping(&'a [u8]),
    /// Nothing that is an answer, or asks for one.
    Chatter,
    Fail,
    Error,
    Other,
}

impl<'a> Said<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Error> {
        let Message { command, parameters } = Message::parse(line)?;
        let is = |name: &&str| command.eq_ignore_ascii_case(name.as_bytes());
        Ok(match *command {
            // Empty lines are ignored (RFC 2812 §2.3.1); 020 says to wait.
            [] | [b'0', b'2', b'0'] => Self::Chatter,
            [a @ b'0'..=b'9', b, c] => {
                let digit = |octet: u8| Code::from(octet.wrapping_sub(b'0'));
                Self::Numeric(digit(a) * 100 + digit(b) * 10 + digit(c))
            }
            _ if is(&"PING") => match parameters {
                [] => return Err(Misbehaviour::Malformed.into()),
                _ => Self::Ping(trailing(parameters)),
            },
            _ if ["NOTICE", "NOTE", "WARN", "CAP", "PONG"].iter().any(is) => Self::Chatter,
            _ if is(&"FAIL") => Self::Fail,
            _ if is(&"ERROR") => Self::Error,
            _ => Self::Other,
        })
    }
}

/// Whether no line `behind` a refusal answers what the application has not asked yet. Of half a
/// line, the words that are whole are judged.
fn chatter_only(behind: &[u8]) -> bool {
    lines(behind).all(|line| {
        let whole = line.ends_with(b"\n");
        let end = line.iter().rposition(|&octet| octet == b' ').unwrap_or(0);
        let words = if whole { line } else { line.get(..end).unwrap_or_default() };
        match Said::parse(words) {
            Ok(said) => matches!(said, Said::Chatter | Said::Ping(_) | Said::Error),
            Err(_) => !whole,
        }
    })
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    name: &'a str,
    capabilities: &'a [&'a str],
    commands: u8,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// An IRC server that calls itself `name` and has `capabilities` beside `tls`, a word each.
    ///
    /// # Errors
    /// [`Misuse::Name`] for a name that is empty, over 255 octets, or not visible ASCII;
    /// [`Misuse::Line`] for a capability that is empty or not visible ASCII, and for more of them
    /// than the 512 octets of one line hold.
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        check_name(name)?;
        let word = |text: &&str| !text.is_empty() && text.bytes().all(|o| o.is_ascii_graphic());
        let list = capabilities.iter().map(|word| word.len() + 1).sum::<usize>();
        if !capabilities.iter().all(word) || list + name.len() + LS_FRAME > MAX_MESSAGE {
            return Err(Misuse::Line.into());
        }
        Ok(Self { name, capabilities, commands: 0, plaintext: false })
    }
}

/// `:name`, and what follows it.
fn say(name: &str, parts: [&[u8]; 3], out: &mut Out<'_>) -> Result<(), Error> {
    let [one, two, three] = parts;
    out.put(&[b":", name.as_bytes(), one, two, three, b"\r\n"])
}

/// The answer to `CAP LS`, with or without the `upgrade`.
fn list(
    name: &str,
    capabilities: &[&str],
    upgrade: Option<&str>,
    out: &mut Out<'_>,
) -> Result<(), Error> {
    out.put(&[b":", name.as_bytes(), b" CAP * LS :"])?;
    let mut space: &[u8] = b"";
    for capability in capabilities.iter().copied().chain(upgrade) {
        out.put(&[space, capability.as_bytes()])?;
        space = b" ";
    }
    out.put(&[b"\r\n"])
}

/// What `CAP LS` is answered beside the name and the capabilities, in octets.
const LS_FRAME: usize = ": CAP * LS :tls\r\n".len();

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &IRC
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

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if self.commands == MAX_COMMANDS {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let mut next = Next::Frame;
        match Command::parse(frame)? {
            Command::List => list(self.name, self.capabilities, Some(TLS), out)?,
            Command::Request(words) => {
                let granted = words == TLS.as_bytes();
                let answer: &[u8] = if granted { b" CAP * ACK :" } else { b" CAP * NAK :" };
                say(self.name, [answer, words, b""], out)?;
            }
            Command::BadCap(word) => {
                say(self.name, [b" 410 * ", word, b" :Invalid CAP command"], out)?;
            }
            Command::Silent => {}
            Command::Starttls => {
                let text = b" 670 * :STARTTLS successful, proceed with TLS handshake";
                say(self.name, [text, b"", b""], out)?;
                next = Next::Tls;
            }
            Command::Quit => {
                out.put(&[b"ERROR :Closing link\r\n"])?;
                return Err(not_asked(0));
            }
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => {
                say(self.name, [b" 451 * :Must issue STARTTLS first", b"", b""], out)?
            }
        }
        self.commands += 1;
        Ok(next)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    name: &'a str,
    capabilities: &'a [&'a str],
    negotiates: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: `tls` is not among the capabilities.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(name: &'a str, capabilities: &'a [&'a str]) -> Result<Self, Error> {
        let Server { name, capabilities, .. } = Server::new(name, capabilities)?;
        Ok(Self { name, capabilities, negotiates: false })
    }

    /// Whether the client has begun to negotiate capabilities: then its registration waits for
    /// `CAP END`, which is the application's to hear.
    pub fn negotiates(&self) -> bool {
        self.negotiates
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &IRC
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match Command::parse(frame) {
            Ok(Command::List) => list(self.name, self.capabilities, None, out)?,
            Ok(Command::Request(words)) if words == TLS.as_bytes() => {
                say(self.name, [b" CAP * NAK :", words, b""], out)?;
            }
            Ok(Command::Starttls) => {
                say(self.name, [b" 691 * :STARTTLS failed, TLS is active already", b"", b""], out)?;
                return Ok(Step::Frame);
            }
            // A line that is none, too.
            _ => return Ok(Step::Application),
        }
        self.negotiates = true;
        Ok(Step::Frame)
    }
}

/// What a client may say before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command<'a> {
    /// CAP LS
    List,
    /// CAP REQ, and what is requested.
    Request(&'a [u8]),
    /// Another CAP, by its first word.
    BadCap(&'a [u8]),
    /// What needs no answer: CAP END, PONG, an empty line.
    Silent,
    Starttls,
    Quit,
    Other,
}

impl<'a> Command<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Error> {
        let Message { command, parameters } = Message::parse(line)?;
        let is = |name: &str| command.eq_ignore_ascii_case(name.as_bytes());
        let (word, rest) = word(parameters);
        let cap = |name: &str| is("CAP") && word.eq_ignore_ascii_case(name.as_bytes());
        Ok(match command {
            _ if command.is_empty() || is("PONG") || cap("END") => Self::Silent,
            _ if is("STARTTLS") => Self::Starttls,
            _ if is("QUIT") => Self::Quit,
            _ if cap("LS") => Self::List,
            _ if cap("REQ") => Self::Request(trailing(rest).trim_ascii()),
            _ if is("CAP") && word.is_empty() => Self::BadCap(b"*"),
            _ if is("CAP") => Self::BadCap(word),
            _ => Self::Other,
        })
    }
}

/// A line behind its tags and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message<'a> {
    /// Letters or three digits; nothing in an empty line.
    command: &'a [u8],
    parameters: &'a [u8],
}

impl<'a> Message<'a> {
    /// `[@tags] [:source] command [parameters]`, spaces between (RFC 2812 §2.3.1).
    fn parse(line: &'a [u8]) -> Result<Self, Error> {
        let mut rest = line.strip_suffix(b"\r\n").unwrap_or(line);
        let empty = rest.is_empty();
        for mark in *b"@:" {
            if rest.first() == Some(&mark) {
                (_, rest) = word(rest);
            }
        }
        let (command, parameters) = word(rest);
        let letters = command.iter().all(u8::is_ascii_alphabetic);
        let digits = command.len() == 3 && command.iter().all(u8::is_ascii_digit);
        match (letters || digits) && command.is_empty() == empty {
            true => Ok(Self { command, parameters }),
            false => Err(Misbehaviour::Malformed.into()),
        }
    }
}

/// The first word, and what follows the spaces behind it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&octet| octet == b' ').unwrap_or(text.len());
    let (word, mut rest) = text.split_at_checked(end).unwrap_or((text, b""));
    while let [b' ', behind @ ..] = rest {
        rest = behind;
    }
    (word, rest)
}

/// A last parameter without the colon that lets it hold spaces.
fn trailing(parameter: &[u8]) -> &[u8] {
    parameter.strip_prefix(b":").unwrap_or(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::check_inside;

    #[test]
    fn the_command_stands_behind_tags_and_source() {
        for (line, said) in [
            (&b"670 * :go\r\n"[..], Said::Numeric(670)),
            (b":irc.test 670 * :go\r\n", Said::Numeric(670)),
            (b"@time=1;a :irc.test  670\r\n", Said::Numeric(670)),
            (b"@670=1 :670 NOTICE 670 :670\r\n", Said::Chatter),
            (b":irc.test 020 * :Please wait\r\n", Said::Chatter),
            (b"notice AUTH :*** Looking up\r\n", Said::Chatter),
            (b":x CAP * NEW :sasl\r\n", Said::Chatter),
            (b"WARN * X :x\r\n", Said::Chatter),
            (b"NOTE * X :x\r\n", Said::Chatter),
            (b"PONG x\r\n", Said::Chatter),
            (b"\r\n", Said::Chatter),
            (b"PING :a b\r\n", Said::Ping(b"a b")),
            (b":x PING a\r\n", Said::Ping(b"a")),
            (b"FAIL STARTTLS X :x\r\n", Said::Fail),
            (b"ERROR :Closing Link\r\n", Said::Error),
            (b":x JOIN #a\r\n", Said::Other),
        ] {
            assert_eq!(Said::parse(line), Ok(said), "{}", line.escape_ascii());
        }
        for bad in [
            &b"6700 *\r\n"[..],
            b"67 *\r\n",
            b"67a *\r\n",
            b"670: go\r\n",
            b":irc.test\r\n",
            b"@a :b\r\n",
            b" 670\r\n",
            b":a :b 670\r\n",
            b":a @b 670\r\n",
            b"PING\r\n",
            b"PING \r\n",
        ] {
            let malformed = Err(Misbehaviour::Malformed.into());
            assert_eq!(Said::parse(bad), malformed, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn what_may_stand_behind_a_refusal() {
        for chatter in [
            &b""[..],
            b":x NOTICE * :a\r\nPING :1\r\n\r\n",
            b"ERROR :Closing Link\r\n",
            b":x NOTICE * :a\r\n:irc.te",
            b":irc.test 00",
            b"PING :1",
            b":x NOTICE * :001 x ",
            b"001",
        ] {
            assert!(chatter_only(chatter), "{}", chatter.escape_ascii());
        }
        for answer in [
            &b":x 001 me :Welcome\r\n"[..],
            b":x NOTICE * :a\r\n:x 001 me :Welcome\r\n",
            b":x 001 m",
            b"001 ",
            b":x 670 *\r\n",
            b"FAIL X Y :z\r\n",
            b":x JOIN #a\r\n",
            b"6700\r\n",
            b"\x16\x03\x01\n",
        ] {
            assert!(!chatter_only(answer), "{}", answer.escape_ascii());
        }
    }

    #[test]
    fn commands() {
        for (line, command) in [
            (&b"STARTTLS\r\n"[..], Command::Starttls),
            (b"starttls\r\n", Command::Starttls),
            (b"@a=b :me STARTTLS\r\n", Command::Starttls),
            (b"STARTTLS x\r\n", Command::Starttls),
            (b"CAP LS 302\r\n", Command::List),
            (b"cap ls\r\n", Command::List),
            (b"CAP REQ :tls\r\n", Command::Request(b"tls")),
            (b"CAP REQ tls\r\n", Command::Request(b"tls")),
            (b"CAP REQ : tls \r\n", Command::Request(b"tls")),
            (b"CAP REQ :tls sasl\r\n", Command::Request(b"tls sasl")),
            (b"CAP END\r\n", Command::Silent),
            (b"PONG :x\r\n", Command::Silent),
            (b"\r\n", Command::Silent),
            (b"CAP\r\n", Command::BadCap(b"*")),
            (b"CAP FOO x\r\n", Command::BadCap(b"FOO")),
            (b"QUIT :bye\r\n", Command::Quit),
            (b"NICK me\r\n", Command::Other),
            (b"LS\r\n", Command::Other),
            (b"PING x\r\n", Command::Other),
            (b"STARTTLSX\r\n", Command::Other),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn capabilities_fit_in_a_line() {
        let (name, long) = ("irc.example.org", "x".repeat(479));
        let mut storage = [0; 1024];
        let mut out = Out::new(&mut storage);
        Server::new(name, &[&long]).unwrap();
        list(name, &[&long], Some(TLS), &mut out).unwrap();
        assert_eq!(out.len(), MAX_MESSAGE);
        let longer = "x".repeat(480);
        for bad in [&[longer.as_str()][..], &[""], &["a b"], &["a\r\n"], &["\u{fc}"]] {
            assert_eq!(Server::new(name, bad).err(), Some(Misuse::Line.into()), "{bad:?}");
        }
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let name = "irc.example.org";
        for (commands, replies, negotiates, left) in [
            ("CAP LS 302\r\n", ":irc.example.org CAP * LS :sasl away-notify\r\n", true, ""),
            ("CAP REQ :tls\r\n", ":irc.example.org CAP * NAK :tls\r\n", true, ""),
            (
                "@a=b :me starttls\r\nSTARTTLS x\r\n",
                ":irc.example.org 691 * :STARTTLS failed, TLS is active already\r\n\
                :irc.example.org 691 * :STARTTLS failed, TLS is active already\r\n",
                false,
                "",
            ),
            ("", "", false, "NICK me\r\nUSER"),
            ("", "", false, "CAP REQ :tls sasl\r\n"),
            ("", "", false, "CAP END\r\n"),
            ("", "", false, "CAP FOO\r\n"),
            ("", "", false, "QUIT\r\n"),
            ("", "", false, "\r\n"),
            ("", "", false, " STARTTLS\r\n"),
        ] {
            let mut machine = InsideServer::new(name, &["sasl", "away-notify"]).unwrap();
            let end = if left.is_empty() { Err(Error::Closed) } else { Ok(left) };
            let said = [commands, left].concat();
            check_inside(&mut machine, &said, &[], replies, end);
            assert_eq!(machine.negotiates(), negotiates, "{said}");
        }
        let bare = InsideServer::new(name, &[]).unwrap();
        let said = ":irc.example.org CAP * LS :\r\n";
        check_inside(bare, "", &["CAP LS\r\n", "NICK me\r\n"], said, Ok("NICK me\r\n"));
        assert!(size_of::<InsideServer<'_>>() <= 40);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn client_lets_the_server_speak_inside_tls() {
        use crate::protocol::{Names, scheme};
        for name in ["irc", "ircs"] {
            let machine = || scheme(name).unwrap().inside_client(Names::new("x")).unwrap();
            check_inside(machine(), "", &[], "", Ok(""));
            check_inside(machine(), ":x NOTICE * :a\r\n", &[], "", Ok(":x NOTICE * :a\r\n"));
        }
    }
}
