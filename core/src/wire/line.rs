//! Lines that end in CR LF, and in nothing else.

use super::Frame;
use crate::error::{Error, Misbehaviour};

/// Looks for the end of the line at the front of `input`, of which the first `scanned` octets
/// were looked at before. Every octet is examined once.
///
/// A bare LF, a CR before anything but LF, and a NUL are errors at the octet that proves them, so
/// the result does not depend on how the octets were cut into reads (RFC 5321 §2.3.8).
pub(crate) fn line(input: &[u8], scanned: usize) -> Result<Frame, Error> {
    let mut after_cr = scanned > 0 && input.get(scanned - 1) == Some(&b'\r');
    for (at, &octet) in input.iter().enumerate().skip(scanned) {
        match (octet, after_cr) {
            (b'\n', true) => return Ok(Frame::Whole(at + 1)),
            (b'\n', false) | (_, true) => return Err(Misbehaviour::BareLineEnd.into()),
            (0, false) => return Err(Misbehaviour::Nul.into()),
            _ => after_cr = octet == b'\r',
        }
    }
    Ok(Frame::Partial)
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
