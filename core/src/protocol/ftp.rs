//! AUTH TLS for FTP's control connection (RFC 4217), both roles.
//!
//! ```text
//! client   greeting ──220──► FEAT ──211, 4yz, 5yz──► AUTH TLS ──234──► TLS
//!            │ └─120─┘         │                        │
//!            └──4yz, 5yz───────┴─421────────────────────┴──4yz, 5yz──► refused, QUIT
//!
//! server   220 ──► FEAT 211, NOOP 200, the rest 530 ──► AUTH TLS 234 ──► TLS
//!                                                  └──► QUIT 221, refused
//! ```
//!
//! The client asks for AUTH TLS whether FEAT (RFC 2389) names it or not. A greeting of 230 means
//! that it is logged in already, by whoever stands between: it goes no further. 334 asks for
//! security data, which TLS has not. Nothing of the plaintext dialogue survives, and neither it
//! nor TLS here protects files: say PBSZ 0 and PROT P inside TLS, where there is no second
//! greeting, and take each data connection through TLS of its own (RFC 4217 §7, §9).

use crate::error::{Error, Misbehaviour, Refusal, RefusalKind};
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
    #[cfg(feature = "alloc")]
    machines: Machines {
        client: |_| Ok(alloc::boxed::Box::new(Client::new())),
        server: |names| Ok(alloc::boxed::Box::new(Server::new(names.own, names.extensions)?)),
        ..Machines::NONE
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
        let Some(code) = replies.line(frame)? else {
            self.replies = replies;
            return Ok(Next::Frame);
        };
        self.asked = match (self.asked, code) {
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

    fn feat(&self, out: &mut Out<'_>) -> Result<(), Error> {
        out.put(&[b"211-Features:\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n"])?;
        for feature in self.features {
            out.put(&[b" ", feature.as_bytes(), b"\r\n"])?;
        }
        out.put(&[b"211 End\r\n"])
    }
}

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
        out.put(&[b"220 ", self.name.as_bytes(), b" FTP service ready\r\n"])?;
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
            Command::Feat => self.feat(out)?,
            Command::AuthTls => {
                out.put(&[b"234 Proceed with TLS negotiation\r\n"])?;
                next = Next::Tls;
            }
            Command::AuthOther => out.put(&[b"504 Security mechanism not understood\r\n"])?,
            Command::Noop => out.put(&[b"200 OK\r\n"])?,
            Command::Quit => {
                out.put(&[b"221 ", self.name.as_bytes(), b" closing\r\n"])?;
                return Err(not_asked(221));
            }
            Command::BadArguments => {
                out.put(&[b"501 Syntax error in parameters or arguments\r\n"])?;
            }
            Command::Other if self.plaintext => return Err(not_asked(0)),
            Command::Other => out.put(&[b"530 Must issue AUTH TLS first\r\n"])?,
        }
        self.commands += 1;
        Ok(next)
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
}
