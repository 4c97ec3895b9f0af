//! Answers of many lines, in the ways that are not SMTP's: up to a lone dot, and FTP's.

use super::reply::{Code, MAX_REPLY_LINES, ReplyLine};
use crate::error::{Error, Misbehaviour};

/// Counts the lines of an answer that ends in a line of one dot (RFC 1939 §3, RFC 3977 §3.1.1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DotLines(u16);

impl DotLines {
    /// Takes in the next line; says whether it is the dot, which ends the answer and changes
    /// nothing: there may be no room yet for what is to be said then.
    pub(crate) fn ends(&mut self, line: &[u8]) -> Result<bool, Error> {
        if line == b".\r\n" {
            return Ok(true);
        }
        if self.0 >= MAX_REPLY_LINES {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        self.0 += 1;
        Ok(false)
    }
}

/// Joins the lines of an FTP reply: behind `code-`, every line is text, whatever it begins with,
/// up to the one that begins with the same code and no `-` (RFC 959 §4.2).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FtpReplies {
    code: Code,
    lines: u16,
}

impl FtpReplies {
    /// Takes in the next line; the reply's code, and whether this is the last of it.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<(Code, bool), Error> {
        let parsed = ReplyLine::parse(line);
        let code = if self.lines == 0 { parsed?.code } else { self.code };
        if parsed.is_ok_and(|line| line.last && line.code == code) {
            *self = Self::default();
            return Ok((code, true));
        }
        if self.lines >= MAX_REPLY_LINES {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        *self = Self { code, lines: self.lines + 1 };
        Ok((code, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lone_dot_ends_it() {
        let mut lines = DotLines::default();
        for text in [&b"..\r\n"[..], b". \r\n", b" .\r\n", b"\r\n", b"+OK\r\n", b"382 go\r\n"] {
            assert_eq!(lines.ends(text), Ok(false), "{text:?}");
        }
        assert_eq!(lines.ends(b".\r\n"), Ok(true));
    }

    #[test]
    fn text_in_an_ftp_reply_is_text() {
        let mut replies = FtpReplies::default();
        assert_eq!(replies.line(b"220-a\r\n"), Ok((220, false)));
        for text in [&b"234 go\r\n"[..], b"220-b\r\n", b" 220 c\r\n", b"2200\r\n", b"\r\n"] {
            assert_eq!(replies.line(text), Ok((220, false)), "{text:?}");
        }
        assert_eq!(replies.line(b"220 d\r\n"), Ok((220, true)));
        assert_eq!(replies.line(b"234 go\r\n"), Ok((234, true)));
        assert_eq!(replies.line(b" text\r\n"), Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn answers_end() {
        let (mut lines, mut replies) = (DotLines::default(), FtpReplies::default());
        for _ in 0..MAX_REPLY_LINES {
            assert_eq!(lines.ends(b"a\r\n"), Ok(false));
            assert_eq!(replies.line(b"211-a\r\n"), Ok((211, false)));
        }
        let too_many = Misbehaviour::TooManyFrames;
        assert_eq!(lines.ends(b"a\r\n"), Err(too_many.into()));
        assert_eq!(replies.line(b"211-a\r\n"), Err(too_many.into()));
        assert_eq!((lines.ends(b".\r\n"), replies.line(b"211 a\r\n")), (Ok(true), Ok((211, true))));
    }
}
