//! The head of an HTTP/1.1 message: a first line, header fields, an empty line (RFC 9112 §2.1).

use super::scan::skip;
use super::{Frame, line};
use crate::error::{Error, Misbehaviour};

/// Looks for the end of the head at the front of `input`, of which the first `scanned` octets were
/// looked at before. Octets are examined once, but for the last three.
///
/// Line ends are as strict as in [`line`]; an empty line in front is not the end (RFC 9112 §2.2).
pub(crate) fn head(input: &[u8], scanned: usize) -> Result<Frame, Error> {
    let mut scanned = scanned;
    loop {
        let Frame::Whole(end) = line(input, scanned)? else { return Ok(Frame::Partial) };
        if end > 4 && input.get(..end).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            return Ok(Frame::Whole(end));
        }
        scanned = end;
    }
}

/// A header field (RFC 9112 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a [u8],
    /// Without the white space around it.
    pub(crate) value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Parses one whole line. White space before the colon, and lines that go on with white space,
    /// are errors: they are what requests are smuggled in (RFC 9112 §5.1, §5.2).
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, Error> {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let mut parts = line.splitn(2, |&octet| octet == b':');
        match (parts.next(), parts.next()) {
            (Some(name), Some(value)) if is_token(name) && is_text(value) => {
                Ok(Self { name, value: trim(value) })
            }
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }

    pub(crate) fn is(self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The members of a list (RFC 9110 §5.6.1); none of them is empty.
    pub(crate) fn list(self) -> impl Iterator<Item = &'a [u8]> {
        self.value.split(|&octet| octet == b',').map(trim).filter(|member| !member.is_empty())
    }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(octets: &[u8]) -> bool {
    let in_token = |octet: &u8| {
        matches!(octet, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
            || matches!(octet, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
    };
    !octets.is_empty() && octets.iter().all(in_token)
}

/// What may stand in a value or a reason (RFC 9110 §5.5).
pub(crate) fn is_text(octets: &[u8]) -> bool {
    let mut rest = octets;
    loop {
        rest = skip(rest, b' ', [0x7f]);
        match rest {
            [b'\t', behind @ ..] => rest = behind,
            _ => return rest.is_empty(),
        }
    }
}

fn trim(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_an_empty_line() {
        assert_eq!(head(b"a\r\n\r\nb", 0), Ok(Frame::Whole(5)));
        assert_eq!(head(b"a\r\nb: c\r\n\r\n", 0), Ok(Frame::Whole(11)));
        assert_eq!(head(b"\r\na\r\n\r\n", 0), Ok(Frame::Whole(7)));
        for partial in [&b""[..], b"a", b"a\r\n", b"a\r\n\r", b"\r\n", b"\r\n\r", b"a\r\nb\r\n"] {
            assert_eq!(head(partial, 0), Ok(Frame::Partial), "{}", partial.escape_ascii());
        }
        assert_eq!(head(b"\r\n\r\n", 0), Ok(Frame::Partial));
        assert_eq!(head(b"a\n\n", 0), Err(Misbehaviour::BareLineEnd.into()));
        assert_eq!(head(b"a\r\n\n", 0), Err(Misbehaviour::BareLineEnd.into()));
        assert_eq!(head(b"a\r\n\0", 0), Err(Misbehaviour::Nul.into()));
    }

    #[test]
    fn a_split_changes_nothing() {
        for text in [&b"a\r\nb\r\n\r\nc"[..], b"\r\na\r\n\r\n", b"a\r\n\n", b"a\rb", b"a\r\n\0"] {
            let whole = head(text, 0);
            for cut in 0..text.len() {
                let first = head(&text[..cut], 0);
                let again = if first == Ok(Frame::Partial) { head(text, cut) } else { first };
                assert_eq!(again, whole, "{} cut at {cut}", text.escape_ascii());
            }
        }
    }

    #[test]
    fn fields_parse_as_printed() {
        let field = |name, value| Ok(Field { name, value });
        assert_eq!(Field::parse(b"Upgrade: TLS/1.0\r\n"), field(&b"Upgrade"[..], &b"TLS/1.0"[..]));
        assert_eq!(Field::parse(b"a:\r\n"), field(b"a", b""));
        assert_eq!(
            Field::parse(b"!#$%&'*+-.^_`|~1z:\t b:c \t\r\n"),
            field(b"!#$%&'*+-.^_`|~1z", b"b:c")
        );
        assert_eq!(Field::parse(b"a: \xff\r\n"), field(b"a", b"\xff"));
        for bad in
            [&b"a\r\n"[..], b": b\r\n", b"a : b\r\n", b" a: b\r\n", b"\ta: b\r\n", b"a(: b\r\n"]
        {
            assert_eq!(
                Field::parse(bad),
                Err(Misbehaviour::Malformed.into()),
                "{}",
                bad.escape_ascii()
            );
        }
        for bad in [&b"a: \x1b\r\n"[..], b"a: \x7f\r\n", b"a: b\rc\r\n"] {
            assert_eq!(
                Field::parse(bad),
                Err(Misbehaviour::Malformed.into()),
                "{}",
                bad.escape_ascii()
            );
        }
        let field = Field { name: b"Upgrade", value: b", TLS/1.0 ,,\tHTTP/1.1," };
        assert!(field.is("upgrade") && !field.is("upgrades"));
        assert!(field.list().eq([&b"TLS/1.0"[..], b"HTTP/1.1"]));
    }
}
