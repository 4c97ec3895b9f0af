//! STARTTLS for SMTP (RFC 3207) and for LMTP (RFC 2033), both roles.
//!
//! ```text
//! client   greeting ──220──► EHLO ──250──► STARTTLS ──220──► TLS
//!              │               │ 5yz           │
//!              │               ├► HELO ─250────┤             (HELO only where plaintext is allowed)
//!              └──4yz, 5yz─────┴───────────────┴──► refused, QUIT
//!
//! server   220 ──► EHLO 250, NOOP 250, RSET 250, HELO and the rest 530 ──► STARTTLS 220 ──► TLS
//!                                                                     └──► QUIT 221, refused
//!
//! inside TLS
//! client   [greeting ──220──►] EHLO ──250──► ready
//! server   [220 ──►] EHLO 250, HELO 250, STARTTLS 503; anything else is the application's
//! ```
//!
//! The client asks for STARTTLS whether it is advertised or not, so that hiding the keyword ends
//! in a refusal and never in plaintext. Nothing of the plaintext dialogue survives: [`InsideClient`]
//! begins again with EHLO, and takes a greeting there for an attack (RFC 3207 §4.2), but behind
//! implicit TLS, where it waits for one.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::{Inside, Step};
use crate::negotiate::{self, Negotiate, Next};
#[cfg(feature = "alloc")]
use crate::protocol::Machines;
use crate::protocol::{Mail, Row};
use crate::wire::{Code, Frame, MAX_LINE, Out, Replies, line};

/// The longest domain or address literal (RFC 5321 §4.5.3.1.2), in octets.
const MAX_NAME: usize = 255;

/// The most commands answered before STARTTLS.
const MAX_COMMANDS: u8 = 128;

/// SMTP and message submission.
pub static SMTP: Row = Row {
    name: "smtp",
    aliases: &[("submission", 587)],
    port: 25,
    implicit: &[("smtps", 465), ("submissions", 465)],
    alpn: None,
    specification: "RFC 3207",
    by_domain: false,
    mail: Some(Mail::Smtp),
};

#[cfg(feature = "alloc")]
pub(super) static SMTP_MACHINES: Machines = Machines {
    client: |names| Ok(alloc::boxed::Box::new(Client::new(names.own)?)),
    server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
    inside_client: |names, greeted| {
        Ok(alloc::boxed::Box::new(InsideClient::new(names.own)?.greeted(greeted)))
    },
    inside_server: |names, greets| {
        let machine = InsideServer::new(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

/// Local mail transfer.
pub static LMTP: Row = Row {
    name: "lmtp",
    aliases: &[],
    port: 24,
    implicit: &[],
    alpn: None,
    specification: "RFC 2033, RFC 3207",
    by_domain: false,
    mail: Some(Mail::Lmtp),
};

#[cfg(feature = "alloc")]
pub(super) static LMTP_MACHINES: Machines = Machines {
    client: |names| Ok(alloc::boxed::Box::new(Client::lmtp(names.own)?)),
    server: |names| Ok(alloc::boxed::Box::new(Server::lmtp(names.own, names.extensions)?)),
    inside_client: |names, greeted| {
        Ok(alloc::boxed::Box::new(InsideClient::lmtp(names.own)?.greeted(greeted)))
    },
    inside_server: |names, greets| {
        let machine = InsideServer::lmtp(names.own, names.extensions)?;
        Ok(alloc::boxed::Box::new(machine.greets(greets)))
    },
};

impl Mail {
    pub(crate) fn row(self) -> &'static Row {
        match self {
            Self::Smtp => &SMTP,
            Self::Lmtp => &LMTP,
        }
    }

    /// The verb that opens a session with extensions.
    pub(crate) fn hello(self) -> &'static str {
        match self {
            Self::Smtp => "EHLO",
            Self::Lmtp => "LHLO",
        }
    }
}

/// A domain or address literal to introduce oneself with: visible ASCII, 1 to 255 octets.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|o| o.is_ascii_graphic());
    if fits { Ok(()) } else { Err(Misuse::Name.into()) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Greeting,
    Ehlo,
    Helo,
    Starttls,
}

/// The client's side.
#[derive(Debug)]
pub struct Client<'a> {
    name: &'a str,
    mail: Mail,
    asked: Asked,
    replies: Replies,
    plaintext: bool,
}

