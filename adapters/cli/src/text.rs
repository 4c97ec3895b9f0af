//! Octets of a peer, made fit for a terminal.

use std::fmt::Write;

/// Shows `octets` on one line: UTF-8 as it is, control characters and anything else escaped, so
/// that no peer can move the cursor, colour the screen or forge a line.
pub(crate) fn escape(octets: &[u8]) -> String {
    let mut shown = String::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => shown.push_str("\\r"),
                '\n' => shown.push_str("\\n"),
                '\t' => shown.push_str("\\t"),
                '\\' => shown.push_str("\\\\"),
                c if c.is_ascii_control() => hex(&mut shown, c as u8),
                c if hidden(c) => shown.extend(c.escape_unicode()),
                c => shown.push(c),
            }
        }
        for &octet in chunk.invalid() {
            hex(&mut shown, octet);
        }
    }
    shown
}

fn hex(shown: &mut String, octet: u8) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "\\x{octet:02x}");
}

/// Characters that change how others are shown: C1 controls, line separators, bidirectional marks.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

/// The same for a line or reply as it came: line ends at its end do not matter, those within
/// become ` / `.
pub(crate) fn escape_lines(octets: &[u8]) -> String {
    let lines = octets.split(|&octet| octet == b'\n');
    let shown = lines.map(|line| escape(line.strip_suffix(b"\r").unwrap_or(line)));
    shown.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_safe() {
        let table: [(&[u8], &str); 7] = [
            (b"250 plain", "250 plain"),
            (b"\x1b[31mred", "\\x1b[31mred"),
            (b"a\r\nb\0", "a\\r\\nb\\x00"),
            ("gr\u{fc}\u{df}e".as_bytes(), "gr\u{fc}\u{df}e"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("\u{9b}31m\u{202e}".as_bytes(), "\\u{9b}31m\\u{202e}"),
            (b"back\\slash\x7f", "back\\\\slash\\x7f"),
        ];
        for (octets, shown) in table {
            assert_eq!(escape(octets), shown);
        }
        assert_eq!(escape_lines(b"550-no\r\n550 way\r\n"), "550-no / 550 way");
    }
}
