//! A mail from the first octet of the connection to the receiver's hands, and what it costs.

use rustls::version::{TLS12, TLS13};
use starttls::Error;
use starttls::error::{Misuse, TlsError};
use starttls::protocol::{Mail, scheme};
use starttls::submission::{Content, Credentials, Envelope, Outcome, Require, Submission};
use starttls_tests::mail::{ACCOUNT, Mailed, mail, mail_until};
use starttls_tests::pki::Pki;

const TO: &[&str] = &["one@example.net", "two@example.net"];

fn fill(octets: &mut [u8]) -> Result<(), Error> {
    octets.fill(b'n');
    Ok(())
}

fn envelope() -> Envelope<'static> {
    Envelope {
        from: ACCOUNT.user,
        to: TO,
        size: None,
        content: Content::Unknown,
        utf8: false,
        require: Require::Any,
    }
}

fn submission(name: &str, envelope: Envelope<'static>) -> Submission<'static> {
    let row = scheme(name).unwrap();
    let mail = row.row.mail.unwrap_or(Mail::Smtp);
    let mut submission = Submission::new(mail, "client.example.org", row.implicit).unwrap();
    let credentials = Credentials::password(ACCOUNT.user, ACCOUNT.password);
    submission.login(credentials, &mut fill).unwrap();
    submission.mail(envelope, true).unwrap();
    submission
}

fn send(name: &str, declared: bool, message: &[u8]) -> Mailed {
    let pki = Pki::default();
    let mut submission = submission(name, envelope());
    if declared {
        submission.declare(message);
    }
    mail(name, submission, message, usize::MAX, pki.client(&TLS13), pki.server())
}

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\n..two\r\nGr\xc3\xbc\xc3\x9fe\r\n";

#[track_caller]
fn delivered(mailed: &Mailed, message: &[u8]) {
    assert_eq!(mailed.end, Ok(()), "{:?}", mailed.report);
    assert!(mailed.report.is_delivered(), "{:?}", mailed.report);
    assert_eq!(mailed.report.recipients.len(), TO.len());
    assert!(mailed.messages == [message], "as it was sent");
}

#[test]
fn the_waits_are_counted() {
    for (name, data, bdat) in
        [("submission", 8, 7), ("smtp", 8, 7), ("submissions", 6, 5), ("smtps", 6, 5)]
    {
        let mailed = send(name, false, MESSAGE);
        delivered(&mailed, MESSAGE);
        assert_eq!(mailed.waits, data, "{name} with DATA");
        let mailed = send(name, true, MESSAGE);
        delivered(&mailed, MESSAGE);
        assert_eq!(mailed.waits, bdat, "{name} with BDAT");
    }
}

#[test]
fn bodies_of_every_size_in_pieces_of_every_size() {
    let pki = Pki::default();
    for length in [0, 1, 77, 4000, 66_000, 300_000] {
        let mut message: Vec<u8> = b"Subject: x\r\n\r\n".to_vec();
        message.extend(b".a line\r\n".repeat(length).iter().take(length / 9 * 9));
        for piece in [1, 10, 5000, usize::MAX] {
            if length / piece > 10_000 {
                continue;
            }
            for declared in [false, true] {
                let mut submission = submission("submission", envelope());
                if declared {
                    submission.declare(&message);
                }
                let (client, server) = (pki.client(&TLS12), pki.server());
                let mailed = mail("submission", submission, &message, piece, client, server);
                delivered(&mailed, &message);
            }
        }
    }
}

#[test]
fn a_message_that_is_not_as_declared_is_never_complete() {
    let pki = Pki::default();
    let wire = MESSAGE.len() as u64;
    for size in [0, 1, 10, wire - 1, wire + 1, 1 << 20] {
        let envelope = Envelope { size: Some(size), ..envelope() };
        let submission = submission("submission", envelope);
        let (client, server) = (pki.client(&TLS13), pki.server());
        let mailed = mail("submission", submission, MESSAGE, usize::MAX, client, server);
        assert_eq!(mailed.end, Err(Misuse::DeclaredSize.into()), "{size}");
        assert!(mailed.messages.is_empty());
        assert!(!mailed.report.recipients.contains(&Outcome::Unknown));
    }
}

#[test]
fn no_credentials_for_a_server_that_is_not_verified() {
    use starttls::tls::ClientTls;
    use starttls_tests::sessions::{Heap, machines};
    use std::sync::Arc;

    let (ours, theirs) = (Pki::default(), Pki::default());
    let tls = ClientTls::opportunistic(Arc::new(ours.client(&TLS13)), ours.verifier());
    let session =
        Heap::client(machines("smtps").0, &tls, "mail.example.org", vec![0; 20_000], vec![0; 9000])
            .unwrap();
    let mut server = rustls::ServerConnection::new(Arc::new(theirs.server())).unwrap();
    let submission = submission("smtps", envelope());
    let mut exchange = starttls::submission::Exchange::new(session, submission);
    let error = loop {
        match exchange.process() {
            Ok(starttls::submission::ExchangeStep::Transmit) => {
                let mut octets = exchange.session().transmit().to_vec();
                exchange.session_mut().transmitted(octets.len()).unwrap();
                let mut rest = &octets[..];
                while !rest.is_empty() {
                    server.read_tls(&mut rest).unwrap();
                    server.process_new_packets().unwrap();
                }
                octets.clear();
                while server.wants_write() {
                    server.write_tls(&mut octets).unwrap();
                }
                exchange.session_mut().spare_mut()[..octets.len()].copy_from_slice(&octets);
                if !octets.is_empty() {
                    exchange.session_mut().received(octets.len()).unwrap();
                }
            }
            Ok(step) => panic!("{step:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::Unauthenticated(TlsError::UnknownIssuer));
    // Whoever asks again gets no further.
    assert_eq!(exchange.process(), Err(error));
    assert_eq!(exchange.body(b"x"), Err(error));
    assert_eq!(exchange.into_report().recipients, [Outcome::NotSent, Outcome::NotSent]);
}

#[test]
fn a_wrong_password_is_a_refusal() {
    let pki = Pki::default();
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", false).unwrap();
    submission.login(Credentials::password(ACCOUNT.user, "wrong"), &mut fill).unwrap();
    submission.mail(envelope(), true).unwrap();
    let mailed =
        mail("submission", submission, MESSAGE, usize::MAX, pki.client(&TLS13), pki.server());
    assert_eq!(mailed.report.login_refused.map(|said| said.code), Some(535));
    assert_eq!(mailed.report.recipients, [Outcome::NotSent, Outcome::NotSent]);
    assert!(mailed.messages.is_empty());
}

#[test]
fn a_connection_lost_behind_the_message_leaves_a_doubt() {
    let pki = Pki::default();
    for declared in [false, true] {
        let waits = if declared { 7 } else { 8 };
        for lost in 1..=waits {
            let mut submission = submission("submission", envelope());
            if declared {
                submission.declare(MESSAGE);
            }
            let (client, server) = (pki.client(&TLS13), pki.server());
            let mailed =
                mail_until(lost, "submission", submission, MESSAGE, usize::MAX, client, server);
            assert!(mailed.end.is_err(), "lost in wait {lost}");
            let (outcome, messages) = match lost == waits {
                true => (Outcome::Unknown, 1),
                false => (Outcome::NotSent, 0),
            };
            assert_eq!(mailed.report.recipients, [outcome.clone(), outcome], "in wait {lost}");
            assert_eq!(mailed.messages.len(), messages);
        }
    }
}
