//! The servers and clients of the harness work with each other, so that a failure elsewhere is
//! ours.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;

use starttls_tests::peers::{
    Ca, Dovecot, OpenSsl, PASSWORD, Postfix, Swaks, TOKEN, USER, skip_or_fail,
};

const VERIFIED: &str = "Verify return code: 0 (ok)";

/// Dots, empty lines, octets above 127, a long line, and a mail's usual fields.
fn message() -> Vec<u8> {
    let mut message = String::from(
        "From: alice@mail.test\r\nTo: carol@mail.test\r\nSubject: a mail of the harness\r\n\
         Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@mail.test>\r\nBcc: kept@test\r\n\
         \r\n.\r\n..\r\n.dot\r\n\r\n Gr\u{fc}\u{df}e\r\n",
    );
    for line in 0..2000 {
        writeln!(message, "{line} {}\r", "x".repeat(line % 900)).expect("a string");
    }
    message.into_bytes()
}

#[test]
fn dovecot_upgrades_every_protocol() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for (port, starttls, input) in [
        (dovecot.lmtp, Some("lmtp"), "QUIT\r\n"),
        (dovecot.submission, Some("smtp"), "QUIT\r\n"),
        (dovecot.submissions, None, "QUIT\r\n"),
        (dovecot.imap, Some("imap"), "a LOGOUT\r\n"),
        (dovecot.imaps, None, "a LOGOUT\r\n"),
        (dovecot.pop3, Some("pop3"), "QUIT\r\n"),
        (dovecot.pop3s, None, "QUIT\r\n"),
        (dovecot.managesieve, Some("sieve"), "LOGOUT\r\n"),
    ] {
        let client = OpenSsl::new(port, starttls, &ca.root_pem);
        let Some(client) = skip_or_fail(client.program()) else { return };
        let ran = client.input(input).run();
        assert!(ran.status.success(), "{starttls:?} {ran:#?}");
        assert!(ran.stdout.contains(VERIFIED), "{starttls:?} {ran:#?}");
    }
}

#[test]
fn dovecot_delivers_over_lmtp_octet_for_octet() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let swaks = Swaks { port: dovecot.lmtp, root_pem: ca.root_pem.clone(), to: "alice@mail.test" };
    let Some(client) = skip_or_fail(swaks.program(&message())) else { return };
    let ran = client.args(["--protocol", "LMTP"]).run();
    assert!(ran.status.success(), "{ran:#?}");
    assert_eq!(dovecot.mailbox(USER).only_message(), message());
}

#[test]
fn postfix_upgrades_and_its_certificates_are_what_they_claim() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };

    for (port, starttls) in [
        (postfix.smtp, Some("smtp")),
        (postfix.submission, Some("smtp")),
        (postfix.submissions, None),
        (postfix.small, Some("smtp")),
    ] {
        let client = OpenSsl::new(port, starttls, &ca.root_pem);
        let Some(client) = skip_or_fail(client.program()) else { return };
        let ran = client.input("QUIT\r\n").run();
        assert!(ran.status.success(), "{starttls:?} {ran:#?}");
        assert!(ran.stdout.contains(VERIFIED), "{starttls:?} {ran:#?}");
        assert!(ran.stdout.contains("221 2.0.0 Bye"), "{starttls:?} {ran:#?}");
    }
    for (port, why) in [
        (postfix.expired, "certificate has expired"),
        (postfix.wrong_name, "hostname mismatch"),
        (postfix.untrusted, "self-signed certificate in certificate chain"),
        (postfix.plaintext, "Didn't find STARTTLS in server response"),
    ] {
        let client = OpenSsl::new(port, Some("smtp"), &ca.root_pem);
        let Some(client) = skip_or_fail(client.program()) else { return };
        let ran = client.input("QUIT\r\n").run();
        assert!(!ran.status.success() || port == postfix.plaintext, "{why}: {ran:#?}");
        assert!((ran.stdout.clone() + &ran.stderr).contains(why), "{why}: {ran:#?}");
        assert!(!ran.stdout.contains("221 2.0.0 Bye"), "{why}: {ran:#?}");
    }
}

#[test]
fn postfix_asks_for_a_certificate_of_the_client() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
    let client = || {
        let client = OpenSsl::new(postfix.client_certificate, Some("smtp"), &ca.root_pem);
        skip_or_fail(client.program())
            .map(|program| program.input("EHLO x\r\nMAIL FROM:<a@test>\r\nQUIT\r\n"))
    };
    let Some(without) = client() else { return };
    let ran = without.run();
    assert!(!ran.stdout.contains("250 2.1.0 Ok"), "{ran:#?}");

    let Some(with) = client() else { return };
    let identity = &ca.client;
    let ran = with.arg("-cert").arg(&identity.chain_pem).arg("-key").arg(&identity.key_pem).run();
    assert!(ran.stdout.contains("250 2.1.0 Ok"), "{ran:#?}");
}

