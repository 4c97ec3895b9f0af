//! What a server answers to one request, line by line (RFC 9112 §4 to §7).

use crate::error::{Error, Misbehaviour};
use crate::wire::head::{Field, is_text};
use crate::wire::{Frame, line};

/// The protocol that is asked for. It stands for every version of TLS, which itself agrees on one.
pub(super) const TLS: &[u8] = b"TLS/1.0";

/// The most lines of the answers to a request.
const MAX_LINES: u8 = 128;

/// The longest body that is read past, in octets, and how much of it at once.
pub(super) const MAX_BODY: u32 = 65536;
const PIECE: u32 = 1024;

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Status,
    Fields,
    /// The rest of a body, this many octets.
    Body(u32),
    /// The size of a chunk (RFC 9112 §7.1).
    Chunk,
    /// The rest of one, this many octets.
    Data(u32),
    DataEnd,
    /// The fields behind the last chunk.
    Trailer,
}

/// What a frame came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    More,
    /// The first line of an answer to the request itself.
    Final,
    /// 101, and whether it names the protocol that was asked for.
    Switching(bool),
    /// The head of a final answer, with a body of this many octets to come, or one in chunks.
    Body(Option<u32>),
    /// The same, where nothing can follow the body.
    Last,
    /// The end of a final answer.
    End,
}

/// The answers to a request: interim ones, and the final one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    expect: Expect,
    answer: Answer,
    lines: u8,
    /// Octets in chunks.
    chunked: u32,
}

impl Answers {
    /// The code of the answer being read.
    pub(super) fn code(&self) -> u16 {
        self.answer.code
    }

    pub(super) fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        match self.expect {
            Expect::Body(rest) | Expect::Data(rest) => {
                let piece = rest.min(PIECE) as usize;
                Ok(if input.len() < piece { Frame::Partial } else { Frame::Whole(piece) })
            }
            _ => line(input, scanned),
        }
    }

    /// Takes in the next frame.
    pub(super) fn next(&mut self, frame: &[u8]) -> Result<Heard, Error> {
        let left = |rest: u32| rest - (frame.len() as u32).min(rest);
        let (expect, heard) = match (self.expect, frame) {
            (Expect::Body(rest), _) => match left(rest) {
                0 => (Expect::Status, Heard::End),
                rest => (Expect::Body(rest), Heard::More),
            },
            (Expect::Data(rest), _) => match left(rest) {
                0 => (Expect::DataEnd, Heard::More),
                rest => (Expect::Data(rest), Heard::More),
            },
            _ if self.lines == MAX_LINES => return Err(Misbehaviour::TooManyFrames.into()),
            (Expect::Status, line) => {
                self.answer = Answer::of(line)?;
                let is_final = self.answer.code >= 200;
                (Expect::Fields, if is_final { Heard::Final } else { Heard::More })
            }
            (Expect::Fields, b"\r\n") => self.answer.head(),
            (Expect::Fields, line) => {
                self.answer = self.answer.with(Field::parse(line)?)?;
                (Expect::Fields, Heard::More)
            }
            (Expect::Chunk, line) => match size(line).ok_or(Misbehaviour::Malformed)? {
                0 => (Expect::Trailer, Heard::More),
                size if size > MAX_BODY - self.chunked => {
                    return Err(Misbehaviour::FrameTooLong.into());
                }
                size => {
                    self.chunked += size;
                    (Expect::Data(size), Heard::More)
                }
            },
            (Expect::DataEnd, b"\r\n") => (Expect::Chunk, Heard::More),
            (Expect::DataEnd, _) => return Err(Misbehaviour::Malformed.into()),
            (Expect::Trailer, b"\r\n") => (Expect::Status, Heard::End),
            (Expect::Trailer, line) => {
                Field::parse(line)?;
                (Expect::Trailer, Heard::More)
            }
        };
        self.expect = expect;
        self.lines = self.lines.saturating_add(1);
        Ok(heard)
    }
}

/// What is known of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answer {
    code: u16,
    /// It names the protocol that was asked for.
    upgrade: bool,
    /// Another request can follow behind its body.
    persistent: bool,
    length: Option<u32>,
    /// It has transfer codings; whether the last of them is in chunks.
    coded: Option<bool>,
}

