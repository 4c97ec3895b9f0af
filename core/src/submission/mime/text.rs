//! The text: as it is, or quoted-printable (RFC 2045 §6.7).

use crate::submission::writer::Writer;

/// The longest line of text that is left as it is (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// The longest line of quoted-printable text, with the `=` of a soft line break.
const QUOTED_LINE: usize = 76;

/// Whether a text can be written as it is: of short lines in ASCII, none of which could be taken
/// for a delimiter, or for the beginning of a message in a mailbox file.
pub(super) fn is_plain(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (line, after) = split_line(rest);
        let printable = line.iter().all(|&octet| matches!(octet, b'\t' | b' '..=b'~'));
        if !printable || line.len() > LINE || line.starts_with(b"--") || line.starts_with(b"From ")
        {
            return false;
        }
        rest = after;
    }
    true
}

/// The first line, without its end, and what comes after that.
fn split_line(text: &[u8]) -> (&[u8], &[u8]) {
    let Some((line, end)) = text
        .iter()
        .position(|octet| matches!(octet, b'\r' | b'\n'))
        .and_then(|at| text.split_at_checked(at))
    else {
        return (text, &[]);
    };
    let after = end.strip_prefix(b"\r\n").or_else(|| end.split_first().map(|(_, after)| after));
    (line, after.unwrap_or_default())
}

pub(super) fn header(writer: &mut Writer<'_, '_>, text: &str, quoted: bool) {
    writer.put(b"Content-Type: text/plain; charset=");
    writer.put(if text.is_ascii() { b"us-ascii" } else { b"utf-8" });
    writer.put(b"\r\nContent-Transfer-Encoding: ");
    writer.put(if quoted { b"quoted-printable" } else { b"7bit" });
    writer.put(b"\r\n\r\n");
}

/// Writes a line from the beginning of `rest`, and says how many octets of it that was: 0 at the end.
pub(super) fn line(writer: &mut Writer<'_, '_>, rest: &[u8], quoted: bool) -> usize {
    if rest.is_empty() {
        return 0;
    }
    let (line, after) = split_line(rest);
    if quoted {
        let taken = quote(writer, line);
        if taken < line.len() {
            writer.put(b"=\r\n");
            return taken;
        }
    } else {
        writer.put(line);
    }
    writer.put(b"\r\n");
    rest.len() - after.len()
}

/// Writes as much of a line as one quoted-printable line holds, and says how much.
fn quote(writer: &mut Writer<'_, '_>, line: &[u8]) -> usize {
    let mut length = 0;
    for (at, &octet) in line.iter().enumerate() {
        let last = at + 1 == line.len();
        let literal = match octet {
            b' ' | b'\t' => !last,
            // These would make a line a delimiter, the beginning of a message, or the end of one.
            b'-' | b'F' | b'.' => length > 0,
            b'=' => false,
            _ => octet.is_ascii_graphic(),
        };
        let need = if literal { 1 } else { 3 };
        if length + need > if last { QUOTED_LINE } else { QUOTED_LINE - 1 } {
            return at;
        }
        length += need;
        if literal {
            writer.put(&[octet]);
        } else {
            writer.put(b"=");
            writer.hex(octet);
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::*;
    use crate::wire::Out;

    fn written(text: &str, quoted: bool) -> String {
        let mut all = Vec::new();
        let mut rest = text.as_bytes();
        loop {
            let mut storage = [0; 100];
            let mut out = Out::new(&mut storage);
            let mut writer = Writer::new(&mut out, 0);
            let n = line(&mut writer, rest, quoted);
            assert!(writer.finish().1);
            all.extend_from_slice(out.octets());
            if n == 0 {
                return String::from_utf8(all).unwrap();
            }
            rest = &rest[n..];
        }
    }

    #[test]
    fn what_is_left_as_it_is() {
        let line = "x".repeat(LINE);
        for plain in ["", "\n", "hi", "tab\tbed\r\n", " - a\n-b\r.\n", &line] {
            assert!(is_plain(plain), "{plain:?}");
        }
        let longer = alloc::format!("hi\n{line}x\n");
        for quoted in ["ü", "\0", "\u{7f}", "a\n--b", "\rFrom me", &longer] {
            assert!(!is_plain(quoted), "{quoted:?}");
        }
        assert_eq!(written("", false), "");
        assert_eq!(written("a \r\n\nb\rc\n\r\r\n.", false), "a \r\n\r\nb\r\nc\r\n\r\n\r\n.\r\n");
    }

    #[test]
    fn what_is_quoted() {
        for (text, quoted) in [
            ("", ""),
            ("a=b\tc", "a=3Db\tc\r\n"),
            ("at the end \nand\t\r\n \n", "at the end=20\r\nand=09\r\n=20\r\n"),
            ("-- \nFrom you\n.\n-a-F.\n", "=2D-=20\r\n=46rom you\r\n=2E\r\n=2Da-F.\r\n"),
            ("°C\0\u{7f}", "=C2=B0C=00=7F\r\n"),
        ] {
            assert_eq!(written(text, true), quoted, "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_broken() {
        for before in 60..80 {
            for end in ["", "x", " ", "=", "ü", "x ", "xü", "=x", "-.", "F"] {
                let text = "x".repeat(before) + end + "\n";
                let written = written(&text, true);
                assert!(written.split("\r\n").all(|line| line.len() <= QUOTED_LINE), "{written}");
                let (mut octets, mut rest) = (Vec::new(), written.as_bytes());
                while let [octet, after @ ..] = rest {
                    rest = match (octet, after) {
                        (b'=', [b'\r', b'\n', after @ ..]) => after,
                        (b'=', [high, low, after @ ..]) => {
                            let hex = String::from_utf8([*high, *low].to_vec()).unwrap();
                            octets.push(u8::from_str_radix(&hex, 16).unwrap());
                            after
                        }
                        _ => {
                            octets.push(*octet);
                            after
                        }
                    };
                }
                assert_eq!(String::from_utf8(octets).unwrap(), text.replace('\n', "\r\n"));
            }
        }
    }
}
