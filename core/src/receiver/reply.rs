//! What the receiver says, a line at a time, so that any output buffer will do.

use core::fmt::Write;

use super::Receiver;
use crate::error::Error;
use crate::protocol::Mail;
use crate::wire::{self, Out};

pub(super) const OK: &str = "250 2.0.0 OK";
pub(super) const BYE: &str = "221 2.0.0 Bye";
pub(super) const LOGGED_IN: &str = "235 2.7.0 Logged in";
pub(super) const CANNOT_VERIFY: &str = "252 2.5.0 Cannot verify, but will try";
pub(super) const PLAIN: &str = "334 ";
/// "Username:" and "Password:", in Base64.
pub(super) const USERNAME: &str = "334 VXNlcm5hbWU6";
pub(super) const PASSWORD: &str = "334 UGFzc3dvcmQ6";
pub(super) const GO_ON: &str = "354 End with <CR><LF>.<CR><LF>";
pub(super) const TOO_MANY_FAILURES: &str = "421 4.7.0 Too many failed logins, closing";
pub(super) const TOO_MANY: &str = "452 4.5.3 Too many recipients";
pub(super) const BAD_LINE: &str = "500 5.5.2 Lines end in CR LF and hold no NUL, closing";
pub(super) const TOO_LONG: &str = "500 5.5.2 Line too long, closing";
pub(super) const UNKNOWN: &str = "500 5.5.2 Unknown command";
pub(super) const SYNTAX: &str = "501 5.5.4 Syntax error in parameters or arguments";
pub(super) const BAD_SENDER: &str = "501 5.1.7 Bad sender address";
pub(super) const BAD_RECIPIENT: &str = "501 5.1.3 Bad recipient address";
pub(super) const BAD_BASE64: &str = "501 5.5.2 Not Base64";
pub(super) const BAD_CHUNK: &str = "501 5.5.4 Bad chunk size, closing";
pub(super) const CANCELLED: &str = "501 5.7.0 Login cancelled";
pub(super) const NOT_IMPLEMENTED: &str = "502 5.5.1 Not implemented";
pub(super) const EHLO_FIRST: &str = "503 5.5.1 EHLO first";
pub(super) const HELLO_FIRST: &str = "503 5.5.1 Introduce yourself first";
pub(super) const MAIL_FIRST: &str = "503 5.5.1 MAIL first";
pub(super) const RCPT_FIRST: &str = "503 5.5.1 No valid recipients";
pub(super) const RESET_FIRST: &str = "503 5.5.1 A chunk was refused, RSET first";
pub(super) const CHUNKS: &str = "503 5.5.1 The message has begun with BDAT";
pub(super) const NESTED: &str = "503 5.5.1 A transaction is open";
pub(super) const NOT_NOW: &str = "503 5.5.1 Not now";
pub(super) const IN_TLS: &str = "503 5.5.1 TLS is active";
pub(super) const MECHANISM: &str = "504 5.5.4 Unknown mechanism";
pub(super) const LOGIN_FIRST: &str = "530 5.7.0 Authentication required";
pub(super) const WRONG: &str = "535 5.7.8 Authentication failed";
pub(super) const BARE: &str = "550 5.6.11 The message holds a bare CR or LF";
pub(super) const TOO_BIG: &str = "552 5.3.4 Message too big";
pub(super) const NOT_ASCII: &str = "553 5.6.7 Address not ASCII, and SMTPUTF8 not asked for";
pub(super) const UNKNOWN_PARAMETER: &str = "555 5.5.4 Unknown parameter";

/// Places for lines in the reply to EHLO; some may stay empty.
const HELLO_LINES: u8 = 8;

/// What waits for the caller's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Sender,
    Recipient,
    Message,
}

impl Offered {
    pub(super) fn accepted(self) -> &'static str {
        match self {
            Self::Sender => "250 2.1.0 Sender OK",
            Self::Recipient => "250 2.1.5 Recipient OK",
            Self::Message => "250 2.0.0 Message accepted",
        }
    }
}

/// The lines of a reply, or one reply said several times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply<'a> {
    words: Words<'a>,
    line: u8,
    lines: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Words<'a> {
    Fixed(&'static str),
    Greeting,
    Helo,
    Hello,
    Refusal(u16, &'a str),
}

impl<'a> Reply<'a> {
    pub(super) fn once(words: Words<'a>) -> Self {
        Self::times(1, words)
    }

    pub(super) fn times(lines: u8, words: Words<'a>) -> Self {
        Self { words, line: 0, lines }
    }

    pub(super) fn hello() -> Self {
        Self::times(HELLO_LINES, Words::Hello)
    }
}

impl Receiver<'_> {
    /// Says all that is to be said, or as many lines as there is room for.
    pub(super) fn say(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        while let Some(mut reply) = self.reply {
            if reply.line < reply.lines {
                self.say_line(reply, out)?;
                reply.line += 1;
                self.reply = Some(reply);
            } else {
                self.reply = None;
            }
        }
        Ok(())
    }

    fn say_line(&self, reply: Reply<'_>, out: &mut Out<'_>) -> Result<(), Error> {
        let name = self.name.as_bytes();
        match reply.words {
            Words::Fixed(text) => out.put(&[text.as_bytes(), b"\r\n"]),
            Words::Greeting => {
                let service: &[u8] = match self.mail {
                    Mail::Smtp => b" ESMTP service ready\r\n",
                    Mail::Lmtp => b" LMTP service ready\r\n",
                };
                out.put(&[b"220 ", name, service])
            }
            Words::Helo => out.put(&[b"250 ", name, b"\r\n"]),
            Words::Hello => self.say_hello(reply.line, out),
            Words::Refusal(code, text) => {
                let text = text.as_bytes();
                // Every 4yz and 5yz carries one, since they are offered (RFC 2034 §4).
                let enhanced: &[u8] = match wire::Reply::new(code, text).enhanced {
                    Some(_) => b"",
                    None if code < 500 => b"4.0.0 ",
                    None => b"5.0.0 ",
                };
                out.put(&[decimal(code.into()).as_bytes(), b" ", enhanced, text, b"\r\n"])
            }
        }
    }

    fn say_hello(&self, line: u8, out: &mut Out<'_>) -> Result<(), Error> {
        match (line, self.size) {
            (0, _) => out.put(&[b"250-", self.name.as_bytes(), b"\r\n"]),
            (1, _) => out.put(&[b"250-PIPELINING\r\n"]),
            (2, _) => out.put(&[b"250-8BITMIME\r\n"]),
            (3, _) => out.put(&[b"250-SMTPUTF8\r\n"]),
            (4, _) => out.put(&[b"250-CHUNKING\r\n"]),
            (5, Some(limit)) => out.put(&[b"250-SIZE ", decimal(limit).as_bytes(), b"\r\n"]),
            (6, _) if self.account.is_some() => out.put(&[b"250-AUTH PLAIN LOGIN\r\n"]),
            (5 | 6, _) => Ok(()),
            _ => out.put(&[b"250 ENHANCEDSTATUSCODES\r\n"]),
        }
    }
}

fn decimal(number: u64) -> heapless::String<20> {
    let mut digits = heapless::String::new();
    // 20 digits hold any u64.
    let _ = write!(digits, "{number}");
    digits
}
