//! Tagged lines: a tag, a word, and the rest (RFC 9051 §2.2, RFC 2244 §2.1).

use super::{Carries, Frame, Literals};

/// A whole line, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tagged<'a> {
    /// The client's tag; `*` where a server speaks unasked, `+` where it asks for more.
    pub(crate) tag: &'a [u8],
    /// The command or the status, in any letter case. Never empty.
    pub(crate) word: &'a [u8],
    /// What stands behind the space behind the word.
    pub(crate) rest: Option<&'a [u8]>,
}

impl<'a> Tagged<'a> {
    /// Parses a whole line, its CR LF included.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.strip_suffix(b"\r\n")?.splitn(3, |&octet| octet == b' ');
        let (tag, word) = (parts.next()?, parts.next()?);
        (!tag.is_empty() && !word.is_empty()).then_some(Self { tag, word, rest: parts.next() })
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.word.eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether the tag is one that a client may choose (RFC 9051 §9, RFC 2244 §8).
    pub(crate) fn has_tag(&self) -> bool {
        let special = |octet: &u8| b"(){%*\"\\+".contains(octet);
        self.tag.iter().all(|octet| octet.is_ascii_graphic() && !special(octet))
    }
}

/// Whether the text of a status begins with this response code, in any letter case: `[code …` in
/// IMAP, `(code …` elsewhere.
pub(crate) fn has_code(text: Option<&[u8]>, code: &str) -> bool {
    let Some([b'[' | b'(', text @ ..]) = text else { return false };
    let word = text.split(|octet| matches!(octet, b' ' | b']' | b')')).next().unwrap_or_default();
    word.eq_ignore_ascii_case(code.as_bytes())
}

/// Whether the text of a status is what ACAP and ManageSieve allow: nothing, a response code in
/// brackets, or a string (RFC 2244 §6.2.2, RFC 5804 §1.2).
pub(crate) fn is_text(text: Option<&[u8]>) -> bool {
    matches!(text, None | Some([b'(' | b'"' | b'{', ..]))
}

/// Whether what stands in `input` can only be what a server says unasked; `carries` says what a
/// line announces that begins there. What is wrong with it otherwise, framing will say.
pub(crate) fn only_untagged(mut input: &[u8], carries: fn(&[u8]) -> Carries) -> bool {
    let mut literals = Literals::default();
    while let Some(first) = input.first() {
        if !literals.inside() && *first != b'*' {
            return false;
        }
        let Ok(Frame::Whole(length)) = literals.frame(input, 0) else { return true };
        let Some((frame, rest)) = input.split_at_checked(length) else { return true };
        let carries = if literals.inside() { Carries::Literals } else { carries(frame) };
        if literals.advance(frame, carries).is_err() {
            return true;
        }
        input = rest;
    }
    true
}

/// Tags that nobody can guess (RFC 9051 §2.2.1 asks only that they differ): hexadecimal digits of
/// eight octets each. To have seen one is no help in guessing that of the request to upgrade.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tags([u8; 16]);

impl Tags {
    pub(crate) fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// For the question about capabilities.
    pub(crate) fn capability(&self) -> [u8; 16] {
        self.digits(0)
    }

    /// For the request to upgrade.
    pub(crate) fn starttls(&self) -> [u8; 16] {
        self.digits(8)
    }

    /// For the goodbye, the last that is said.
    pub(crate) fn logout(&self) -> [u8; 16] {
        self.digits(4)
    }

    /// For the question inside TLS: who is there has not said goodbye.
    pub(crate) fn inside(&self) -> [u8; 16] {
        self.logout()
    }

    fn digits(&self, from: usize) -> [u8; 16] {
        let digit = |four: u8| if four < 10 { b'0' + four } else { b'a' + four - 10 };
        let mut digits = [b'0'; 16];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, octet) in pairs.iter_mut().zip(self.0.iter().skip(from)) {
            *pair = [digit(octet >> 4), digit(octet & 15)];
        }
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_parts() {
        let parse = |line: &'static str| {
            let tagged = Tagged::parse(line.as_bytes())?;
            let text = |octets: &'static [u8]| core::str::from_utf8(octets).unwrap();
            Some((text(tagged.tag), text(tagged.word), tagged.rest.map(text)))
        };
        assert_eq!(parse("a1 OK go\r\n"), Some(("a1", "OK", Some("go"))));
        assert_eq!(parse("* OK [A B] c d\r\n"), Some(("*", "OK", Some("[A B] c d"))));
        assert_eq!(parse("a1 STARTTLS\r\n"), Some(("a1", "STARTTLS", None)));
        assert_eq!(parse("a1 STARTTLS \r\n"), Some(("a1", "STARTTLS", Some(""))));
        for bad in ["\r\n", "a1\r\n", "a1 \r\n", " a1 OK\r\n", "a1  OK\r\n", "a1 OK", "* \r\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn tags_are_atoms() {
        let has_tag = |tag: &str| {
            let line = std::format!("{tag} NOOP\r\n");
            Tagged::parse(line.as_bytes()).is_some_and(|tagged| tagged.has_tag())
        };
        for good in ["a", "A1.x-]~!#'/", "0"] {
            assert!(has_tag(good), "{good}");
        }
        for bad in ["*", "+", "a+", "a(", ")", "{1}", "a%", "\"a\"", "a\\", "a\t", "\u{fc}"] {
            assert!(!has_tag(bad), "{bad}");
        }
    }

    #[test]
    fn codes_are_whole_words() {
        assert!(has_code(Some(b"[UNAVAILABLE] x"), "UNAVAILABLE"));
        assert!(has_code(Some(b"(trylater) \"x\""), "TRYLATER"));
        assert!(has_code(Some(b"(TRYLATER 5"), "TRYLATER"));
        for other in [&b"[UNAVAILABLES] x"[..], b"UNAVAILABLE x", b"[X UNAVAILABLE]", b"[", b""] {
            assert!(!has_code(Some(other), "UNAVAILABLE"), "{other:?}");
        }
        assert!(!has_code(None, "TRYLATER"));
    }

    #[test]
    fn unasked_lines_are_told_from_answers() {
        let only = |input: &str| only_untagged(input.as_bytes(), |_| Carries::Literals);
        for fine in ["", "*", "* OK x\r\n", "* OK x\r\n* 1 EX", "* A {5}\r\nb OK \r\n* C\r\n"] {
            assert!(only(fine), "{fine:?}");
        }
        for early in ["a", "\r\n", "* OK x\r\na", "* A {5}\r\n12345\r\na OK", "+ go", " * OK"] {
            assert!(!only(early), "{early:?}");
        }
        // No literal: what looks like one does not hide what stands behind it.
        assert!(!only_untagged(b"* OK {9}\r\na OK x\r\n", |_| Carries::Nothing));
        // The rest of a line is no line of its own.
        let first = |line: &[u8]| match line {
            [b'*', ..] => Carries::Literals,
            _ => Carries::Nothing,
        };
        assert!(only_untagged(b"* A {1}\r\nx {7}\r\nb OK x\r\n\r\n", first));
        // What framing refuses is left to framing.
        assert!(only("* A\nb OK\r\n") && only("* {65537}\r\nb OK\r\n"));
    }

    #[test]
    fn tags_come_from_the_octets() {
        let mut random = [0; 16];
        (0..).zip(&mut random).for_each(|(at, octet): (u8, _)| *octet = at * 17);
        let tags = Tags::new(random);
        assert_eq!(&tags.capability(), b"0011223344556677");
        assert_eq!(&tags.starttls(), b"8899aabbccddeeff");
        assert_eq!(&tags.logout(), b"445566778899aabb");
    }
}
