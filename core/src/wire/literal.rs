//! Lines that carry literals: `{n}` at the end of a line says that `n` octets follow, and behind
//! them the rest of the line (RFC 9051 §4.3, RFC 2244 §2.6.3, RFC 5804 §1.2).
//!
//! ```text
//! "IMPLEMENTATION" {8}CRLF    a frame: a line, or what is left of one
//! starttls                    a frame: 2,048 octets of the literal, or what is left of it
//! CRLF                        a frame
//! ```

use super::scan::skip;
use super::{Frame, MAX_LINE, line};
use crate::error::{Error, Misbehaviour};

/// The longest literal accepted, in octets. Before TLS nobody has a use for one of this size.
const MAX_LITERAL: usize = 65_536;

/// The most frames accepted in one reply, or in all commands.
const MAX_FRAMES: u8 = 128;

/// Which literals a line may announce at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// None: it ends in free text.
    Nothing,
    /// `{n}` and `{n+}`.
    Literals,
    /// `{n+}` alone, which comes without being asked for. A server that refuses a command does not
    /// ask for what `{n}` announces, and so it never comes (RFC 9051 §4.3).
    Unasked,
}

/// Where in a line with literals the next frame begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Literals {
    /// Octets of the literal that are still to come.
    left: usize,
    inside: bool,
    frames: u8,
}

impl Literals {
    /// Whether the next frame goes on with a line that was begun.
    pub(crate) fn inside(self) -> bool {
        self.inside
    }

    /// Finds the next frame, as [`Negotiate::frame`](crate::negotiate::Negotiate::frame) does. The
    /// octets of a literal are counted and not looked at.
    pub(crate) fn frame(self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        match self.left.min(MAX_LINE) {
            0 => line(input, scanned),
            size if size <= input.len() => Ok(Frame::Whole(size)),
            _ => Ok(Frame::Partial),
        }
    }

    /// Takes in the next frame; says whether it ends a line that may announce what `carries` says.
    pub(crate) fn advance(&mut self, frame: &[u8], carries: Carries) -> Result<bool, Error> {
        if self.frames == MAX_FRAMES {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        self.frames += 1;
        if self.left > 0 {
            self.left = self.left.saturating_sub(frame.len());
            return Ok(false);
        }
        let literal = match carries {
            Carries::Nothing => None,
            Carries::Literals => announced(frame)?,
            Carries::Unasked => announced(frame)?.filter(|literal| literal.unasked),
        };
        self.left = literal.map_or(0, |literal| literal.octets);
        self.inside = literal.is_some();
        Ok(!self.inside)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Literal {
    octets: usize,
    unasked: bool,
}

/// The literal that a line announces at its end.
fn announced(line: &[u8]) -> Result<Option<Literal>, Error> {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    if ends_in_quotes(line) {
        return Err(Misbehaviour::Malformed.into());
    }
    let Some(line) = line.strip_suffix(b"}") else { return Ok(None) };
    let (line, unasked) = match line.strip_suffix(b"+") {
        Some(line) => (line, true),
        None => (line, false),
    };
    let digits = line.rsplit(|&octet| octet == b'{').next().unwrap_or_default();
    if digits.is_empty() || digits.len() == line.len() || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let number = |sum: usize, &digit: &u8| match sum {
        0..=MAX_LITERAL => sum * 10 + usize::from(digit - b'0'),
        _ => sum,
    };
    match digits.iter().fold(0, number) {
        octets @ 0..=MAX_LITERAL => Ok(Some(Literal { octets, unasked })),
        _ => Err(Misbehaviour::FrameTooLong.into()),
    }
}

/// Whether a quoted string is left open at the end: it may not hold CR LF.
fn ends_in_quotes(line: &[u8]) -> bool {
    let (mut quoted, mut rest) = (false, line);
    loop {
        rest = skip(rest, 0, [b'"', b'\\']);
        match rest {
            [] => return quoted,
            [b'"', behind @ ..] => (quoted, rest) = (!quoted, behind),
            [b'\\', _, behind @ ..] if quoted => rest = behind,
            [_, behind @ ..] => rest = behind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements() {
        let literal = |octets, unasked| Ok(Some(Literal { octets, unasked }));
        assert_eq!(announced(b"* LIST () \"/\" {5}\r\n"), literal(5, false));
        assert_eq!(announced(b"a LOGIN {0+}\r\n"), literal(0, true));
        assert_eq!(announced(b"~{007}\r\n"), literal(7, false));
        assert_eq!(announced(b"{65536}\r\n"), literal(65_536, false));
        for none in ["", "{}", "{+}", "{-1}", "{1", "1}", "{1} ", "{1++}", "{a}", "\"{5}\"", "}"] {
            let line = std::format!("{none}\r\n");
            assert_eq!(announced(line.as_bytes()), Ok(None), "{none}");
        }
        for long in ["{65537}", "{4294967296+}", "{99999999999999999999999999999999}"] {
            let line = std::format!("{long}\r\n");
            let error = Err(Misbehaviour::FrameTooLong.into());
            assert_eq!(announced(line.as_bytes()), error, "{long}");
        }
    }

    #[test]
    fn quotes_end_before_the_line_does() {
        for open in ["\"", "\"a\\\"", "\"{5}", "\"a\" \"", "\"\\\\\" \""] {
            let line = std::format!("{open}\r\n");
            assert_eq!(announced(line.as_bytes()), Err(Misbehaviour::Malformed.into()), "{open}");
        }
        for closed in ["\"\"", "\"a\\\"b\"", "\\\"\"", "\"\\\\\""] {
            assert!(!ends_in_quotes(closed.as_bytes()), "{closed}");
        }
    }

    #[test]
    fn frames_of_a_line() {
        let mut literals = Literals::default();
        assert_eq!(literals.advance(b"{2050}\r\n", Carries::Literals), Ok(false));
        let long = [b'\n'; 2048];
        assert_eq!(literals.frame(&long[..2047], 5), Ok(Frame::Partial));
        assert_eq!(literals.frame(&long, 5), Ok(Frame::Whole(2048)));
        assert_eq!(literals.advance(&long, Carries::Literals), Ok(false));
        assert_eq!(literals.frame(b"\n\nx\r\n", 0), Ok(Frame::Whole(2)));
        assert_eq!(literals.advance(b"\n\n", Carries::Literals), Ok(false));
        assert_eq!(literals.frame(b"x\r\ny", 0), Ok(Frame::Whole(3)));
        assert!(literals.inside());
        assert_eq!(literals.advance(b"x\r\n", Carries::Literals), Ok(true));
        assert!(!literals.inside());
    }

    #[test]
    fn what_a_line_may_announce() {
        for (carries, line, ends) in [
            (Carries::Nothing, "{5}\r\n", true),
            (Carries::Nothing, "\"\r\n", true),
            (Carries::Unasked, "{5}\r\n", true),
            (Carries::Unasked, "{5+}\r\n", false),
            (Carries::Literals, "{5+}\r\n", false),
        ] {
            let ended = Literals::default().advance(line.as_bytes(), carries);
            assert_eq!(ended, Ok(ends), "{carries:?} {line:?}");
        }
    }
}