impl<'a> Client<'a> {
    /// An SMTP client that calls itself `name` in EHLO: its domain, or an address literal such as
    /// `[192.0.2.1]`.
    ///
    /// # Errors
    /// [`Misuse::Name`] if that is empty, over 255 octets, or not visible ASCII.
    pub fn new(name: &'a str) -> Result<Self, Error> {
        Self::of(Mail::Smtp, name)
    }

    /// The same for LMTP, with LHLO.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn lmtp(name: &'a str) -> Result<Self, Error> {
        Self::of(Mail::Lmtp, name)
    }

    pub(crate) fn of(mail: Mail, name: &'a str) -> Result<Self, Error> {
        check_name(name)?;
        let (asked, replies) = (Asked::Greeting, Replies::default());
        Ok(Self { name, mail, asked, replies, plaintext: false })
    }

    fn ask(
        &mut self,
        next: Asked,
        command: &[&[u8]],
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        if !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        out.put(command)?;
        self.asked = next;
        Ok(Next::Frame)
    }

    /// Refused: where the policy requires TLS, all that is left to say is goodbye.
    fn refused(
        &self,
        kind: RefusalKind,
        code: Code,
        behind: &[u8],
        out: &mut Out<'_>,
    ) -> Result<Next, Error> {
        if !self.plaintext {
            out.put(&[b"QUIT\r\n"])?;
        } else if !behind.is_empty() {
            return Err(Misbehaviour::Unsolicited.into());
        }
        Err(Error::PeerRefused(Refusal::new(kind, code)))
    }
}

impl Negotiate for Client<'_> {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        self.mail.row()
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
        let (reply, _) = replies.line(frame)?;
        let own = self.name.as_bytes();
        let hello = [self.mail.hello().as_bytes(), b" ", own, b"\r\n"];
        let next = match (self.asked, reply.code) {
            _ if !reply.last => Next::Frame,
            (Asked::Greeting, 220) => self.ask(Asked::Ehlo, &hello, behind, out)?,
            (Asked::Ehlo, 250) => self.ask(Asked::Starttls, &[b"STARTTLS\r\n"], behind, out)?,
            (Asked::Starttls, 220) => Next::Tls,
            (Asked::Ehlo, 500..=599) if self.plaintext && self.mail == Mail::Smtp => {
                self.ask(Asked::Helo, &[b"HELO ", own, b"\r\n"], behind, out)?
            }
            (Asked::Ehlo, code @ 500..=599) | (Asked::Helo, code @ 250) => {
                self.refused(RefusalKind::NotOffered, code, behind, out)?
            }
            (_, code @ 421) | (Asked::Greeting | Asked::Ehlo | Asked::Helo, code @ 400..=599) => {
                self.refused(RefusalKind::Service, code, behind, out)?
            }
            (Asked::Starttls, code @ 400..=599) => {
                self.refused(RefusalKind::Upgrade, code, behind, out)?
            }
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        self.replies = replies;
        Ok(next)
    }
}

/// The server's side.
#[derive(Debug)]
pub struct Server<'a> {
    name: &'a str,
    extensions: &'a [&'a str],
    mail: Mail,
    commands: u8,
    plaintext: bool,
}

impl<'a> Server<'a> {
    /// An SMTP server that calls itself `name` and offers `extensions`, a line each
    /// (`"SIZE 10240000"`), beside STARTTLS.
    ///
    /// # Errors
    /// [`Misuse::Name`] for a name that is empty, over 255 octets, or not visible ASCII;
    /// [`Misuse::Line`] for an extension line that is not printable ASCII.
    pub fn new(name: &'a str, extensions: &'a [&'a str]) -> Result<Self, Error> {
        Self::of(Mail::Smtp, name, extensions)
    }

    /// The same for LMTP, with LHLO.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn lmtp(name: &'a str, extensions: &'a [&'a str]) -> Result<Self, Error> {
        Self::of(Mail::Lmtp, name, extensions)
    }

