//! Packets of MySQL: a length of three octets, least significant first, a sequence number, and
//! the payload.

use super::Frame;
use crate::error::{Error, Misbehaviour};

/// Octets before the payload.
pub(crate) const HEADER: usize = 4;

/// Looks for the end of the packet at the front of `input`: its header, and of its payload, which
/// may be `max` octets long, the first `wanted` octets. Only the length is examined.
pub(crate) fn packet(input: &[u8], wanted: usize, max: usize) -> Result<Frame, Error> {
    let &[low, middle, high, ..] = input else { return Ok(Frame::Partial) };
    let length = (usize::from(high) << 8 | usize::from(middle)).saturating_mul(256);
    match length | usize::from(low) {
        0 => Err(Misbehaviour::Malformed.into()),
        length if length > max => Err(Misbehaviour::FrameTooLong.into()),
        length if HEADER + length.min(wanted) > input.len() => Ok(Frame::Partial),
        length => Ok(Frame::Whole(HEADER + length.min(wanted))),
    }
}

/// Takes `N` octets off the front of a payload.
pub(crate) fn take<const N: usize>(payload: &mut &[u8]) -> Result<[u8; N], Error> {
    let Some((octets, rest)) = payload.split_first_chunk() else {
        return Err(Misbehaviour::Malformed.into());
    };
    *payload = rest;
    Ok(*octets)
}

/// Takes a text off the front of a payload, and the NUL that ends it.
pub(crate) fn take_text<'a>(payload: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let mut parts = payload.splitn(2, |&octet| octet == 0);
    let (Some(text), Some(rest)) = (parts.next(), parts.next()) else {
        return Err(Misbehaviour::Malformed.into());
    };
    *payload = rest;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_ends_where_its_length_says() {
        assert_eq!(packet(b"", 9, 9), Ok(Frame::Partial));
        assert_eq!(packet(b"\x02\0", 9, 9), Ok(Frame::Partial));
        assert_eq!(packet(b"\x02\0\0", 9, 9), Ok(Frame::Partial));
        assert_eq!(packet(b"\x02\0\0\x01a", 9, 9), Ok(Frame::Partial));
        assert_eq!(packet(b"\x02\0\0\x01ab", 9, 9), Ok(Frame::Whole(6)));
        assert_eq!(packet(b"\x02\0\0\x01abc", 9, 9), Ok(Frame::Whole(6)));
        assert_eq!(packet(b"\x02\0\0\x01a", 1, 9), Ok(Frame::Whole(5)));
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(packet(b"\0\0\0", 9, 9), Err(Misbehaviour::Malformed.into()));
        for long in [b"\x0a\0\0", b"\x01\x01\0", b"\x01\0\x01", b"\xff\xff\xff"] {
            assert_eq!(packet(long, 9, 9), Err(Misbehaviour::FrameTooLong.into()));
        }
        assert_eq!(packet(b"\x34\x12\x01", 9, 0x1_1234), Ok(Frame::Partial));
        assert_eq!(packet(b"\x34\x12\x01", 9, 0x1_1233), Err(Misbehaviour::FrameTooLong.into()));
    }

    #[test]
    fn parts_are_taken_from_the_front() {
        let mut payload = &b"\x01\x02abc\0\0d"[..];
        assert_eq!(take(&mut payload), Ok([1, 2]));
        assert_eq!(take_text(&mut payload), Ok(&b"abc"[..]));
        assert_eq!(take_text(&mut payload), Ok(&b""[..]));
        assert_eq!(take_text(&mut payload), Err(Misbehaviour::Malformed.into()));
        assert_eq!(take::<2>(&mut payload), Err(Misbehaviour::Malformed.into()));
        assert_eq!(payload, b"d");
    }
}
