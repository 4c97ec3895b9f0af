//! Lines: order, syntax, addresses, logins.

use super::*;

#[test]
fn a_greeting_only_where_there_is_one() {
    check(smtp, "NOOP\r\n", DONE, &[], None);
    check(lmtp, "NOOP x\r\n", &format!("220 mx.example LMTP service ready\r\n{DONE}"), &[], None);
    let smtps: Make = || Receiver::new(Mail::Smtp, "mx.example", true).unwrap();
    let sent = format!("220 mx.example ESMTP service ready\r\n{DONE}");
    check(smtps, "NOOP\r\n", &sent, &[], None);
}

#[test]
fn starttls_inside_tls_is_refused_and_changes_nothing() {
    let input = format!("{ADDRESSED}STARTTLS\r\nDATA\r\nx\r\n.\r\n");
    let sent = format!("{HELLO}{TAKEN}503 5.5.1 TLS is active\r\n{GO_ON}{ACCEPTED}");
    check(smtp, &input, &sent, &["< a@x", "> b@y", "= x\r\n", "end"], None);
}

#[test]
fn commands_out_of_order_and_unknown() {
    let table = [
        ("MAIL FROM:<a@x>\r\n", "503 5.5.1 Introduce yourself first\r\n"),
        ("RCPT TO:<a@x>\r\n", NO_MAIL),
        ("DATA\r\n", NO_MAIL),
        ("BDAT 4 LAST\r\nQUIT", NO_MAIL),
        ("BDAT 0\r\n", NO_MAIL),
        ("AUTH PLAIN\r\n", "502 5.5.1 Not implemented\r\n"),
        ("HELP\r\n", "502 5.5.1 Not implemented\r\n"),
        ("EXPN list\r\n", "502 5.5.1 Not implemented\r\n"),
        ("GET / HTTP/1.1\r\n", "500 5.5.2 Unknown command\r\n"),
        ("LHLO c\r\n", "500 5.5.2 Unknown command\r\n"),
        (" NOOP\r\n", "500 5.5.2 Unknown command\r\n"),
        ("\r\n", "500 5.5.2 Unknown command\r\n"),
        ("EHLO\r\n", SYNTAX),
        ("EHLO a b\r\n", SYNTAX),
        ("DATA x\r\n", SYNTAX),
        ("RSET x\r\n", SYNTAX),
        ("QUIT x\r\n", SYNTAX),
        ("VRFY\r\n", SYNTAX),
        ("VRFY a\r\n", "252 2.5.0 Cannot verify, but will try\r\n"),
        ("noop \r\n", DONE),
        ("helo c\r\n", "250 mx.example\r\n"),
        (
            "HELO c\r\nMAIL FROM:<a@x> BODY=7BIT\r\n",
            "250 mx.example\r\n555 5.5.4 Unknown parameter\r\n",
        ),
    ];
    for (input, sent) in table {
        check(smtp, input, sent, &[], None);
    }
    let sent = format!(
        "220 mx.example LMTP service ready\r\n{}",
        "500 5.5.2 Unknown command\r\n".repeat(2)
    );
    check(lmtp, "EHLO c\r\nHELO c\r\n", &sent, &[], None);
}

#[test]
fn logins() {
    // "\0tim\0tanstaaf" and its relatives.
    let good = [
        "AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n",
        "auth plain dGltAHRpbQB0YW5zdGFhZg==\r\n",
        "AUTH PLAIN\r\nAHRpbQB0YW5zdGFhZg==\r\n",
        "AUTH LOGIN\r\ndGlt\r\ndGFuc3RhYWY=\r\n",
        "AUTH LOGIN dGlt\r\ndGFuc3RhYWY=\r\n",
    ];
    let asked =
        ["", "", "334 \r\n", "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n", "334 UGFzc3dvcmQ6\r\n"];
    for (login, asked) in good.into_iter().zip(asked) {
        let input = format!("{EHLO}{login}{login}MAIL FROM:<a@x> AUTH=a+2Bb@x SIZE=1000\r\n");
        // Twice is once too often; what would have been responses are then commands.
        let unknown = "500 5.5.2 Unknown command\r\n".repeat(login.matches("\r\n").count() - 1);
        let sent = format!(
            "{HELLO_CLOSED}{asked}235 2.7.0 Logged in\r\n503 5.5.1 Not now\r\n{unknown}250 2.1.0 Sender OK\r\n"
        );
        check(closed, &input, &sent, &["authenticated", "< a@x"], None);
    }
}