    pub(crate) fn of(mail: Mail, name: &'a str, extensions: &'a [&'a str]) -> Result<Self, Error> {
        check_name(name)?;
        let printable = |line: &&str| line.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        let short = |line: &&str| (1..=MAX_LINE - 6).contains(&line.len());
        if !extensions.iter().all(|line| printable(line) && short(line)) {
            return Err(Misuse::Line.into());
        }
        Ok(Self { name, extensions, mail, commands: 0, plaintext: false })
    }

    fn hello(&self, out: &mut Out<'_>) -> Result<(), Error> {
        out.put(&[b"250-", self.name.as_bytes(), b"\r\n"])?;
        for extension in self.extensions {
            out.put(&[b"250-", extension.as_bytes(), b"\r\n"])?;
        }
        out.put(&[b"250 STARTTLS\r\n"])
    }

    fn not_asked(code: Code) -> Error {
        Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, code))
    }
}

impl Negotiate for Server<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        self.mail.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn allow_plaintext(&mut self) {
        self.plaintext = true;
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        greet(self.mail, self.name, out)?;
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
        match Command::parse(frame, self.mail) {
            Command::Hello => self.hello(out)?,
            Command::Helo if self.plaintext => {
                out.put(&[b"250 ", self.name.as_bytes(), b"\r\n"])?;
            }
            Command::Starttls => {
                out.put(&[b"220 Go ahead\r\n"])?;
                next = Next::Tls;
            }
            Command::Noop => out.put(&[b"250 OK\r\n"])?,
            Command::BadParameters => {
                out.put(&[b"501 Syntax error in parameters or arguments\r\n"])?;
            }
            Command::Quit => {
                out.put(&[b"221 ", self.name.as_bytes(), b" closing\r\n"])?;
                return Err(Self::not_asked(221));
            }
            Command::Helo | Command::Other if self.plaintext => return Err(Self::not_asked(0)),
            Command::Helo | Command::Other => {
                out.put(&[b"530 Must issue a STARTTLS command first\r\n"])?;
            }
        }
        self.commands += 1;
        Ok(next)
    }
}

/// A server's first words.
fn greet(mail: Mail, name: &str, out: &mut Out<'_>) -> Result<(), Error> {
    let service: &[u8] = match mail {
        Mail::Smtp => b" ESMTP service ready\r\n",
        Mail::Lmtp => b" LMTP service ready\r\n",
    };
    out.put(&[b"220 ", name.as_bytes(), service])
}

/// The client's side inside TLS: asks for the extensions again.
#[derive(Debug)]
pub struct InsideClient<'a> {
    name: &'a str,
    mail: Mail,
    asked: Asked,
    replies: Replies,
}

impl<'a> InsideClient<'a> {
    /// As [`Client::new`], inside TLS.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(name: &'a str) -> Result<Self, Error> {
        Self::of(Mail::Smtp, name)
    }

    /// The same for LMTP, with LHLO.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn lmtp(name: &'a str) -> Result<Self, Error> {
        Self::of(Mail::Lmtp, name)
    }

    fn of(mail: Mail, name: &'a str) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name, mail, asked: Asked::Ehlo, replies: Replies::default() })
    }

    /// Whether the server greets first: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greeted(self, greeted: bool) -> Self {
        Self { asked: if greeted { Asked::Greeting } else { Asked::Ehlo }, ..self }
    }

    fn hello(&self, out: &mut Out<'_>) -> Result<(), Error> {
        out.put(&[self.mail.hello().as_bytes(), b" ", self.name.as_bytes(), b"\r\n"])
    }
}

impl Inside for InsideClient<'_> {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        self.mail.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match self.asked {
            Asked::Greeting => {}
            _ if arrived.is_empty() => self.hello(out)?,
            _ => return Err(Misbehaviour::Greeting.into()),
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let mut replies = self.replies;
        let (reply, _) = replies.line(frame)?;
        let refused = |kind, code| Err(Error::PeerRefused(Refusal::new(kind, code)));
        let step = match (self.asked, reply.code) {
            (Asked::Greeting, ..=219 | 221..=399) | (Asked::Ehlo, 220) => {
                return Err(Misbehaviour::Greeting.into());
            }
            _ if !reply.last => Step::Frame,
            (Asked::Greeting, 220) if !behind.is_empty() => {
                return Err(Misbehaviour::Unsolicited.into());
            }
            (Asked::Greeting, 220) => {
                self.hello(out)?;
                self.asked = Asked::Ehlo;
                Step::Frame
            }
            (Asked::Ehlo, 250) => Step::Ready,
            (Asked::Greeting, code @ 400..=599) | (_, code @ 421) => {
                return refused(RefusalKind::Service, code);
            }
            (_, code @ 400..=599) => return refused(RefusalKind::Inside, code),
            (_, code) => return Err(Misbehaviour::UnexpectedReply(code).into()),
        };
        self.replies = replies;
        Ok(step)
    }
}

