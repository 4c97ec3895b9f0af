//! AUTH TLS for FTP's control connection (RFC 4217), both roles.
//!
//! ```text
//! client   greeting ──220──► FEAT ──211, 4yz, 5yz──► AUTH TLS ──234──► TLS
//!            │ └─120─┘         │                        │
//!            └──4yz, 5yz───────┴─421────────────────────┴──4yz, 5yz──► refused, QUIT
//!
//! server   220 ──► FEAT 211, NOOP 200, the rest 530 ──► AUTH TLS 234 ──► TLS
//!                                                  └──► QUIT 221, refused
//!
//! inside TLS
//! client   [greeting ──220──►] PBSZ 0 ──200──► PROT P ──200──► ready
//!              └─120─┘
//! server   [220 ──►] FEAT 211, PBSZ and PROT 200, AUTH 534; anything else is the application's
//! ```
//!
//! The client asks for AUTH TLS whether FEAT (RFC 2389) names it or not. A greeting of 230 means
//! that it is logged in already, by whoever stands between: it goes no further. 334 asks for
//! security data, which TLS has not. Nothing of the plaintext dialogue survives, and neither it
//! nor TLS here protects files: [`InsideClient`] asks for that by PBSZ 0 and PROT P, and whoever
//! opens a data connection takes it through TLS of its own then (RFC 4217 §7, §9). A server may
//! refuse that pair until there is a login (§12.1); the client ends there. It takes a greeting for
//! an attack, but behind implicit TLS, where it waits for one: 220, for 230 and 232 answer USER
//! and PASS, which are to be said whatever certificate the client has (§4.2, §12.2).

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::Row;
use crate::protocol::lines::{MAX_COMMANDS, ask, check_offers, not_asked, refused, words};
use crate::protocol::smtp::check_name;
use crate::wire::{Code, Frame, FtpReplies, MAX_LINE, Out, line};

/// File Transfer Protocol, its control connection.
pub static FTP: Row = Row {
    name: "ftp",
    aliases: &[],
    port: 21,
    implicit: &[("ftps", 990)],
    alpn: Some("ftp"),
    specification: "RFC 4217",
    by_domain: false,
    mail: None,
};

#[cfg(feature = "alloc")]
pub(super) static FTP_MACHINES: Machines = Machines {
    client: |_| Ok(alloc::boxed::Box::new(Client::new())),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
    inside_client: |_, greeted| Ok(alloc::boxed::Box::new(InsideClient::new().greeted(greeted))),
    inside_server: |names, greets| {
        let machine = InsideServer::new(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Greeting,
    /// Service was promised, once: 120.
    Delayed,
    Feat,
    AuthTls,
    /// Inside TLS.
    Pbsz,
    /// The same.
    Prot,
}

/// The client's side.
#[derive(Debug, Default)]
pub struct Client {
    asked: Asked,
    replies: FtpReplies,
    plaintext: bool,
}

impl Client {
    /// An FTP client. It has no name to give.
    pub fn new() -> Self {
        Self::default()
    }

    fn refused(&self, kind: RefusalKind, code: Code, behind: &[u8], out: &mut Out<'_>) -> Error {
        let goodbye = (!self.plaintext).then_some(&b"QUIT\r\n"[..]);
        refused(Refusal::new(kind, code), goodbye, behind, out)
    }
}

impl Negotiate for Client {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &FTP
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
        let mut replies = self.replies;
        let (code, last) = replies.line(frame)?;
        self.asked = match (self.asked, code) {
            (asked, _) if !last => asked,
            // RFC 959 §5.4: 120 promises 220.
            (Asked::Greeting, 120) => Asked::Delayed,
            (Asked::Greeting | Asked::Delayed, 220) => {
                ask(b"FEAT\r\n", behind, out)?;
                Asked::Feat
            }
            (_, 421) | (Asked::Greeting | Asked::Delayed, 400..=599) => {
                return Err(self.refused(RefusalKind::Service, code, behind, out));
            }
            // A server older than FEAT is asked all the same.
            (Asked::Feat, 211 | 400..=599) => {
                ask(b"AUTH TLS\r\n", behind, out)?;
                Asked::AuthTls
            }
            (Asked::AuthTls, 234) => return Ok(Next::Tls),
            (Asked::AuthTls, 400..=599) => {
                return Err(self.refused(RefusalKind::Upgrade, code, behind, out));
            }
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        self.replies = replies;
        Ok(Next::Frame)
    }
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    name: &'a str,
    features: &'a [&'a str],
    commands: u8,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// An FTP server that calls itself `name` and has `features`, a line each (`"MDTM"`), beside
    /// AUTH TLS, PBSZ and PROT, which belong together (RFC 4217 §6).
    ///
    /// # Errors
    /// [`Misuse::Name`](crate::error::Misuse::Name) for a name that is empty, over 255 octets, or
    /// not visible ASCII; [`Misuse::Line`](crate::error::Misuse::Line) for a feature that is
    /// empty, over 510 octets, not printable ASCII, or begins with a dot or a space.
    pub fn new(name: &'a str, features: &'a [&'a str]) -> Result<Self, Error> {
        check_name(name)?;
        check_offers(features)?;
        Ok(Self { name, features, commands: 0, plaintext: false })
    }
}

/// A server's first words.
fn greet(name: &str, out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"220 ", name.as_bytes(), b" FTP service ready\r\n"])
}

