//! A whole mail, blocking and asynchronous.
#![cfg(feature = "rustls")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;

use common::{Clock, Faults, KINDS, Kind, NAME, Peer, Pki, Wire, buffers, wait};
use embedded_io::{BufRead, ErrorKind, ErrorType, Read};
use rustls::version::{TLS12, TLS13};
use starttls::error::TlsError;
use starttls::protocol::{Mail, smtp};
use starttls::submission::mime::{Attachment, Composer, Date, Mailbox, Message};
use starttls::submission::{Content, Credentials, Envelope, Outcome, Report, Require, Submission};
use starttls::tls::ClientTls;
use starttls_embedded_io::{
    Broken, Buffers, Composed, Error, submit, submit_async, submit_async_by, submit_by,
};
use starttls_tests::mail::{ACCOUNT, Sink};

fn submission() -> Submission<'static> {
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", false).unwrap();
    let credentials = Credentials::password(ACCOUNT.user, ACCOUNT.password);
    let mut fill = |octets: &mut [u8]| {
        octets.fill(7);
        Ok(())
    };
    submission.login(credentials, &mut fill).unwrap();
    let envelope = Envelope {
        from: "user@example.org",
        to: &["friend@example.net", "other@example.net"],
        size: None,
        content: Content::Unknown,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();
    submission
}

fn run<P: Peer>(
    kind: Kind,
    wire: Wire<P>,
    tls: &ClientTls,
    submission: Submission<'_>,
    message: &[u8],
    end: Option<u32>,
) -> Result<Report, Broken<ErrorKind>> {
    let machine = smtp::Client::new("client.example.org").unwrap();
    let clock = Clock::default();
    match (kind, end) {
        (Kind::Blocking, None) => submit(wire, machine, tls, NAME, buffers(), submission, message),
        (Kind::Blocking, Some(end)) => {
            let until = clock.until(end);
            submit_by(wire, machine, tls, NAME, buffers(), submission, message, until)
        }
        (Kind::Async, None) => {
            wait(submit_async(wire, machine, tls, NAME, buffers(), submission, message))
        }
        (Kind::Async, Some(end)) => {
            let timer = clock.timer(end);
            wait(submit_async_by(wire, machine, tls, NAME, buffers(), submission, message, timer))
        }
    }
}

fn message() -> Vec<u8> {
    let mut message = b"Subject: a mail\r\n\r\n.a line that begins with a dot\r\n".to_vec();
    for line in 0..300 {
        message.extend(format!("line {line} of the message\r\n").into_bytes());
    }
    message
}

#[test]
fn a_whole_mail_arrives() {
    let pki = Pki::default();
    for (version, chunk) in [(&TLS12, 1), (&TLS13, 1), (&TLS13, usize::MAX)] {
        for kind in KINDS {
            let faults = Faults { chunk, interrupted: chunk == 1, ..Faults::default() };
            let wire = Wire::new(Sink::new("submission", pki.server()), faults);
            let peer = wire.peer.clone();
            let tls = ClientTls::new(Arc::new(pki.client(version)));
            let report = run(kind, wire, &tls, submission(), &message(), None).unwrap();
            assert!(report.is_delivered(), "{report:?}");
            assert!(peer.borrow().messages == [message()]);
        }
    }
}

/// Written while it is sent, with an attachment that is never held as a whole.
#[test]
fn a_mail_is_composed_on_the_way() {
    let log = Vec::from_iter((0..10_000_u32).map(|n| (n % 251) as u8));
    let message = Message {
        date: Date::new(1_795_887_062, 0).unwrap(),
        id: "1@device.example.org",
        from: Mailbox { name: "", address: "user@example.org" },
        to: &[Mailbox { name: "Jürgen", address: "friend@example.net" }],
        subject: "Still warm",
        fields: &[],
        text: "The log is attached.\n.\n",
        attachments: &[Attachment { name: "log", media_type: "application/octet-stream" }],
    };
    let composed = || {
        let mut rest = &log[..];
        let attached = move |_, piece: &mut [u8]| rest.read(piece);
        Composed::new(Composer::new(&message).unwrap(), attached, [0; 64])
    };
    let (mut whole, mut from, mut piece) = (Vec::new(), composed(), [0; 11]);
    while let n @ 1.. = Read::read(&mut from, &mut piece).unwrap() {
        whole.extend_from_slice(&piece[..n]);
    }

    let pki = Pki::default();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    for kind in KINDS {
        let wire = Wire::new(Sink::new("submission", pki.server()), Faults::default());
        let peer = wire.peer.clone();
        let machine = smtp::Client::new("client.example.org").unwrap();
        let (submission, message) = (submission(), composed());
        let report = match kind {
            Kind::Blocking => submit(wire, machine, &tls, NAME, buffers(), submission, message),
            Kind::Async => {
                wait(submit_async(wire, machine, &tls, NAME, buffers(), submission, message))
            }
        };
        assert!(report.unwrap().is_delivered());
        assert!(peer.borrow().messages == [&*whole]);
    }
}

