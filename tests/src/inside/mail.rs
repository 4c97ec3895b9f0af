//! When the application takes the channel, in the protocols by which mail and settings are read.

use crate::table::says;

/// The tag of a line, its word in capitals, and what stands behind that.
fn tagged(line: &[u8]) -> Option<(String, String, Option<String>)> {
    let text = String::from_utf8_lossy(line.strip_suffix(b"\r\n")?).into_owned();
    let (tag, command) = text.split_once(' ')?;
    let (word, rest) = match command.split_once(' ') {
        Some((word, rest)) => (word, Some(rest.to_owned())),
        None => (command, None),
    };
    let atom = tag.bytes().all(|o| o.is_ascii_graphic() && !b"(){%*\"\\+".contains(&o));
    let whole = atom && !tag.is_empty() && !word.is_empty();
    whole.then(|| (tag.to_owned(), word.to_ascii_uppercase(), rest))
}

/// A tagged OK, and the one question has that tag.
pub(super) fn imap_capabilities(last: &[u8], sent: &[u8]) -> bool {
    let Some((tag, word, _)) = tagged(last) else { return false };
    word == "OK" && tag.len() == 16 && sent.starts_with(format!("{tag} CAPABILITY\r\n").as_bytes())
}

/// Neither of the two commands that are answered, nor one of four with something more.
pub(super) fn imap_application(last: &[u8], _: &[u8]) -> bool {
    tagged(last).is_none_or(|(_, word, rest)| match &*word {
        "CAPABILITY" | "STARTTLS" => false,
        "NOOP" | "LOGOUT" => rest.is_none(),
        _ => true,
    })
}

/// The dot behind the list, or a server that has none.
pub(super) fn pop3_capabilities(last: &[u8], sent: &[u8]) -> bool {
    (last == b".\r\n" || says(last, "-ERR")) && sent.starts_with(b"CAPA\r\n")
}

pub(super) fn pop3_application(last: &[u8], _: &[u8]) -> bool {
    let line = String::from_utf8_lossy(last).to_ascii_uppercase();
    let more = line.trim_end_matches("\r\n").trim_end_matches([' ', '\t']).contains([' ', '\t']);
    match line.split([' ', '\t', '\r']).next() {
        Some("CAPA" | "STLS") => false,
        Some("QUIT") => !more,
        _ => true,
    }
}

/// The end of a line, which may go on behind a literal with whatever it likes. Nothing was asked.
pub(super) fn unasked(last: &[u8], sent: &[u8]) -> bool {
    let asked = ["STARTTLS", "CAPABILITY", "NOOP"].iter().any(|word| {
        String::from_utf8_lossy(sent).split([' ', '\r']).any(|said| said.eq_ignore_ascii_case(word))
    });
    last.ends_with(b"\r\n") && !asked
}

pub(super) fn acap_application(last: &[u8], sent: &[u8]) -> bool {
    let other = tagged(last).is_some_and(|(_, word, _)| word == "CAPABILITY");
    sent.starts_with(b"* ACAP") && (other || imap_application(last, sent))
}

pub(super) fn managesieve_application(last: &[u8], sent: &[u8]) -> bool {
    let line = String::from_utf8_lossy(last).to_ascii_uppercase();
    let (word, rest) = line
        .trim_end_matches("\r\n")
        .split_once(' ')
        .map_or((line.trim_end_matches("\r\n"), None), |(word, rest)| (word, Some(rest)));
    let answered =
        ["CAPABILITY", "STARTTLS"].contains(&word) || (word == "LOGOUT" && rest.is_some());
    sent.starts_with(b"\"IMPLEMENTATION\"") && !answered
}