/// The answer to FEAT, with or without the `upgrade`.
fn list(upgrade: &[u8], features: &[&str], out: &mut Out<'_>) -> Result<(), Error> {
    out.put(&[b"211-Features:\r\n", upgrade, b" PBSZ\r\n PROT\r\n"])?;
    for feature in features {
        out.put(&[b" ", feature.as_bytes(), b"\r\n"])?;
    }
    out.put(&[b"211 End\r\n"])
}

const NOT_UNDERSTOOD: &[u8] = b"504 Security mechanism not understood\r\n";
const BAD_ARGUMENTS: &[u8] = b"501 Syntax error in parameters or arguments\r\n";

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &FTP
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
            Command::Feat => list(b" AUTH TLS\r\n", self.features, out)?,
            Command::AuthTls => {
                out.put(&[b"234 Proceed with TLS negotiation\r\n"])?;
                next = Next::Tls;
            }
            Command::AuthOther => out.put(&[NOT_UNDERSTOOD])?,
            Command::Noop => out.put(&[b"200 OK\r\n"])?,
            Command::Quit => {
                out.put(&[b"221 ", self.name.as_bytes(), b" closing\r\n"])?;
                return Err(not_asked(221));
            }
            Command::BadArguments => out.put(&[BAD_ARGUMENTS])?,
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => out.put(&[b"530 Must issue AUTH TLS first\r\n"])?,
        }
        self.commands += 1;
        Ok(next)
    }
}

/// The client's side inside TLS: asks that data connections be protected.
#[derive(Debug)]
pub struct InsideClient {
    asked: Asked,
    replies: FtpReplies,
}

impl Default for InsideClient {
    fn default() -> Self {
        Self::new()
    }
}

impl InsideClient {
    /// As [`Client::new`], inside TLS.
    pub fn new() -> Self {
        Self { asked: Asked::Pbsz, replies: FtpReplies::default() }
    }

    /// Whether the server greets first: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greeted(self, greeted: bool) -> Self {
        Self { asked: if greeted { Asked::Greeting } else { Asked::Pbsz }, ..self }
    }
}

const PBSZ: &[u8] = b"PBSZ 0\r\n";