/// The server's side inside TLS, up to the first command for its application.
#[derive(Debug)]
pub struct InsideServer<'a> {
    name: &'a str,
    extensions: &'a [&'a str],
    mail: Mail,
    greets: bool,
}

impl<'a> InsideServer<'a> {
    /// As [`Server::new`], inside TLS: STARTTLS is not offered.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn new(name: &'a str, extensions: &'a [&'a str]) -> Result<Self, Error> {
        Server::new(name, extensions).map(Self::of)
    }

    /// The same for LMTP, with LHLO.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn lmtp(name: &'a str, extensions: &'a [&'a str]) -> Result<Self, Error> {
        Server::lmtp(name, extensions).map(Self::of)
    }

    fn of(Server { name, extensions, mail, .. }: Server<'a>) -> Self {
        Self { name, extensions, mail, greets: false }
    }

    /// Whether it greets: behind implicit TLS, and nowhere else.
    #[must_use]
    pub fn greets(self, greets: bool) -> Self {
        Self { greets, ..self }
    }

    fn hello(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let lines = || [self.name].into_iter().chain(self.extensions.iter().copied());
        let last = self.extensions.len();
        for (at, line) in lines().enumerate() {
            let code: &[u8] = if at == last { b"250 " } else { b"250-" };
            out.put(&[code, line.as_bytes(), b"\r\n"])?;
        }
        Ok(())
    }
}

impl Inside for InsideServer<'_> {
    type Side = negotiate::Server;

    fn row(&self) -> &'static Row {
        self.mail.row()
    }

    fn max_frame(&self) -> usize {
        MAX_LINE
    }

    fn start(&mut self, _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        if self.greets {
            greet(self.mail, self.name, out)?;
        }
        Ok(Step::Frame)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        line(input, scanned)
    }

    fn process(&mut self, frame: &[u8], _: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        match Command::parse(frame, self.mail) {
            Command::Hello => self.hello(out)?,
            Command::Helo => out.put(&[b"250 ", self.name.as_bytes(), b"\r\n"])?,
            Command::Starttls => out.put(&[b"503 TLS is active already\r\n"])?,
            Command::BadParameters => {
                out.put(&[b"501 Syntax error in parameters or arguments\r\n"])?;
            }
            Command::Noop | Command::Quit | Command::Other => return Ok(Step::Application),
        }
        Ok(Step::Frame)
    }
}

/// What a client may say before TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Hello,
    Helo,
    Starttls,
    Noop,
    Quit,
    BadParameters,
    Other,
}