/// A message that is read from somewhere, in pieces, with the smallest send buffer; through a
/// lent transport and lent buffers.
#[test]
fn a_message_in_pieces_through_buffers_of_the_smallest_size() {
    struct Pieces<'m>(&'m [u8]);
    impl ErrorType for Pieces<'_> {
        type Error = Infallible;
    }
    impl Read for Pieces<'_> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
            self.0.read(buf)
        }
    }
    impl BufRead for Pieces<'_> {
        fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
            Ok(&self.0[..self.0.len().min(99)])
        }
        fn consume(&mut self, n: usize) {
            self.0 = &self.0[n..];
        }
    }
    let pki = Pki::default();
    let mut wire = Wire::new(Sink::new("submission", pki.server()), Faults::default());
    let peer = wire.peer.clone();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    let machine = smtp::Client::new("client.example.org").unwrap();
    let (mut receive, mut send) = ([0; 16_645], [0; 64]);
    let lent = Buffers { receive: &mut receive[..], send: &mut send[..] };
    let message = message();
    let submission = submission();
    let report = submit(&mut wire, machine, &tls, NAME, lent, submission, Pieces(&message));
    assert!(report.unwrap().is_delivered());
    assert!(peer.borrow().messages == [message]);
}

#[test]
fn a_message_that_cannot_be_read_is_not_sent() {
    struct Broke;
    impl ErrorType for Broke {
        type Error = ErrorKind;
    }
    impl Read for Broke {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(ErrorKind::NotFound)
        }
    }
    impl BufRead for Broke {
        fn fill_buf(&mut self) -> Result<&[u8], ErrorKind> {
            Err(ErrorKind::NotFound)
        }
        fn consume(&mut self, _: usize) {}
    }
    let pki = Pki::default();
    let wire = Wire::new(Sink::new("submission", pki.server()), Faults::default());
    let peer = wire.peer.clone();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    let machine = smtp::Client::new("client.example.org").unwrap();
    let broken = submit(wire, machine, &tls, NAME, buffers(), submission(), Broke).unwrap_err();
    assert!(matches!(broken.error, Error::Message(ErrorKind::NotFound)), "{broken:?}");
    assert_eq!(broken.report.recipients, [Outcome::NotSent, Outcome::NotSent]);
    assert!(peer.borrow().messages.is_empty());
}

/// A server that falls silent when its sink took a message.
struct Mute(Sink);

impl Peer for Mute {
    fn hear(&mut self, octets: &[u8]) -> Vec<u8> {
        let answer = self.0.answer(octets);
        if self.0.messages.is_empty() { answer } else { vec![] }
    }
}

#[test]
fn a_deadline_behind_the_message_leaves_it_in_doubt() {
    let pki = Pki::default();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    for kind in KINDS {
        let mute = Mute(Sink::new("submission", pki.server()));
        let wire = Wire::new(mute, Faults::default());
        let end = Some(100_000);
        let broken = run(kind, wire, &tls, submission(), &message(), end).unwrap_err();
        assert!(matches!(broken.error, Error::TimedOut), "{broken:?}");
        assert_eq!(broken.report.recipients, [Outcome::Unknown, Outcome::Unknown]);

        let wire = Wire::new(
            Sink::new("submission", pki.server()),
            Faults { stuck: true, ..Faults::default() },
        );
        let broken = run(kind, wire, &tls, submission(), &message(), Some(1000)).unwrap_err();
        assert!(matches!(broken.error, Error::TimedOut), "{broken:?}");
        assert_eq!(broken.report.recipients, [Outcome::NotSent, Outcome::NotSent]);
    }
}

#[test]
fn an_end_anywhere_is_never_a_delivery() {
    let pki = Pki::default();
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    for kind in KINDS {
        let mut unknown = 0;
        for ends in (0..4000).step_by(41) {
            let wire = Wire::new(
                Sink::new("submission", pki.server()),
                Faults { ends: Some(ends), ..Faults::default() },
            );
            let peer = wire.peer.clone();
            match run(kind, wire, &tls, submission(), b"Subject: x\r\n\r\ny\r\n", None) {
                Ok(report) => {
                    assert!(report.is_delivered() && !peer.borrow().messages.is_empty());
                    continue;
                }
                Err(broken) => match &broken.report.recipients[..] {
                    [Outcome::Unknown, Outcome::Unknown] => unknown += 1,
                    [Outcome::NotSent, Outcome::NotSent] => {
                        assert!(peer.borrow().messages.is_empty(), "{ends}");
                    }
                    // The reply was read and the end came behind it.
                    [Outcome::Delivered(_), Outcome::Delivered(_)] => {}
                    other => panic!("{ends}: {other:?}"),
                },
            }
        }
        assert!(unknown > 0);
    }
}

#[test]
fn no_credentials_for_a_stranger() {
    let (pki, stranger) = (Pki::default(), Pki::default());
    let config = Arc::new(pki.client(&TLS13));
    let tls = ClientTls::opportunistic(config, stranger.verifier());
    for kind in KINDS {
        let wire = Wire::new(Sink::new("submission", pki.server()), Faults::default());
        let broken = run(kind, wire, &tls, submission(), &message(), None).unwrap_err();
        let why = starttls::Error::Unauthenticated(TlsError::UnknownIssuer);
        assert_eq!(broken.error.session(), Some(why));
    }
}