impl Inside for InsideClient {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &FTP
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.asked {
            Asked::Pbsz if !arrived.is_empty() => return Err(Misbehaviour::Greeting.into()),
            Asked::Pbsz => out.put(&[PBSZ])?,
            _ => {}
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let mut replies = self.replies;
        let (code, last) = replies.line(frame)?;
        let misplaced = match self.asked {
            Asked::Greeting => code < 400 && !matches!(code, 120 | 220),
            Asked::Delayed => code < 400 && code != 220,
            _ => matches!(code, 120 | 220),
        };
        if misplaced {
            return Err(Misbehaviour::Greeting.into());
        }
        let refused = |kind| Err(Error::PeerRefused(Refusal::new(kind, code)));
        self.asked = match (self.asked, code) {
            (asked, _) if !last => asked,
            (Asked::Greeting, 120) => Asked::Delayed,
            (Asked::Greeting | Asked::Delayed, 220) => {
                ask(PBSZ, behind, out)?;
                Asked::Pbsz
            }
            (Asked::Pbsz, 200) => {
                ask(b"PROT P\r\n", behind, out)?;
                Asked::Prot
            }
            (Asked::Prot, 200) => return Ok(Step::Ready),
            (_, 421) | (Asked::Greeting | Asked::Delayed, 400..=599) => {
                return refused(RefusalKind::Service);
            }
            (_, 400..=599) => return refused(RefusalKind::Inside),
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        self.replies = replies;
        Ok(Step::Frame)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    name: &'a str,
    features: &'a [&'a str],
    greets: bool,
    negotiated: bool,
    protected: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: AUTH TLS is not among the features.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(name: &'a str, features: &'a [&'a str]) -> Result<Self, Error> {
        let Server { name, features, .. } = Server::new(name, features)?;
        Ok(Self { name, features, greets: false, negotiated: false, protected: false })
    }

    /// Whether it greets: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greets(self, greets: bool) -> Self {
        Self { greets, ..self }
    }

    /// Whether the client's last word on data connections is that they be protected: PROT P, and
    /// no PROT C behind it. Without one they are not (RFC 4217 §9). An application that wants
    /// them protected answers 521 to what would open another (§10.2).
    pub fn protected(&self) -> bool {
        self.protected
    }

    /// Answers PBSZ: whatever size is asked for, there are no blocks (RFC 2228 §3, RFC 4217 §9).
    fn size(&mut self, size: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
        let digits = !size.is_empty() && size.iter().all(u8::is_ascii_digit);
        let number = core::str::from_utf8(size).ok().and_then(|size| size.parse::<u32>().ok());
        if !digits || number.is_none() {
            return out.put(&[BAD_ARGUMENTS]);
        }
        out.put(&[b"200 PBSZ=0\r\n"])?;
        self.negotiated = true;
        Ok(())
    }

    /// Answers PROT (RFC 2228 §3, RFC 4217 §9).
    fn level(&mut self, level: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
        let (reply, protected): (&[u8], _) = match level {
            [] => (BAD_ARGUMENTS, self.protected),
            _ if !self.negotiated => (b"503 PBSZ comes first\r\n", self.protected),
            b"P" | b"p" => (b"200 Protection is private\r\n", true),
            b"C" | b"c" => (b"200 Protection is clear\r\n", false),
            b"S" | b"s" | b"E" | b"e" => (b"536 TLS has no such protection\r\n", self.protected),
            _ => (b"504 Protection level not understood\r\n", self.protected),
        };
        out.put(&[reply])?;
        self.protected = protected;
        Ok(())
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        &FTP
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
            Command::Feat => list(b"", self.features, out)?,
            // The server is not willing (RFC 2228 §3, AUTH).
            Command::AuthTls => out.put(&[b"534 TLS is active already\r\n"])?,
            Command::AuthOther => out.put(&[NOT_UNDERSTOOD])?,
            Command::BadArguments => out.put(&[BAD_ARGUMENTS])?,
            Command::Noop | Command::Quit => return Ok(Step::Application),
            Command::Other => match words(frame) {
                (verb, size) if verb.eq_ignore_ascii_case(b"PBSZ") => self.size(size, out)?,
                (verb, level) if verb.eq_ignore_ascii_case(b"PROT") => self.level(level, out)?,
                _ => return Ok(Step::Application),
            },
        }
        Ok(Step::Frame)
    }
}

/// What a client may say before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Feat,
    AuthTls,
    AuthOther,
    Noop,
    Quit,
    BadArguments,
    Other,
}

