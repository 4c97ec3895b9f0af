//! SMTP replies: three digits, `-` or a space, text (RFC 5321 §4.2).

use crate::error::{Error, Misbehaviour};

/// The most lines accepted in one reply.
pub(super) const MAX_REPLY_LINES: u16 = 128;

/// A reply code, 100 to 599.
pub(crate) type Code = u16;

/// One line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyLine<'a> {
    pub(crate) code: Code,
    /// The last line of its reply.
    pub(crate) last: bool,
    pub(crate) text: &'a [u8],
}

impl<'a> ReplyLine<'a> {
    /// Parses one whole line, its CR LF included.
    #[inline]
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Error> {
        let (text, last) = match line {
            [_, _, _, b'-', text @ .., b'\r', b'\n'] => (text, false),
            [_, _, _, b' ', text @ .., b'\r', b'\n'] => (text, true),
            // A server may leave out the space where it leaves out the text.
            [_, _, _, b'\r', b'\n'] => (&[][..], true),
            _ => return Err(Misbehaviour::Malformed.into()),
        };
        match *line {
            [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                let [a, b, c] = [a, b, c].map(|digit| Code::from(digit - b'0'));
                Ok(Self { code: a * 100 + b * 10 + c, last, text })
            }
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }

    /// Whether this line of an EHLO reply names the extension `keyword`, in any letter case
    /// (RFC 5321 §4.1.1.1).
    pub(crate) fn keyword(&self) -> &'a [u8] {
        self.text.split(|&octet| octet == b' ').next().unwrap_or_default()
    }
}

/// Joins the lines of a multi-line reply: same code in all of them, and not too many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replies {
    code: Code,
    lines: u16,
}

impl Replies {
    /// Takes in the next line; `first` says whether it begins a reply.
    #[inline]
    pub(crate) fn line<'a>(&mut self, line: &'a [u8]) -> Result<(ReplyLine<'a>, bool), Error> {
        let line = ReplyLine::parse(line)?;
        let first = self.lines == 0;
        if !first && line.code != self.code {
            return Err(Misbehaviour::MixedReply.into());
        }
        if self.lines >= MAX_REPLY_LINES {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        *self = if line.last {
            Self::default()
        } else {
            Self { code: line.code, lines: self.lines + 1 }
        };
        Ok((line, first))
    }
}

/// A reply as the server wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<'a> {
    /// The three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463), if the text begins with one.
    pub enhanced: Option<[u16; 3]>,
    /// The text of all lines, joined by LF; cut when a server writes too much. Never put it on a
    /// terminal without escaping control characters.
    pub text: &'a [u8],
}

impl<'a> Reply<'a> {
    pub(crate) fn new(code: Code, text: &'a [u8]) -> Self {
        Self { code, enhanced: enhanced(text), text }
    }

    /// 4yz: trying again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code, 400..=499)
    }
}

/// `class.subject.detail` at the front of a reply text (RFC 2034 §4).
fn enhanced(text: &[u8]) -> Option<[u16; 3]> {
    let token = text.split(|octet| matches!(octet, b' ' | b'\n')).next()?;
    let mut parts = token.split(|&octet| octet == b'.');
    let mut code = [0; 3];
    for number in &mut code {
        let digits = parts.next()?;
        if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        *number = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    }
    (parts.next().is_none() && matches!(code[0], 2 | 4 | 5)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse_as_printed() {
        let line = |code, last, text| Ok(ReplyLine { code, last, text });
        assert_eq!(ReplyLine::parse(b"220 go ahead\r\n"), line(220, true, &b"go ahead"[..]));
        assert_eq!(ReplyLine::parse(b"250-STARTTLS\r\n"), line(250, false, &b"STARTTLS"[..]));
        assert_eq!(ReplyLine::parse(b"250\r\n"), line(250, true, &b""[..]));
        for bad in [&b"22 x\r\n"[..], b"abc x\r\n", b"220_x\r\n", b"620 x\r\n", b"\r\n", b"220 x"] {
            assert_eq!(ReplyLine::parse(bad), Err(Misbehaviour::Malformed.into()), "{bad:?}");
        }
    }

    #[test]
    fn codes_must_agree() {
        let mut replies = Replies::default();
        assert!(replies.line(b"250-a\r\n").is_ok());
        assert_eq!(replies.line(b"550 b\r\n"), Err(Misbehaviour::MixedReply.into()));
    }

    #[test]
    fn replies_end() {
        let mut replies = Replies::default();
        for _ in 0..MAX_REPLY_LINES {
            assert!(replies.line(b"250-a\r\n").is_ok());
        }
        assert_eq!(replies.line(b"250-a\r\n"), Err(Misbehaviour::TooManyFrames.into()));
    }

    #[test]
    fn enhanced_codes() {
        assert_eq!(Reply::new(550, b"5.1.1 no such user").enhanced, Some([5, 1, 1]));
        assert_eq!(Reply::new(550, b"5.1.1.2 x").enhanced, None);
        assert_eq!(Reply::new(550, b"no such user").enhanced, None);
        assert_eq!(Reply::new(550, b"9.1.1 x").enhanced, None);
    }
}