#[test]
fn postfix_delivers_with_auth_octet_for_octet() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
    let swaks = |port, to| Swaks { port, root_pem: ca.root_pem.clone(), to };
    let login = |mechanism| ["--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD];

    let submission = swaks(postfix.submission, "carol@mail.test");
    let Some(client) = skip_or_fail(submission.program(&message())) else { return };
    let ran = client.args(login("PLAIN")).run();
    assert!(ran.status.success(), "{ran:#?}");
    assert_eq!(postfix.mailbox("carol@mail.test").only_message(), message());

    // Through Dovecot's submission, which hands on to Postfix.
    let submission = swaks(dovecot.submission, "dave@sub.test");
    let Some(client) = skip_or_fail(submission.program(&message())) else { return };
    let ran = client.args(login("LOGIN")).run();
    assert!(ran.status.success(), "{ran:#?}");
    assert_eq!(postfix.mailbox("dave@sub.test").only_message(), message());

    // Without AUTH: nothing. The exit status is swaks's for no accepted recipient.
    let submission = swaks(postfix.submission, "erin@mail.test");
    let Some(client) = skip_or_fail(submission.program(&message())) else { return };
    let ran = client.run();
    assert_eq!(ran.status.code(), Some(24), "{ran:#?}");

    for (port, to, size, reply) in [
        (postfix.smtp, Postfix::REFUSED, 10, "550 5.1.1 "),
        (postfix.smtp, Postfix::LATER, 10, "450 4.2.1 "),
        (postfix.smtp, "frank@elsewhere.example", 10, "554 5.7.1 "),
        (postfix.small, "carol@mail.test", Postfix::SMALL_SIZE + 1, "552 5.3.4 "),
    ] {
        let body = [b"Subject: s\r\n\r\n".to_vec(), b"0123456\r\n".repeat(size / 9 + 1)].concat();
        let Some(client) = skip_or_fail(swaks(port, to).program(&body)) else { return };
        let ran = client.run();
        assert!(!ran.status.success(), "{to}: {ran:#?}");
        assert!(ran.stdout.contains(reply), "{to}: {ran:#?}");
    }
    assert_eq!(postfix.mailbox("carol@mail.test").messages().len(), 1);
}

#[test]
fn both_oauth_mechanisms_and_scram_log_in() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
    let xoauth2 = base64(format!("user={USER}\x01auth=Bearer {TOKEN}\x01\x01").as_bytes());
    let bearer = base64(format!("n,a={USER},\x01auth=Bearer {TOKEN}\x01\x01").as_bytes());
    // The first message of SCRAM; that a salt comes back shows that the mechanism works.
    let scram = base64(format!("n,,n={USER},r=nonce").as_bytes());
    let input =
        format!("EHLO x\r\nAUTH SCRAM-SHA-256 {scram}\r\n*\r\nAUTH XOAUTH2 {xoauth2}\r\nQUIT\r\n");
    let other = format!("EHLO x\r\nAUTH OAUTHBEARER {bearer}\r\nQUIT\r\n");
    for port in [postfix.submission, dovecot.submission] {
        for input in [&input, &other] {
            let client = OpenSsl::new(port, Some("smtp"), &ca.root_pem);
            let Some(client) = skip_or_fail(client.program()) else { return };
            let ran = client.input(input.as_bytes()).run();
            assert!(ran.stdout.contains("\n235 2.7.0 "), "{ran:#?}\n{}", dovecot.log());
            let salted = ran.stdout.contains(&format!("334 {}", &base64(b"r=nonce")[..8]));
            assert_eq!(salted, input.contains("SCRAM"), "{ran:#?}");
        }
    }
}

#[test]
fn postfix_takes_mail_out_over_starttls_only() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
    let listener = TcpListener::bind(("127.0.0.1", postfix.outbound)).expect("a free port");
    let swaks = Swaks { port: postfix.smtp, root_pem: ca.root_pem.clone(), to: "x@out.test" };
    let Some(client) = skip_or_fail(swaks.program(&message())) else { return };
    let ran = client.run();
    assert!(ran.status.success(), "{ran:#?}");

    let (connection, _) = listener.accept().expect("Postfix");
    let mut replies = connection.try_clone().expect("a connection");
    let mut commands = BufReader::new(connection).lines().map(|line| line.expect("a line"));
    replies.write_all(b"220 out.test ESMTP\r\n").expect("a connection");
    assert_eq!(commands.next().as_deref(), Some("EHLO mail.test"));
    replies.write_all(b"250-out.test\r\n250 STARTTLS\r\n").expect("a connection");
    assert_eq!(commands.next().as_deref(), Some("STARTTLS"));
    replies.write_all(b"454 not now\r\n").expect("a connection");
    assert_eq!(commands.next().as_deref(), Some("QUIT"));
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0, |bits, &octet| bits << 8 | u32::from(octet))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            match digit <= group.len() {
                true => text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize % 64].into()),
                false => text.push('='),
            }
        }
    }
    text
}