impl Command {
    fn parse(line: &[u8]) -> Self {
        let (verb, argument) = words(line);
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        match argument.is_empty() {
            true if is("FEAT") => Self::Feat,
            true if is("NOOP") => Self::Noop,
            true if is("QUIT") => Self::Quit,
            false if is("AUTH") && argument.eq_ignore_ascii_case(b"TLS") => Self::AuthTls,
            // RFC 2228 §3, AUTH: the mechanism is not known.
            false if is("AUTH") => Self::AuthOther,
            _ if is("AUTH") || is("FEAT") || is("NOOP") || is("QUIT") => Self::BadArguments,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::check_inside;

    #[test]
    fn commands() {
        for (line, command) in [
            (&b"FEAT\r\n"[..], Command::Feat),
            (b"feat x\r\n", Command::BadArguments),
            (b"AUTH TLS\r\n", Command::AuthTls),
            (b"auth tls \r\n", Command::AuthTls),
            (b"AUTH TLS x\r\n", Command::AuthOther),
            (b"AUTH GSSAPI\r\n", Command::AuthOther),
            (b"AUTH SSL\r\n", Command::AuthOther),
            (b"AUTH\r\n", Command::BadArguments),
            (b"NOOP\r\n", Command::Noop),
            (b"NOOP x\r\n", Command::BadArguments),
            (b"QUIT\r\n", Command::Quit),
            (b"QUIT x\r\n", Command::BadArguments),
            (b"AUTHTLS\r\n", Command::Other),
            (b"USER x\r\n", Command::Other),
            (b"\r\n", Command::Other),
        ] {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }

    #[track_caller]
    fn inside(greeted: bool, arrived: &str, input: &[&str], sent: &str, end: Result<&str, Error>) {
        check_inside(InsideClient::new().greeted(greeted), arrived, input, sent, end);
    }

    const BOTH: &str = "PBSZ 0\r\nPROT P\r\n";
    const FIRST: &str = "PBSZ 0\r\n";

    #[test]
    fn client_protects_data_connections() {
        inside(false, "", &["200 PBSZ=0\r\n", "200 x\r\n"], BOTH, Ok(""));
        inside(false, "", &["200-x\r\n220 y\r\n", "200 z\r\n", "20", "0\r\n"], BOTH, Ok(""));
        inside(true, "", &["220 x\r\n", "200 x\r\n", "200 x\r\n"], BOTH, Ok(""));
        let greeting = "220-x\r\n230 y\r\n220 z\r\n";
        inside(true, greeting, &["200 x\r\n", "200 x\r\n"], BOTH, Ok(""));
        let delayed = "120-x\r\n 220 x\r\n120 x\r\n220 x\r\n";
        inside(true, "", &[delayed, "200 x\r\n", "200 x\r\n"], BOTH, Ok(""));
        inside(true, "120 x\r\n", &["220-x\r\n220 x\r\n"], FIRST, Err(Error::Closed));
    }

    #[test]
    fn client_takes_no_greeting_but_where_it_belongs() {
        let end = || Err(Misbehaviour::Greeting.into());
        for greeting in ["220 x\r\n", "220-x\r\n", "120 x\r\n", "120-x\r\n"] {
            inside(false, greeting, &[], "", end());
            inside(false, "", &[greeting], FIRST, end());
            inside(false, "", &["200 x\r\n", greeting], BOTH, end());
            inside(true, "220 x\r\n", &[greeting], FIRST, end());
        }
        for none in ["200 x\r\n", "230 x\r\n", "230-x\r\n", "232 x\r\n", "331 x\r\n"] {
            inside(true, "", &[none], "", end());
            inside(true, "120 x\r\n", &[none], "", end());
        }
        inside(true, "120 x\r\n120 x\r\n", &[], "", end());
        inside(true, "120 x\r\n120-x\r\n", &[], "", end());
    }

    #[test]
    fn client_refuses_what_stands_behind_inside_tls() {
        let end = || Err(Misbehaviour::Unsolicited.into());
        inside(true, "220 x\r\n200 x\r\n", &[], "", end());
        inside(true, "120 x\r\n220 x\r\n2", &[], "", end());
        inside(false, "", &["200 x\r\n200 x\r\n"], FIRST, end());
        inside(false, "", &["200 x\r\n", "200 x\r\n2"], BOTH, end());
        let end = |code| Err(Misbehaviour::UnexpectedReply(code).into());
        inside(false, "", &["234 x\r\n"], FIRST, end(234));
        inside(false, "", &["200 x\r\n", "230 x\r\n"], BOTH, end(230));
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        use RefusalKind::{Inside, Service};
        let end = |kind, code| Err(Error::PeerRefused(Refusal::new(kind, code)));
        for code in [431, 500, 502, 503, 530, 533, 534, 536] {
            let reply = alloc::format!("{code} no\r\n");
            inside(false, "", &[&reply], FIRST, end(Inside, code));
            inside(false, "", &["200 x\r\n", &reply], BOTH, end(Inside, code));
            inside(true, "", &[&reply], "", end(Service, code));
            inside(true, "120 x\r\n", &[&reply], "", end(Service, code));
        }
        inside(false, "", &["421-x\r\n", "421 x\r\n"], FIRST, end(Service, 421));
        inside(false, "", &["200 x\r\n", "421 x\r\n"], BOTH, end(Service, 421));
        inside(true, "421 x\r\n", &[], "", end(Service, 421));
    }

    const TOLD: &str = "501 Syntax error in parameters or arguments\r\n";

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let machine = || InsideServer::new("ftp.example.org", &["MDTM"]).unwrap();
        let user = "USER a\r\nPASS";
        let features = "211-Features:\r\n PBSZ\r\n PROT\r\n MDTM\r\n211 End\r\n";
        check_inside(machine(), "", &["FEAT\r\n", user], features, Ok(user));
        check_inside(machine(), user, &[], "", Ok(user));
        let asked = "auth tls\r\nAUTH GSSAPI\r\nAUTH\r\nNOOP\r\n";
        let said = "534 TLS is active already\r\n504 Security mechanism not understood\r\n";
        let said = alloc::format!("{said}{TOLD}");
        check_inside(machine(), "", &[asked], &said, Ok("NOOP\r\n"));
        for ours in ["QUIT\r\n", "REIN\r\n", "CCC\r\n", "PROTP\r\n", "\r\n"] {
            check_inside(machine(), "", &[ours], "", Ok(ours));
        }
        let greeting = "220 ftp.example.org FTP service ready\r\n";
        check_inside(machine().greets(true), "", &[], greeting, Err(Error::Closed));
    }

    #[test]
    fn server_learns_whether_data_connections_are_protected() {
        for (commands, replies, protected) in [
            (&["PROT P"][..], "503 PBSZ comes first\r\n", false),
            (&["PBSZ 0", "PROT P"], "200 PBSZ=0\r\n200 Protection is private\r\n", true),
            (&["pbsz 4294967295", "prot p"], "200 PBSZ=0\r\n200 Protection is private\r\n", true),
            (
                &["PBSZ 0", "PROT P", "PROT c"],
                "200 PBSZ=0\r\n200 Protection is private\r\n200 Protection is clear\r\n",
                false,
            ),
            (
                &["PBSZ 0", "PROT P", "PROT S", "PROT e", "PROT X", "PROT", "PBSZ"],
                "200 PBSZ=0\r\n200 Protection is private\r\n536 TLS has no such protection\r\n\
                536 TLS has no such protection\r\n504 Protection level not understood\r\n\
                501 Syntax error in parameters or arguments\r\n\
                501 Syntax error in parameters or arguments\r\n",
                true,
            ),
            (
                &["PBSZ 4294967296", "PBSZ -1", "PBSZ +1", "PBSZ 0 0", "PROT C"],
                &alloc::format!("{}503 PBSZ comes first\r\n", TOLD.repeat(4)),
                false,
            ),
        ] {
            let mut machine = InsideServer::new("ftp.example.org", &[]).unwrap();
            let lines = commands.iter().map(|line| alloc::format!("{line}\r\n"));
            let lines: alloc::string::String = lines.collect();
            check_inside(&mut machine, "", &[&lines], replies, Err(Error::Closed));
            assert_eq!(machine.protected(), protected, "{commands:?}");
        }
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<InsideClient>() <= 8 && size_of::<InsideServer<'_>>() <= 48);
        assert_eq!(InsideClient::default().row(), &FTP);
    }
}
