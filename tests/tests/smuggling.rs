//! No message holds a command: whatever line ends and dots it is made of, what arrives is the one
//! message, with its line ends made CR LF.

use rustls::version::{TLS12, TLS13};
use starttls::protocol::Mail;
use starttls::submission::{Content, Envelope, Require, Submission};
use starttls_tests::mail::{ACCOUNT, mail};
use starttls_tests::pki::Pki;

/// What a smuggler would like the server to see behind the end of the message.
const COMMANDS: &[u8] = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\n\
    evil\r\n.\r\nQUIT\r\n";

/// Every text of CR, LF and dot up to a length.
fn texts(longest: usize) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..longest {
        let until = all.len();
        for index in from..until {
            for octet in *b"\r\n." {
                let mut text = all[index].clone();
                text.push(octet);
                all.push(text);
            }
        }
        from = until;
    }
    all
}

/// Each of CR LF, CR and LF ends a line, and the last line has an end; in other words than the
/// code's.
fn normalised(message: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut whole = lines.replace('\n', "\r\n");
    if !whole.is_empty() && !whole.ends_with("\r\n") {
        whole.push_str("\r\n");
    }
    whole.into_bytes()
}

fn arrives(pki: &Pki, message: &[u8], declared: bool, piece: usize) {
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", true).unwrap();
    let mut nonce = |octets: &mut [u8]| {
        octets.fill(b'n');
        Ok(())
    };
    let credentials = starttls::submission::Credentials::password(ACCOUNT.user, ACCOUNT.password);
    submission.login(credentials, &mut nonce).unwrap();
    let envelope = Envelope {
        from: ACCOUNT.user,
        to: &["friend@example.net"],
        size: None,
        content: Content::Unknown,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();
    if declared {
        submission.declare(message);
    }
    let version = if declared { &TLS13 } else { &TLS12 };
    let mailed = mail("smtps", submission, message, piece, pki.client(version), pki.server());
    let shown = message.escape_ascii();
    assert_eq!(mailed.end, Ok(()), "{shown} {:?}", mailed.report);
    assert!(mailed.report.is_delivered(), "{shown} {:?}", mailed.report);
    assert_eq!(mailed.messages.len(), 1, "{shown}");
    let (got, expected) = (&mailed.messages[0], normalised(message));
    assert!(*got == expected, "{shown} arrived as {}", got.escape_ascii());
}

/// With DATA, behind which a dot alone on a line would be the end.
#[test]
fn no_line_end_ends_the_message() {
    let pki = Pki::default();
    let texts = texts(6);
    assert_eq!(texts.len(), 1093);
    for (index, text) in texts.iter().enumerate() {
        let message = [&b"x"[..], text, COMMANDS].concat();
        arrives(&pki, &message, false, [1, 2, 3, usize::MAX][index % 4]);
    }
}

/// Nothing else in the message, so that it begins and ends with them too; in pieces of one octet.
#[test]
fn line_ends_and_dots_alone() {
    let pki = Pki::default();
    for text in texts(5) {
        arrives(&pki, &text, false, 1);
    }
}

/// With BDAT, which counts.
#[test]
fn no_line_end_changes_the_count() {
    let pki = Pki::default();
    for text in texts(4) {
        arrives(&pki, &text, true, usize::MAX);
        arrives(&pki, &[&b"x"[..], &text, COMMANDS].concat(), true, 1);
    }
}