#[test]
fn logins_that_fail() {
    let first = "530 5.7.0 Authentication required\r\n";
    let table = [
        ("AUTH PLAIN AHRpbQB3cm9uZw==\r\n", WRONG), // wrong password
        ("AUTH PLAIN AHRvbQB0YW5zdGFhZg==\r\n", WRONG), // wrong user
        ("AUTH PLAIN dG9tAHRpbQB0YW5zdGFhZg==\r\n", WRONG), // tim for tom
        ("AUTH PLAIN =\r\n", WRONG),
        ("AUTH PLAIN dGltAHRpbQB0YW5zdGFhZgA=\r\n", WRONG), // one NUL too many
        ("AUTH PLAIN\r\n\r\n", "334 \r\n535 5.7.8 Authentication failed\r\n"),
        (
            "AUTH LOGIN dG9t\r\ndGFuc3RhYWY=\r\n",
            "334 UGFzc3dvcmQ6\r\n535 5.7.8 Authentication failed\r\n",
        ),
        (
            "AUTH LOGIN =\r\ndGFuc3RhYWY=\r\n",
            "334 UGFzc3dvcmQ6\r\n535 5.7.8 Authentication failed\r\n",
        ),
        ("AUTH PLAIN AHRpbQB0YW5zdGFhZg\r\n", "501 5.5.2 Not Base64\r\n"),
        ("AUTH PLAIN *\r\n", "501 5.5.2 Not Base64\r\n"),
        ("AUTH PLAIN\r\n*\r\n", "334 \r\n501 5.7.0 Login cancelled\r\n"),
        ("AUTH LOGIN dGlt\r\n*\r\n", "334 UGFzc3dvcmQ6\r\n501 5.7.0 Login cancelled\r\n"),
        ("AUTH LOGIN dGlt\r\nQUIT\r\n", "334 UGFzc3dvcmQ6\r\n535 5.7.8 Authentication failed\r\n"),
        ("AUTH SCRAM-SHA-256 x\r\n", "504 5.5.4 Unknown mechanism\r\n"),
        ("AUTH\r\n", SYNTAX),
        ("AUTH PLAIN a b\r\n", SYNTAX),
    ];
    for (login, refusal) in table {
        let input = format!("{EHLO}{login}MAIL FROM:<a@x>\r\n");
        check(closed, &input, &format!("{HELLO_CLOSED}{refusal}{first}"), &[], None);
    }
    let sent = "503 5.5.1 Not now\r\n250 mx.example\r\n503 5.5.1 Not now\r\n";
    check(closed, "AUTH PLAIN\r\nHELO c\r\nAUTH PLAIN\r\n", sent, &[], None);

    let input = format!("{EHLO}{}NOOP\r\n", "AUTH PLAIN AHRpbQB3cm9uZw==\r\n".repeat(3));
    let sent = format!("{HELLO_CLOSED}{WRONG}{WRONG}421 4.7.0 Too many failed logins, closing\r\n");
    check(closed, &input, &sent, &["closed"], None);
}

