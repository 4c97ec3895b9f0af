//! Postfix as the client of our server: it relays over STARTTLS with a verified certificate, or
//! not at all.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use starttls::error::TlsError;
use starttls::protocol::Mail;
use starttls::submission::{Content, Envelope, Require, Submission};
use starttls::tls::Version;
use starttls_tests::peers::{Adapter, Ca, Client, Dovecot, Postfix, skip_or_fail, without_trace};
use starttls_tests::serving::{Ended, Serving};

/// Every header that Postfix might add, so that it adds none; and dots where they hurt.
const MESSAGE: &[u8] = b"From: alice@mail.test\r\nTo: bob@out.test\r\n\
    Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@mail.test>\r\nSubject: x\r\n\r\n\
    .\r\n..\r\n.x\r\n\r\n.\r\nGr\xc3\xbc\xc3\x9fe\r\nend\r\n";

const FROM: &str = "alice@mail.test";
const TO: &str = "bob@out.test";

macro_rules! postfix {
    ($ca:ident, $postfix:ident) => {
        let $ca = Ca::new();
        let Some(dovecot) = skip_or_fail(Dovecot::start(&$ca)) else { return };
        let Some($postfix) = skip_or_fail(Postfix::start(&$ca, &dovecot)) else { return };
    };
}

/// Gives Postfix a mail for our server, by our own submission.
fn inject(ca: &Ca, postfix: &Postfix) {
    let mut submission = Submission::new(Mail::Smtp, "client.test", false).unwrap();
    let envelope = Envelope {
        from: FROM,
        to: &[TO],
        size: None,
        content: Content::Unknown,
        utf8: false,
        require: Require::All,
    };
    submission.mail(envelope, true).unwrap();
    let client = Client::new(Adapter::Std, ca);
    let report = client.submit("smtp", postfix.smtp, submission, MESSAGE);
    assert!(report.is_delivered(), "{report:?}");
}

/// The line of the log that says what became of the mail, which is `status`.
fn logged(postfix: &Postfix, status: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = postfix.log();
        let about_it = |line: &&str| line.contains(&format!("to=<{TO}>, relay="));
        if let Some(line) = log.lines().find(about_it) {
            assert!(line.contains(&format!("status={status} ")), "{line}");
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "nothing became of it");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn postfix_relays_to_us_octet_for_octet() {
    postfix!(ca, postfix);
    let server = Serving::on_port("smtp", &ca.server, postfix.outbound);
    inject(&ca, &postfix);
    logged(&postfix, "sent");
    let verified = "Verified TLS connection established to 127.0.0.1[127.0.0.1]";
    assert!(postfix.log().contains(verified));
    let [taken] = &server.mails()[..] else { panic!("{:?}", server.mails()) };
    assert!(taken.message.starts_with(b"Received: from client.test "));
    assert_eq!(without_trace(&taken.message), MESSAGE);
    assert_eq!(
        (&*taken.from, &taken.to[..], taken.version),
        (FROM, &[TO.into()][..], Version::Tls13)
    );
    assert!(matches!(server.ends(1)[..], [Ended::Quit { .. }]));
}

#[test]
fn postfix_defers_for_a_certificate_that_is_not_ours() {
    for wrong_name in [true, false] {
        postfix!(ca, postfix);
        let identity = if wrong_name { &ca.wrong_name } else { &ca.untrusted };
        let server = Serving::on_port("smtp", identity, postfix.outbound);
        inject(&ca, &postfix);
        let line = logged(&postfix, "deferred");
        assert!(line.contains("(Server certificate not verified)"), "{line}");
        let why =
            if wrong_name { ":hostname mismatch" } else { ": untrusted issuer /CN=Untrusted CA" };
        assert!(postfix.log().contains(why), "{why}");
        let ends = server.ends(1);
        let alert = Ended::Inside(TlsError::AlertReceived(48).into());
        assert!(
            matches!(ends[..], [Ended::Quit { .. } | Ended::Left { .. }]) || ends == [alert],
            "{ends:?}"
        );
        assert_eq!(server.mails(), []);
    }
}

#[test]
fn postfix_defers_where_starttls_is_hidden() {
    postfix!(ca, postfix);
    let listener = TcpListener::bind(("127.0.0.1", postfix.outbound)).unwrap();
    let (told, hears) = mpsc::channel();
    // A man in the middle who hides the offer. It ends with the connection.
    let middle = thread::spawn(move || {
        let (mut transport, _) = listener.accept().unwrap();
        transport.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut lines = BufReader::new(transport.try_clone().unwrap()).lines();
        transport.write_all(b"220 mail.test ESMTP\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            let answer = match line.split(' ').next() {
                Some("EHLO") => "250-mail.test\r\n250 8BITMIME\r\n",
                Some("QUIT") => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            told.send(line).unwrap();
            transport.write_all(answer.as_bytes()).unwrap();
        }
    });
    inject(&ca, &postfix);
    let line = logged(&postfix, "deferred");
    assert!(line.contains("(TLS is required, but was not offered by host 127.0.0.1"), "{line}");
    middle.join().unwrap();
    assert_eq!(hears.iter().collect::<Vec<_>>(), ["EHLO mail.test", "QUIT"]);
}
