//! What a trace tells of a login: the mechanism, the length of what was said, and no more.

use std::sync::{Arc, Mutex};

use rustls::version::TLS13;
use starttls::Error;
use starttls::protocol::Mail;
use starttls::session::{Event, RECEIVE_BUFFER, Session};
use starttls::submission::{
    Content, Credentials, Envelope, Exchange, ExchangeStep, Mechanism, Require, Spoken, Submission,
};
use starttls::tls::{ClientTls, ServerTls};
use starttls_tests::pki::{NAME, Pki};
use starttls_tests::sessions::machines;

/// What the trace said, and what the server heard.
struct Told {
    sent: String,
    secret: usize,
    heard: String,
}

/// Plays a login and a mail against a server that offers `mechanism` and answers each line with
/// the next of `replies`.
fn told(credentials: Credentials<'_>, mechanism: &str, replies: &[&str]) -> Told {
    let pki = Pki::default();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    let buffers = || (vec![0; RECEIVE_BUFFER], vec![0; 4096]);
    let (client, server) = machines("smtps");
    let (input, output) = buffers();
    let session = Session::client(client, &tls, NAME, input, output).unwrap();
    let tls = ServerTls::new(Arc::new(pki.server())).unwrap();
    let (input, output) = buffers();
    let mut server = Session::server(server, &tls, input, output).unwrap();

    let mut submission = Submission::new(Mail::Smtp, "client.example.org", true).unwrap();
    let mut fill = |octets: &mut [u8]| -> Result<(), Error> {
        octets.fill(7);
        Ok(())
    };
    submission.login(credentials, &mut fill).unwrap();
    let envelope = Envelope {
        from: "a@example.org",
        to: &["b@example.org"],
        size: None,
        content: Content::SevenBit,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();

    let said = Arc::new(Mutex::new((Vec::new(), 0)));
    let writing = said.clone();
    let mut exchange = Exchange::new(session, submission).with_trace(Box::new(move |spoken| {
        let (sent, secret) = &mut *writing.lock().unwrap();
        match spoken {
            Spoken::Sent(octets) => sent.extend_from_slice(octets),
            Spoken::Secret(length) => *secret += length,
            _ => {}
        }
    }));

    let ehlo = format!("250-mx\r\n250 AUTH {mechanism}\r\n");
    let mut answers = vec!["220 mx\r\n", &ehlo];
    answers.extend(replies);
    let mut answers = answers.into_iter();
    let (mut heard, mut lines) = (Vec::new(), 0);
    loop {
        match exchange.process() {
            Ok(ExchangeStep::Transmit | ExchangeStep::NeedInput) => {}
            other => panic!("{other:?}"),
        }
        let octets = exchange.session().transmit().to_vec();
        exchange.session_mut().transmitted(octets.len()).unwrap();
        server.spare_mut()[..octets.len()].copy_from_slice(&octets);
        if !octets.is_empty() {
            server.received(octets.len()).unwrap();
        }
        loop {
            match server.process().unwrap() {
                Event::Data => {
                    server.lend(|data| {
                        heard.extend_from_slice(data.octets());
                        data.len()
                    });
                }
                Event::Established => {
                    server.write(answers.next().unwrap().as_bytes()).unwrap();
                }
                _ => break,
            }
        }
        // One answer to each line that is whole.
        let whole = heard.iter().filter(|&&octet| octet == b'\n').count();
        if whole > lines {
            lines += 1;
            match answers.next() {
                Some(answer) => server.write(answer.as_bytes()).unwrap(),
                // The line behind the login.
                None => break,
            };
        }
        let octets = server.transmit().to_vec();
        server.transmitted(octets.len()).unwrap();
        if !octets.is_empty() {
            exchange.session_mut().spare_mut()[..octets.len()].copy_from_slice(&octets);
            exchange.session_mut().received(octets.len()).unwrap();
        }
    }
    let (sent, secret) = std::mem::take(&mut *said.lock().unwrap());
    Told {
        sent: String::from_utf8(sent).unwrap(),
        secret,
        heard: String::from_utf8(heard).unwrap(),
    }
}

#[test]
fn no_part_of_a_credential_is_told() {
    let password = Credentials::password("user", "pencil");
    let token = "t".repeat(8500);
    let token = Credentials::token("user", &token);
    let go: &[&str] = &["235 in\r\n"];
    let mail = "MAIL FROM:<a@example.org>\r\n";
    for (credentials, mechanism, replies, shown) in [
        (password, Mechanism::Plain, go, "AUTH PLAIN "),
        (password, Mechanism::Login, &["334 \r\n", "334 \r\n", "235 in\r\n"], "AUTH LOGIN\r\n"),
        // Over more than two stretches of what is given to TLS at a time.
        (token, Mechanism::XOAuth2, go, "AUTH XOAUTH2 "),
        (token, Mechanism::OAuthBearer, go, "AUTH OAUTHBEARER "),
    ] {
        let told = told(credentials, mechanism.name(), replies);
        assert_eq!(told.sent, format!("EHLO client.example.org\r\n{shown}{mail}"));
        assert_eq!(told.sent.len() + told.secret, told.heard.len(), "every octet is counted");
        assert!(told.heard.starts_with(&format!("EHLO client.example.org\r\n{shown}")));
        assert!(told.heard.ends_with(mail));
    }
}
