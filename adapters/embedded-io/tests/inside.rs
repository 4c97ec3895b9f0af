//! A mail through another TLS library, behind a negotiation.
#![cfg(feature = "rustls")]

mod common;

use std::sync::Arc;

use common::{Faults, KINDS, Kind, NAME, Pki, Script, Wire, buffers, wait};
use embedded_io::ErrorKind;
use rustls::version::TLS13;
use starttls::error::Misbehaviour;
use starttls::negotiate::ForeignTls;
use starttls::protocol::{Implicit, Mail, SMTP, smtp};
use starttls::submission::{Content, Credentials, Envelope, Event, Require, Submission};
use starttls::tls::ClientTls;
use starttls::wire::MAX_LINE;
use starttls_embedded_io::{
    Error, connect, connect_async, negotiate, negotiate_async, submit_inside, submit_inside_async,
};
use starttls_tests::mail::{ACCOUNT, Sink};

fn submission() -> Submission<'static> {
    let mut submission = without_login();
    let credentials = Credentials::password(ACCOUNT.user, ACCOUNT.password);
    let mut fill = |octets: &mut [u8]| {
        octets.fill(7);
        Ok(())
    };
    submission.login(credentials, &mut fill).unwrap();
    submission
}

fn without_login() -> Submission<'static> {
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", false).unwrap();
    let envelope = Envelope {
        from: "user@example.org",
        to: &["friend@example.net"],
        size: None,
        content: Content::SevenBit,
        utf8: false,
        require: Require::All,
    };
    submission.mail(envelope, true).unwrap();
    submission
}

fn run<S, E>(
    kind: Kind,
    stream: &mut S,
    tls: &ForeignTls,
    submission: &mut Submission<'_>,
    message: &[u8],
    sizes: (usize, usize),
) -> (Result<(), Error<E>>, Vec<String>)
where
    S: embedded_io::Read<Error = E> + embedded_io::Write,
    S: embedded_io_async::Read<Error = E> + embedded_io_async::Write,
    E: embedded_io::Error,
{
    let (mut receive, mut send) = (vec![0; sizes.0], vec![0; sizes.1]);
    let mut told = Vec::new();
    let tell = |event: Event<'_>| {
        let text = format!("{event:?}");
        told.push(text.split([' ', '(']).next().unwrap().to_owned());
    };
    let result = match kind {
        Kind::Blocking => {
            submit_inside(stream, tls, submission, message, &mut receive, &mut send, tell)
        }
        Kind::Async => {
            let (receive, send) = (&mut receive, &mut send);
            wait(submit_inside_async(stream, tls, submission, message, receive, send, tell))
        }
    };
    (result, told)
}

#[test]
fn a_mail_arrives_through_buffers_of_any_size() {
    let pki = Pki::default();
    let message = "a line\r\n..and another\r\n".repeat(100);
    for kind in KINDS {
        for sizes in [(1, 64), (7, 100), (500, 2000)] {
            let sink = Sink::new("submission", pki.server());
            let wire = Wire::new(sink, Faults { interrupted: true, ..Faults::default() });
            let peer = wire.peer.clone();
            let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
            let (receive, send) = (&mut receive, &mut send);
            let machine = smtp::Client::new("client.example.org").unwrap();
            // Here rustls again, as if it were another.
            let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
            let inside = Implicit::client(&SMTP);
            let (mut stream, tls) = match kind {
                Kind::Blocking => {
                    let negotiated = negotiate(wire, machine, receive, send).unwrap();
                    let stream = connect(negotiated.transport, inside, &tls, NAME, buffers());
                    (stream.unwrap(), negotiated.tls)
                }
                Kind::Async => {
                    let negotiated = wait(negotiate_async(wire, machine, receive, send)).unwrap();
                    let transport = negotiated.transport;
                    let stream = connect_async(transport, inside, &tls, NAME, buffers());
                    (wait(stream).unwrap(), negotiated.tls)
                }
            };
            let mut submission = submission();
            let (result, told) =
                run(kind, &mut stream, &tls, &mut submission, message.as_bytes(), sizes);
            assert!(result.is_ok(), "{result:?}");
            assert_eq!(told, ["Recipient", "Delivered", "MailDone"]);
            assert!(!submission.in_doubt());
            assert!(peer.borrow().messages == [message.as_bytes()]);
        }
    }
}

/// The right to say what was decrypted, without any TLS: for the faults that are not TLS's.
fn foreign() -> ForeignTls {
    let wire = Wire::new(Script::new(&[]), Faults::default());
    let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
    negotiate(wire, Implicit::client(&SMTP), &mut receive, &mut send).unwrap().tls
}

const EHLO: &str = "250 mx\r\n";

#[test]
fn a_server_that_fails_is_an_error_and_the_mail_is_in_doubt_only_at_its_end() {
    let tls = foreign();
    let talk = [
        "",
        EHLO,
        "250 sender\r\n",
        "250 recipient\r\n",
        "354 go\r\n",
        "250 done\r\n",
        "221 bye\r\n",
    ];
    let submission = |kind, lines: &[&str]| {
        let ends = Some(lines.concat().len());
        let mut wire = Wire::new(Script::new(lines), Faults { ends, ..Faults::default() });
        let mut submission = without_login();
        let (result, told) = run(kind, &mut wire, &tls, &mut submission, b"hi", (500, 500));
        (result, told, submission.in_doubt())
    };
    for kind in KINDS {
        let (result, told, doubt) = submission(kind, &talk[1..]);
        assert!(result.is_ok() && told.contains(&"Delivered".to_owned()) && !doubt, "{result:?}");
        for known in 1..talk.len() {
            let (result, told, doubt) = submission(kind, &talk[1..known]);
            // Where only the reply to QUIT is missing, nothing is.
            let truncated =
                result.is_err_and(|error| error.session() == Some(starttls::Error::Truncated));
            assert_eq!(truncated, known < 6, "{known}");
            let delivered = told.contains(&"Delivered".to_owned());
            assert_eq!((delivered, doubt), (known == 6, known == 5), "{known}");
        }
        let (result, ..) = submission(kind, &["250 mx\r\n250 unasked\r\n"]);
        let unsolicited = starttls::Error::PeerMisbehaved(Misbehaviour::Unsolicited);
        assert_eq!(result.unwrap_err().session(), Some(unsolicited));
    }
}

#[test]
fn a_message_that_cannot_be_read_is_not_sent() {
    struct Broken;
    impl embedded_io::ErrorType for Broken {
        type Error = ErrorKind;
    }
    impl embedded_io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(ErrorKind::Other)
        }
    }
    impl embedded_io::BufRead for Broken {
        fn fill_buf(&mut self) -> Result<&[u8], ErrorKind> {
            Err(ErrorKind::Other)
        }
        fn consume(&mut self, _: usize) {}
    }
    let talk = [EHLO, "250 sender\r\n", "250 recipient\r\n", "354 go\r\n", "250 done\r\n"];
    let mut wire = Wire::new(Script::new(&talk), Faults::default());
    let mut submission = without_login();
    let (tls, mut receive, mut send) = (foreign(), [0; 500], [0; 500]);
    let result =
        submit_inside(&mut wire, &tls, &mut submission, Broken, &mut receive, &mut send, |event| {
            assert!(!matches!(event, Event::Delivered { .. }))
        });
    assert!(matches!(result, Err(Error::Message(ErrorKind::Other))), "{result:?}");
    assert!(!submission.in_doubt());
}