impl Command {
    fn parse(line: &[u8], mail: Mail) -> Self {
        let mut line = line.strip_suffix(b"\r\n").unwrap_or(line);
        // White space at the end is tolerated (RFC 5321 §4.1.1): SP and HTAB, nothing else.
        while let [rest @ .., b' ' | b'\t'] = line {
            line = rest;
        }
        let mut words = line.splitn(2, |&octet| octet == b' ');
        let (verb, argument) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        match argument.is_empty() {
            false if is(mail.hello()) => Self::Hello,
            false if is("HELO") && mail == Mail::Smtp => Self::Helo,
            true if is("STARTTLS") => Self::Starttls,
            true if is("RSET") => Self::Noop,
            true if is("QUIT") => Self::Quit,
            _ if is("NOOP") => Self::Noop,
            true if is(mail.hello()) => Self::BadParameters,
            false if is("STARTTLS") || is("RSET") || is("QUIT") => Self::BadParameters,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::vectors::{check, check_inside};

    #[track_caller]
    fn client(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Client::new("client.example.org").unwrap(), false, input, sent, end);
    }

    #[track_caller]
    fn server(input: &[&str], sent: &str, end: Result<(), Error>) {
        check(Server::new("mail.example.org", &["SIZE 1000"]).unwrap(), false, input, sent, end);
    }

    fn refused(kind: RefusalKind, code: u16) -> Result<(), Error> {
        Err(Error::PeerRefused(Refusal::new(kind, code)))
    }

    const EHLO: &str = "EHLO client.example.org\r\n";
    const ASKED: &str = "EHLO client.example.org\r\nSTARTTLS\r\n";
    const QUIT: &str = "EHLO client.example.org\r\nSTARTTLS\r\nQUIT\r\n";

    #[test]
    fn client_reaches_tls() {
        let ehlo = "250-mail.example.org\r\n250-SIZE\r\n250 STARTTLS\r\n";
        client(&["220 x\r\n", ehlo, "220 go\r\n"], ASKED, Ok(()));
        client(&["220-x\r\n220 y\r\n", ehlo, "220-a\r\n220 go\r\n"], ASKED, Ok(()));
        // Hidden or not, the client asks.
        client(&["220 x\r\n", "250 x\r\n", "220 go\r\n"], ASKED, Ok(()));
    }

    #[test]
    fn client_refusals_are_typed() {
        use RefusalKind::{NotOffered, Service, Upgrade};
        client(&["554 no\r\n"], "QUIT\r\n", refused(Service, 554));
        let quit = "EHLO client.example.org\r\nQUIT\r\n";
        client(&["220 x\r\n", "500 what\r\n"], quit, refused(NotOffered, 500));
        for code in [454, 500, 501, 502, 503, 530, 550] {
            let reply = alloc::format!("{code} no\r\n");
            client(&["220 x\r\n", "250 x\r\n", &reply], QUIT, refused(Upgrade, code));
        }
        client(&["220 x\r\n", "250 x\r\n", "421 bye\r\n"], QUIT, refused(Service, 421));
    }

    #[test]
    fn client_takes_nothing_but_220() {
        for code in [120, 200, 221, 235, 250, 334, 354] {
            let reply = alloc::format!("{code} fine\r\n");
            let end = Err(Misbehaviour::UnexpectedReply(code).into());
            client(&["220 x\r\n", "250 x\r\n", &reply], ASKED, end);
        }
    }

    #[test]
    fn client_refuses_what_stands_behind() {
        let end = Err(Misbehaviour::BytesAfterUpgrade.into());
        client(&["220 x\r\n", "250 x\r\n", "220 go\r\n250 AUTH\r\n"], ASKED, end);
        client(&["220 x\r\n", "250 x\r\n", "220 go\r\n2"], ASKED, end);
        let end = Err(Misbehaviour::Unsolicited.into());
        client(&["220 x\r\n250 x\r\n"], "", end);
        client(&["220 x\r\n", "250 x\r\n220 go\r\n"], EHLO, end);
    }

    #[test]
    fn helo_is_for_plaintext_only() {
        let machine = Client::new("client.example.org").unwrap();
        let sent = "EHLO client.example.org\r\nHELO client.example.org\r\n";
        let end = refused(RefusalKind::NotOffered, 250);
        check(machine, true, &["220 x\r\n", "502 x\r\n", "250 x\r\n"], sent, end);
    }

    const GREETING: &str = "220 mail.example.org ESMTP service ready\r\n";

    #[test]
    fn server_answers() {
        let table = [
            ("EHLO x\r\n", "250-mail.example.org\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
            ("ehlo x\r\n", "250-mail.example.org\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
            ("EHLO\r\n", "501 Syntax error in parameters or arguments\r\n"),
            ("STARTTLS now\r\n", "501 Syntax error in parameters or arguments\r\n"),
            ("HELO x\r\n", "530 Must issue a STARTTLS command first\r\n"),
            ("LHLO x\r\n", "530 Must issue a STARTTLS command first\r\n"),
            ("MAIL FROM:<a@b>\r\n", "530 Must issue a STARTTLS command first\r\n"),
            ("NOOP anything\r\n", "250 OK\r\n"),
            ("RSET\r\n", "250 OK\r\n"),
        ];
        for (command, reply) in table {
            server(&[command], &alloc::format!("{GREETING}{reply}"), Err(Error::Closed));
        }
        server(&["starttls\r\n"], &alloc::format!("{GREETING}220 Go ahead\r\n"), Ok(()));
        let bye = alloc::format!("{GREETING}221 mail.example.org closing\r\n");
        server(&["QUIT\r\n"], &bye, refused(RefusalKind::NotAsked, 221));
    }

    #[test]
    fn server_sends_no_go_ahead_into_a_pipeline() {
        let end = Err(Misbehaviour::BytesAfterUpgrade.into());
        server(&["STARTTLS\r\nRSET\r\n"], GREETING, end);
        server(&["STARTTLS\r\nRS"], GREETING, end);
        server(&["STARTTLS\nRSET\r\n"], GREETING, Err(Misbehaviour::BareLineEnd.into()));
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "a b", "a\r\nMAIL", "a\0", "b\u{fc}cher.example"] {
            assert_eq!(Client::new(name).err(), Some(Misuse::Name.into()), "{name:?}");
        }
        assert!(Server::new("mail", &["SIZE 1\r\n250 AUTH"]).is_err());
    }

    #[track_caller]
    fn inside(greeted: bool, arrived: &str, input: &[&str], sent: &str, end: Result<&str, Error>) {
        let machine = InsideClient::new("client.example.org").unwrap().greeted(greeted);
        check_inside(machine, arrived, input, sent, end);
    }

    #[test]
    fn client_asks_again_inside_tls() {
        let ehlo = "250-mail.example.org\r\n250 SIZE\r\n";
        inside(false, "", &[ehlo], EHLO, Ok(""));
        inside(false, "", &["250-mail.exam", "ple.org\r\n250 SI", "ZE\r\n"], EHLO, Ok(""));
        inside(true, "", &["220-a\r\n220 b\r\n", ehlo], EHLO, Ok(""));
        inside(true, "220 b\r\n", &[ehlo], EHLO, Ok(""));
    }

    #[test]
    fn client_takes_no_greeting_but_where_it_belongs() {
        let end = || Err(Misbehaviour::Greeting.into());
        inside(false, "220 x\r\n", &[], "", end());
        inside(false, "", &["220 x\r\n"], EHLO, end());
        inside(false, "", &["220-x\r\n"], EHLO, end());
        for code in [199, 200, 219, 221, 250, 354] {
            inside(true, "", &[&alloc::format!("{code} x\r\n")], "", end());
        }
        inside(true, "", &["220 x\r\n", "220 x\r\n"], EHLO, end());
        inside(true, "220 x\r\n250 x\r\n", &[], "", Err(Misbehaviour::Unsolicited.into()));
        inside(false, "", &["250 x\r\n2"], EHLO, Err(Misbehaviour::Unsolicited.into()));
    }

    #[test]
    fn client_may_be_refused_inside_tls() {
        use RefusalKind::{Inside, Service};
        for (greeted, sent, code, kind) in [
            (true, "", 554, Service),
            (true, "", 421, Service),
            (false, EHLO, 421, Service),
            (false, EHLO, 451, Inside),
            (false, EHLO, 550, Inside),
        ] {
            let reply = alloc::format!("{code} no\r\n");
            let end = Err(Error::PeerRefused(Refusal::new(kind, code)));
            inside(greeted, "", &[&reply], sent, end);
        }
        let end = Err(Misbehaviour::UnexpectedReply(354).into());
        inside(false, "", &["354 go\r\n"], EHLO, end);
    }

    #[test]
    fn server_begins_from_nothing_inside_tls() {
        let machine = || InsideServer::new("mail.example.org", &["SIZE 1000"]).unwrap();
        let hello = "250-mail.example.org\r\n250 SIZE 1000\r\n";
        let mail = "MAIL FROM:<a@b>\r\nRCPT";
        check_inside(machine(), "", &["EHLO x\r\n", mail], hello, Ok(mail));
        check_inside(machine(), mail, &[], "", Ok(mail));
        let greeted = alloc::format!("{GREETING}{hello}503 TLS is active already\r\n");
        let typed = "EHLO x\r\nSTARTTLS\r\nQUIT\r\n";
        check_inside(machine().greets(true), "", &[typed], &greeted, Ok("QUIT\r\n"));
        let bare = InsideServer::new("mail.example.org", &[]).unwrap();
        check_inside(
            bare,
            "",
            &["HELO x\r\nEHLO x\r\n"],
            "250 mail.example.org\r\n250 mail.example.org\r\n",
            Err(Error::Closed),
        );
    }

    #[test]
    fn machines_are_small() {
        assert!(size_of::<Client<'_>>() <= 128 && size_of::<Server<'_>>() <= 128);
    }
}
