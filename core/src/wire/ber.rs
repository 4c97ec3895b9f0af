//! BER as LDAP has it (RFC 4511 §5.1): definite lengths, and tags of one octet.

use super::Frame;
use crate::error::{Error, Misbehaviour};

/// The universal types (X.680 §8.4).
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Looks for the end of the SEQUENCE at the front of `input`, which may be `max` octets long. Only
/// its header is examined, at most six octets.
pub(crate) fn sequence(input: &[u8], max: usize) -> Result<Frame, Error> {
    if input.first().is_some_and(|&tag| tag != SEQUENCE) {
        return Err(Misbehaviour::Malformed.into());
    }
    let Some(header) = Header::parse(input)? else { return Ok(Frame::Partial) };
    match header.octets.saturating_add(header.content) {
        whole if whole > max => Err(Misbehaviour::FrameTooLong.into()),
        whole if whole > input.len() => Ok(Frame::Partial),
        whole => Ok(Frame::Whole(whole)),
    }
}

struct Header {
    tag: u8,
    /// Octets of tag and length.
    octets: usize,
    /// Octets behind them.
    content: usize,
}

impl Header {
    /// `None` if it is not all there. The indefinite form and lengths of more than four octets are
    /// errors; four octets for a small number are not.
    fn parse(input: &[u8]) -> Result<Option<Self>, Error> {
        let [tag, length, rest @ ..] = input else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(Misbehaviour::Malformed.into());
        }
        let further = match length {
            0..=0x7f => {
                return Ok(Some(Self { tag: *tag, octets: 2, content: usize::from(*length) }));
            }
            0x81..=0x84 => usize::from(length & 0x7f),
            _ => return Err(Misbehaviour::Malformed.into()),
        };
        let Some(length) = rest.get(..further) else { return Ok(None) };
        // More than a small target can count is too long all the same.
        let content = usize::try_from(number(length)).unwrap_or(usize::MAX);
        Ok(Some(Self { tag: *tag, octets: 2 + further, content }))
    }
}

/// At most four octets, most significant first.
fn number(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |number, &octet| number << 8 | u32::from(octet))
}

/// The elements of some content, from front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(crate) fn of(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// What was not looked at yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Tag and content of the next element, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Some(header) = Header::parse(self.0)? else {
            return Err(Misbehaviour::Malformed.into());
        };
        let content = self.0.get(header.octets..).unwrap_or_default();
        let Some((content, rest)) = content.split_at_checked(header.content) else {
            return Err(Misbehaviour::Malformed.into());
        };
        self.0 = rest;
        Ok(Some((header.tag, content)))
    }

    /// Goes into the next element, which has this tag, and of which the end may be cut off.
    pub(crate) fn enter(self, tag: u8) -> Result<Self, Error> {
        match Header::parse(self.0)? {
            Some(header) if header.tag == tag => {
                Ok(Self(self.0.get(header.octets..).unwrap_or_default()))
            }
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }

    /// The content of the next element, which has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        match self.next()? {
            Some((found, content)) if found == tag => Ok(content),
            _ => Err(Misbehaviour::Malformed.into()),
        }
    }
}

/// The content of an INTEGER or ENUMERATED from 0 to 2^31 - 1.
pub(crate) fn unsigned(content: &[u8]) -> Result<u32, Error> {
    match content {
        [0..=0x7f, ..] if content.len() <= 4 => Ok(number(content)),
        _ => Err(Misbehaviour::Malformed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MALFORMED: Error = Error::PeerMisbehaved(Misbehaviour::Malformed);

    #[test]
    fn a_sequence_ends_where_its_length_says() {
        assert_eq!(sequence(b"", 9), Ok(Frame::Partial));
        assert_eq!(sequence(b"\x30", 9), Ok(Frame::Partial));
        assert_eq!(sequence(b"\x30\x02\x05", 9), Ok(Frame::Partial));
        assert_eq!(sequence(b"\x30\x02\x05\x00", 9), Ok(Frame::Whole(4)));
        assert_eq!(sequence(b"\x30\x02\x05\x00\x30", 9), Ok(Frame::Whole(4)));
        assert_eq!(sequence(b"\x30\x81\x02\x05\x00", 9), Ok(Frame::Whole(5)));
        assert_eq!(sequence(b"\x30\x84\x00\x00\x00\x02\x05\x00", 9), Ok(Frame::Whole(8)));
        assert_eq!(sequence(b"\x30\x84\x00\x00\x00", 9), Ok(Frame::Partial));
        assert_eq!(sequence(b"\x30\x07", 9), Ok(Frame::Partial));
    }

    #[test]
    fn what_ends_nowhere_is_an_error() {
        let long = Err(Misbehaviour::FrameTooLong.into());
        assert_eq!(sequence(b"\x30\x08", 9), long);
        assert_eq!(sequence(b"\x30\x84\xff\xff\xff\xff", 9), long);
        assert_eq!(sequence(b"\x30\x80", 9), Err(MALFORMED));
        assert_eq!(sequence(b"\x30\x85", 9), Err(MALFORMED));
        assert_eq!(sequence(b"\x30\xff", 9), Err(MALFORMED));
        assert_eq!(sequence(b"\x31", 9), Err(MALFORMED));
    }

    #[test]
    fn elements_follow_each_other() {
        let mut elements = Elements::of(b"\x02\x01\x07\x04\x81\x02ab");
        assert_eq!(elements.expect(INTEGER), Ok(&b"\x07"[..]));
        assert_eq!(elements.next(), Ok(Some((OCTET_STRING, &b"ab"[..]))));
        assert_eq!(elements.next(), Ok(None));
        assert_eq!(elements.expect(INTEGER), Err(MALFORMED));
        for bad in [&b"\x02"[..], b"\x02\x01", b"\x02\x81", b"\x1f\x01\x00", b"\x02\x80\x00\x00"] {
            assert_eq!(Elements::of(bad).next(), Err(MALFORMED), "{bad:?}");
        }
    }

    #[test]
    fn an_element_is_entered_though_it_is_cut_off() {
        let mut inside = Elements::of(b"\x30\x82\x10\x00\x02\x01\x07\x04").enter(SEQUENCE).unwrap();
        assert_eq!(inside.expect(INTEGER), Ok(&b"\x07"[..]));
        assert_eq!(inside.next(), Err(MALFORMED));
        for bad in [&b""[..], b"\x30", b"\x30\x82\x10", b"\x31\x00", b"\x30\x80"] {
            assert!(Elements::of(bad).enter(SEQUENCE).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_not_negative_and_fit() {
        assert_eq!(unsigned(b"\x00"), Ok(0));
        assert_eq!(unsigned(b"\x7f\xff\xff\xff"), Ok(0x7fff_ffff));
        assert_eq!(unsigned(b"\x00\x00\x00\x01"), Ok(1));
        for bad in [&b""[..], b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00\x01"] {
            assert_eq!(unsigned(bad), Err(MALFORMED), "{bad:?}");
        }
    }
}
