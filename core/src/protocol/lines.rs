//! What the protocols of command lines and reply lines share.

use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::wire::Out;

/// The most commands a server answers, and the most lines without an answer a client reads.
pub(super) const MAX_COMMANDS: u8 = 128;

/// The longest line a server is told to offer, in octets: a line of 512 with its CR LF
/// (RFC 2449 §4, RFC 3977 §3.1).
const MAX_OFFER: usize = 510;

/// Asks the next question. What stands `behind` was said before it was asked.
pub(super) fn ask(question: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<(), Error> {
    if !behind.is_empty() {
        return Err(Misbehaviour::Unsolicited.into());
    }
    out.put(&[question])
}

/// The refusal `why`. Where TLS is required, all that is left to say is goodbye; where plaintext
/// may follow, nothing may stand `behind` that the application has not asked for.
pub(super) fn refused(
    why: Refusal,
    goodbye: Option<&[u8]>,
    behind: &[u8],
    out: &mut Out<'_>,
) -> Error {
    let last = match goodbye {
        Some(goodbye) => out.put(&[goodbye]),
        None => ask(b"", behind, out),
    };
    last.err().unwrap_or(Error::PeerRefused(why))
}

/// A server's client that went on, or left, without asking for TLS.
pub(super) fn not_asked(code: u16) -> Error {
    Error::PeerRefused(Refusal::new(RefusalKind::NotAsked, code))
}

/// The verb of a command line and its argument, without the white space around them.
pub(super) fn words(line: &[u8]) -> (&[u8], &[u8]) {
    let mut line = line.strip_suffix(b"\r\n").unwrap_or(line);
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t')).unwrap_or(line.len());
    let (verb, mut argument) = line.split_at_checked(end).unwrap_or((line, b""));
    while let [b' ' | b'\t', rest @ ..] = argument {
        argument = rest;
    }
    (verb, argument)
}

/// Lines a server is told to offer: printable ASCII, and nothing that could end the list.
pub(super) fn check_offers(lines: &[&str]) -> Result<(), Error> {
    let good = |line: &&str| {
        let printable = line.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        printable && line.len() <= MAX_OFFER && !matches!(line.as_bytes(), [] | [b'.' | b' ', ..])
    };
    if lines.iter().all(good) { Ok(()) } else { Err(Misuse::Line.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_at_white_space() {
        assert_eq!(words(b"AUTH TLS\r\n"), (&b"AUTH"[..], &b"TLS"[..]));
        assert_eq!(words(b"MODE\t READER \t\r\n"), (&b"MODE"[..], &b"READER"[..]));
        assert_eq!(words(b"STLS\r\n"), (&b"STLS"[..], &b""[..]));
        assert_eq!(words(b" STLS\r\n"), (&b""[..], &b"STLS"[..]));
        assert_eq!(words(b"\r\n"), (&b""[..], &b""[..]));
    }

    #[test]
    fn offers_are_checked() {
        assert_eq!(check_offers(&["SASL PLAIN", "TOP", "x.y"]), Ok(()));
        for bad in ["", ".", "..", " TOP", "TOP\r\n.", "T\0P", "T\tP", "\u{fc}"] {
            assert_eq!(check_offers(&["TOP", bad]), Err(Misuse::Line.into()), "{bad:?}");
        }
    }
}