impl Answer {
    /// The answer that begins with this line.
    fn of(line: &[u8]) -> Result<Self, Error> {
        let (version, code) = status_line(line).ok_or(Misbehaviour::Malformed)?;
        let persistent = version > b'0';
        match code {
            101 if !persistent => Err(Misbehaviour::UnexpectedReply(101).into()),
            _ => Ok(Self { code, persistent, ..Self::default() }),
        }
    }

    /// The same, after one more header field.
    fn with(mut self, field: Field<'_>) -> Result<Self, Error> {
        if field.is("Upgrade") {
            self.upgrade |= field.list().any(|name| name.eq_ignore_ascii_case(TLS));
        } else if field.is("Connection") {
            self.persistent &= !field.list().any(|name| name.eq_ignore_ascii_case(b"close"));
        } else if field.is("Transfer-Encoding") {
            let last = field.list().last().unwrap_or_default();
            self.coded = Some(last.eq_ignore_ascii_case(b"chunked"));
        } else if field.is("Content-Length") {
            let length = Some(number(field.value).ok_or(Misbehaviour::Malformed)?);
            if self.length.is_some_and(|_| self.length != length) {
                return Err(Misbehaviour::Malformed.into());
            }
            self.length = length;
        }
        Ok(self)
    }

    /// At the end of the head, what is next (RFC 9112 §6.3).
    fn head(self) -> (Expect, Heard) {
        match (self.code, self.coded, self.length) {
            (101, ..) => (Expect::Status, Heard::Switching(self.upgrade)),
            // RFC 9110 §15.2: any number of these, asked for or not.
            (100..200, ..) => (Expect::Status, Heard::More),
            _ if !self.persistent => (Expect::Status, Heard::Last),
            (204 | 304, ..) | (_, None, Some(0)) => (Expect::Status, Heard::End),
            (_, None, Some(length)) => (Expect::Body(length), Heard::Body(Some(length))),
            (_, Some(true), None) => (Expect::Chunk, Heard::Body(None)),
            // The body ends with the connection; or it has two ends, which is how answers are
            // split, and there no server is to be heard further.
            _ => (Expect::Status, Heard::Last),
        }
    }
}

/// The minor version, as a digit, and the code (RFC 9112 §4).
fn status_line(line: &[u8]) -> Option<(u8, u16)> {
    let line = line.strip_suffix(b"\r\n")?.strip_prefix(b"HTTP/1.")?;
    let [minor @ b'0'..=b'9', b' ', code @ ..] = line else { return None };
    let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = code else {
        return None;
    };
    let number = |digit: &u8| u16::from(digit - b'0');
    // A server may leave out the space where it leaves out the reason.
    let reason = reason.is_empty() || (reason.starts_with(b" ") && is_text(reason));
    reason.then(|| (*minor, number(a) * 100 + number(b) * 10 + number(c)))
}

/// Digits and nothing else; what is beyond 32 bits is as good as the highest number.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    Some(digits.iter().fold(0, add))
}

/// The size of a chunk, in hexadecimal digits; what may stand behind it means nothing here
/// (RFC 9112 §7.1.1).
fn size(line: &[u8]) -> Option<u32> {
    let line = line.strip_suffix(b"\r\n")?;
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    let end = line.iter().position(|octet| digit(octet).is_none()).unwrap_or(line.len());
    let (digits, extension) = line.split_at_checked(end)?;
    let extended = extension.trim_ascii_start().starts_with(b";") && is_text(extension);
    let add = |sum: u32, digit: u32| sum.saturating_mul(16).saturating_add(digit);
    let whole = !digits.is_empty() && (extension.is_empty() || extended);
    whole.then(|| digits.iter().filter_map(digit).fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_hexadecimal() {
        for (line, expected) in [
            (&b"0\r\n"[..], Some(0)),
            (b"00a\r\n", Some(10)),
            (b"fF\r\n", Some(255)),
            (b"1;name\r\n", Some(1)),
            (b"1 \t; name = \"v\"\r\n", Some(1)),
            (b"ffffffff\r\n", Some(u32::MAX)),
            (b"123456789abcdef\r\n", Some(u32::MAX)),
            (b"\r\n", None),
            (b" 1\r\n", None),
            (b"1 \r\n", None),
            (b"0x1\r\n", None),
            (b"-1\r\n", None),
            (b"+1\r\n", None),
            (b"1,2\r\n", None),
            (b"1;\x1b\r\n", None),
            (b";a\r\n", None),
        ] {
            assert_eq!(size(line), expected, "{}", line.escape_ascii());
        }
    }
}
