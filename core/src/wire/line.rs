//! Lines that end in CR LF, and in nothing else.

use super::Frame;
use super::scan::skip;
use crate::error::{Error, Misbehaviour};

/// Looks for the end of the line at the front of `input`, of which the first `scanned` octets
/// were looked at before. Every octet is examined once.
///
/// A bare LF, a CR before anything but LF, and a NUL are errors at the octet that proves them, so
/// the result does not depend on how the octets were cut into reads (RFC 5321 §2.3.8).
pub(crate) fn line(input: &[u8], scanned: usize) -> Result<Frame, Error> {
    // A CR may have been the last of them.
    let last = scanned.saturating_sub(1);
    let from = if input.get(last) == Some(&b'\r') { last } else { scanned };
    let mut rest = input.get(from..).unwrap_or_default();
    loop {
        rest = skip(rest, b'\r' + 1, []);
        match rest {
            [b'\r', b'\n', behind @ ..] => return Ok(Frame::Whole(input.len() - behind.len())),
            [] | [b'\r'] => return Ok(Frame::Partial),
            [b'\r' | b'\n', ..] => return Err(Misbehaviour::BareLineEnd.into()),
            [0, ..] => return Err(Misbehaviour::Nul.into()),
            [_, behind @ ..] => rest = behind,
        }
    }
}

/// What LF ends, and what is left behind the last. Unlike `split_inclusive` it links no panic.
pub(crate) fn lines(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let end = octets.iter().position(|&octet| octet == b'\n').map_or(octets.len(), |at| at + 1);
        let (line, rest) = octets.split_at_checked(end).filter(|(line, _)| !line.is_empty())?;
        octets = rest;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cr_lf_ends_a_line() {
        assert_eq!(line(b"220 ok\r\nrest", 0), Ok(Frame::Whole(8)));
        assert_eq!(line(b"220 ok\r", 0), Ok(Frame::Partial));
        assert_eq!(line(b"", 0), Ok(Frame::Partial));
        assert_eq!(line(b"a\nb\r\n", 0), Err(Misbehaviour::BareLineEnd.into()));
        assert_eq!(line(b"a\rb\r\n", 0), Err(Misbehaviour::BareLineEnd.into()));
        assert_eq!(line(b"a\r\r\n", 0), Err(Misbehaviour::BareLineEnd.into()));
        assert_eq!(line(b"a\0b\r\n", 0), Err(Misbehaviour::Nul.into()));
    }

    #[test]
    fn lines_follow_each_other() {
        assert!(lines(b"a\r\n\nb").eq([&b"a\r\n"[..], b"\n", b"b"]));
        assert!(lines(b"a\n").eq([b"a\n"]));
        assert_eq!(lines(b"").next(), None);
    }

    #[test]
    fn a_split_changes_nothing() {
        for text in [&b"220 ok\r\n"[..], b"a\nb", b"a\rb", b"a\0"] {
            let whole = line(text, 0);
            for cut in 0..text.len() {
                let first = line(&text[..cut], 0);
                let again = if first == Ok(Frame::Partial) { line(text, cut) } else { first };
                assert_eq!(again, whole, "{text:?} cut at {cut}");
            }
        }
    }
}