#[test]
fn addresses() {
    let good = [
        ("<>", ""),
        ("<a.b+c@x.example>", "a.b+c@x.example"),
        ("<@r.example,@s:a@x>", "a@x"),
        ("<\"a b>\\\"\"@x>", "\"a b>\\\"\"@x"),
        ("<a@[192.0.2.1]>", "a@[192.0.2.1]"),
        ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
        ("<\u{fc}@b\u{fc}cher.example> smtputf8", "\u{fc}@b\u{fc}cher.example"),
        ("<a@x> BODY=8bitmime SMTPUTF8", "a@x"),
    ];
    let longest = format!("{}@{}abc", "a".repeat(64), "a.".repeat(126));
    let (path, good) = (format!("<{longest}>"), good.into_iter());
    for (path, sender) in good.chain([(path.as_str(), longest.as_str())]) {
        let input = format!("{EHLO}mail from:{path}\r\n");
        let told = format!("< {sender}");
        check(smtp, &input, &format!("{HELLO}250 2.1.0 Sender OK\r\n"), &[&told], None);
    }
    let (bad, ascii) = (
        "501 5.1.7 Bad sender address\r\n",
        "553 5.6.7 Address not ASCII, and SMTPUTF8 not asked for\r\n",
    );
    let unknown = "555 5.5.4 Unknown parameter\r\n";
    let long = format!("<{}@x>", "a".repeat(65));
    let long_domain = format!("<a@{}ab>", "a.".repeat(127));
    let digits = format!("<a@x> SIZE={}", "0".repeat(21));
    let table = [
        ("a@x", bad),
        (" <a@x>", bad),
        ("<a>", bad),
        ("<a@>", bad),
        ("<@x>", bad),
        ("<a b@x>", bad),
        ("<a@x", bad),
        ("<.a@x>", bad),
        ("<a..b@x>", bad),
        ("<a@x.>", bad),
        ("<a@-x>", bad),
        ("<a@x_y>", bad),
        ("<<a@x>>", bad),
        ("<a@b@c>", bad),
        ("<postmaster>", bad),
        (&long, bad),
        (&long_domain, bad),
        (&digits, SYNTAX),
        ("<a\u{1}@x>", bad),
        ("<\u{fc}@x>", ascii),
        ("<a@x>SIZE=1", SYNTAX),
        ("<a@x>  BODY=7BIT", SYNTAX),
        ("<a@x> BODY=9BIT", SYNTAX),
        ("<a@x> BODY", SYNTAX),
        ("<a@x> BODY=7BIT BODY=7BIT", SYNTAX),
        ("<a@x> SMTPUTF8=1", SYNTAX),
        ("<a@x> SIZE=", SYNTAX),
        ("<a@x> SIZE=-1", SYNTAX),
        ("<a@x> AUTH=a=b", SYNTAX),
        ("<a@x> AUTH=+2b", SYNTAX),
        ("<a@x> SIZE=1", unknown),
        ("<a@x> AUTH=<>", unknown),
        ("<a@x> RET=HDRS", unknown),
        ("<a@x> =1", SYNTAX),
    ];
    for (path, refusal) in table {
        let input = format!("{EHLO}MAIL FROM:{path}\r\n");
        check(smtp, &input, &format!("{HELLO}{refusal}"), &[], None);
    }
    let start = "EHLO c\r\nMAIL FROM:<>\r\n";
    let bad = "501 5.1.3 Bad recipient address\r\n";
    for (path, answer, told) in [
        ("<Postmaster>", "250 2.1.5 Recipient OK\r\n", &["< ", "> Postmaster"][..]),
        ("<>", bad, &["< "]),
        ("<b@y> NOTIFY=NEVER", unknown, &["< "]),
        ("<\u{fc}@y>", ascii, &["< "]),
    ] {
        let input = format!("{start}RCPT TO:{path}\r\n");
        check(smtp, &input, &format!("{HELLO}250 2.1.0 Sender OK\r\n{answer}"), told, None);
    }
}

#[test]
fn broken_utf8_is_no_address() {
    let session = play(smtp, &[b"EHLO c\r\nMAIL FROM:<\xff@x> SMTPUTF8\r\n"], 512);
    assert_eq!(session.sent, format!("{HELLO}501 5.1.7 Bad sender address\r\n").into_bytes());
    assert_eq!(session.told, [""; 0]);
}

#[test]
fn lines_end_in_cr_lf_only() {
    use Misbehaviour::{BareLineEnd, Nul};
    let last = "500 5.5.2 Lines end in CR LF and hold no NUL, closing\r\n";
    check(smtp, "NOOP\r\nNOOP\nQUIT\r\n", &format!("{DONE}{last}"), &[], Some(BareLineEnd));
    check(smtp, "NOOP\rQUIT\r\n", last, &[], Some(BareLineEnd));
    check(smtp, "NO\0OP\r\nQUIT\r\n", last, &[], Some(Nul));
    let input = format!("{EHLO}AUTH LOGIN\r\ndGlt\n");
    let sent = format!("{HELLO_CLOSED}334 VXNlcm5hbWU6\r\n{last}");
    check(closed, &input, &sent, &[], Some(BareLineEnd));
}

#[test]
fn lines_have_a_limit() {
    let fits = format!("NOOP {}\r\n", "x".repeat(MAX_LINE - 7));
    let long = format!("NOOP {}\r\nQUIT\r\n", "x".repeat(MAX_LINE - 6));
    for cut in [1, 7, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, MAX_LINE + 8] {
        let pieces: Vec<&[u8]> = fits.as_bytes().chunks(cut).collect();
        assert_eq!(play(smtp, &pieces, 512).sent, DONE.as_bytes());
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(cut).collect();
        let session = play(smtp, &pieces, 512);
        assert_eq!(session.sent, b"500 5.5.2 Line too long, closing\r\n");
        assert_eq!(session.end, Some(Misbehaviour::FrameTooLong.into()));
    }
}
