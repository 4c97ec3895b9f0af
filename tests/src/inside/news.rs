//! When the application takes the channel, in news, files, chat and directories.

use crate::table::{irc_command, says};

/// The lone dot behind 101, or a refusal on the one line it has; and nothing but CAPABILITIES and
/// the application's words was said.
pub(super) fn nntp_answer(last: &[u8], sent: &[u8]) -> bool {
    let refused = matches!(last, [b'4' | b'5', _, _, ..]) && !says(last, "400");
    let application = sent.strip_prefix(b"CAPABILITIES\r\n").unwrap_or_default();
    (last == b".\r\n" || refused) && ["GROUP", "MODE"].contains(&&*verb(application))
}

/// What is said before a space or a tab.
fn verb(last: &[u8]) -> String {
    let text = String::from_utf8_lossy(last);
    text.split([' ', '\t', '\r']).next().unwrap_or_default().to_uppercase()
}

pub(super) fn nntp_application(last: &[u8], sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(last);
    let ours = ["STARTTLS", "CAPABILITIES"].contains(&&*verb(last))
        || (verb(last) == "QUIT" && text.trim().len() > 4);
    !ours && !String::from_utf8_lossy(sent).contains("STARTTLS\r\n")
}

/// The second 200, to PROT; the first was to PBSZ, or nothing would have been said behind it.
pub(super) fn ftp_answer(last: &[u8], sent: &[u8]) -> bool {
    says(last, "200") && sent.starts_with(b"PBSZ 0\r\nPROT P\r\nUSER ")
}

pub(super) fn ftp_application(last: &[u8], sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(last);
    let alone = ["QUIT", "NOOP"].contains(&&*verb(last)) && text.trim().len() > 4;
    let ours = ["FEAT", "AUTH", "PBSZ", "PROT"].contains(&&*verb(last)) || alone;
    !ours && !String::from_utf8_lossy(sent).contains(" AUTH TLS\r\n")
}

pub(super) fn irc_application(last: &[u8], sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(last);
    let is =
        |words: &str| text.to_uppercase().split_whitespace().take(2).eq(words.split_whitespace());
    // A tab is no space, and stands in no command.
    let starttls = !text.contains('\t')
        && irc_command(&text).is_some_and(|command| command.eq_ignore_ascii_case("STARTTLS"));
    !starttls && !is("CAP LS") && !String::from_utf8_lossy(sent).contains(" 670 ")
}

/// Not the request that everybody writes, whatever its messageID; what is nearly that, or longer,
/// the attacks have.
pub(super) fn ldap_application(last: &[u8], _: &[u8]) -> bool {
    let asked = last.strip_prefix(b"\x30\x1d\x02\x01").and_then(|rest| rest.split_first());
    !asked.is_some_and(|(&id, rest)| {
        (1..0x80).contains(&id) && rest == b"\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
    })
}
