//! A telnet stream in its elements: text, commands, and options (RFC 854).

use super::Frame;
use crate::error::{Error, Misbehaviour};

pub(crate) const IAC: u8 = 255;
pub(crate) const DONT: u8 = 254;
pub(crate) const DO: u8 = 253;
pub(crate) const WONT: u8 = 252;
pub(crate) const WILL: u8 = 251;
/// Subnegotiation begins, and ends.
pub(crate) const SB: u8 = 250;
pub(crate) const SE: u8 = 240;

/// The first of the commands: EOF (RFC 1184 §2.1).
const FIRST: u8 = 236;

/// Looks for the end of the element at the front of `input`, of which the first `scanned` octets
/// were looked at before. Text ends where a command begins. Beyond the three octets of a command,
/// each octet is examined once.
pub(crate) fn element(input: &[u8], scanned: usize) -> Result<Frame, Error> {
    let ends = match input {
        [] | [IAC] | [IAC, SB..=DONT] => None,
        [IAC, SB..=DONT, ..] => Some(3),
        [IAC, FIRST..=IAC, ..] => Some(2),
        [IAC, ..] => return Err(Misbehaviour::Malformed.into()),
        text => text.iter().skip(scanned).position(|&octet| octet == IAC).map(|at| scanned + at),
    };
    Ok(ends.map_or(Frame::Partial, Frame::Whole))
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element<'a> {
    Text(&'a [u8]),
    Command(u8),
    /// WILL, WONT, DO, DONT or SB, and of which option.
    Option(u8, u8),
}

impl<'a> Element<'a> {
    /// Tells what a whole one is.
    pub(crate) fn parse(frame: &'a [u8]) -> Self {
        match frame {
            // IAC is data when it is doubled.
            [IAC, IAC] => Self::Text(&[IAC]),
            [IAC, command] => Self::Command(*command),
            [IAC, verb, option] => Self::Option(*verb, *option),
            text => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end() {
        for (input, length) in [
            (&b"\xff\xfb\x2e\xff"[..], 3),
            (b"\xff\xfa\x2e\x01", 3),
            (b"\xff\xf1a", 2),
            (b"\xff\xff\xff", 2),
            (b"\xff\xec", 2),
            (b"login: \xff", 7),
        ] {
            assert_eq!(element(input, 0), Ok(Frame::Whole(length)), "{input:?}");
            for cut in 0..length {
                assert_eq!(element(&input[..cut], 0), Ok(Frame::Partial), "{input:?}");
                assert_eq!(element(input, cut), Ok(Frame::Whole(length)), "{input:?}");
            }
        }
        assert_eq!(element(b"\xff\xeb", 0), Err(Misbehaviour::Malformed.into()));
        assert_eq!(element(b"\xff\0", 0), Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn elements_are_told_apart() {
        assert_eq!(Element::parse(b"a\r\n"), Element::Text(b"a\r\n"));
        assert_eq!(Element::parse(b"\xff\xff"), Element::Text(b"\xff"));
        assert_eq!(Element::parse(b"\xff\xf0"), Element::Command(SE));
        assert_eq!(Element::parse(b"\xff\xfd\x2e"), Element::Option(DO, 46));
    }
}
