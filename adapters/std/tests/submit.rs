//! A mail over real sockets whose server does not wait for the end.

mod common;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::tls;
use starttls::protocol::{Mail, smtp};
use starttls::submission::{Content, Envelope, Outcome, Report, Require, Submission};
use starttls_std::{Broken, Error};

/// Sends `length` octets to a server that says each of `lines` after a read, and then drops the
/// connection with whatever it has not read.
fn submit(length: u64, lines: &'static [&'static str]) -> Result<Report, Broken> {
    let (client_tls, server_tls) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (transport, _) = listener.accept().unwrap();
        let machine = smtp::Server::new("mail.example.org", &[]).unwrap();
        let mut stream = starttls_std::accept(transport, machine, &server_tls).unwrap();
        for line in lines {
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(line.as_bytes()).unwrap();
        }
        if length > 1 << 20 {
            // The client is in the middle of it.
            thread::sleep(Duration::from_millis(100));
        }
    });
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", false).unwrap();
    let envelope = Envelope {
        from: "a@example.org",
        to: &["b@example.org"],
        size: None,
        content: Content::SevenBit,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();
    let result = starttls_std::submit_by(
        TcpStream::connect(address).unwrap(),
        smtp::Client::new("client.example.org").unwrap(),
        &client_tls,
        "localhost",
        submission,
        io::repeat(b'x').take(length),
        Instant::now() + Duration::from_secs(20),
    );
    server.join().unwrap();
    result
}

const EHLO: &str = "250-mx\r\n250 PIPELINING\r\n";
const GO: &str = "250 a\r\n250 b\r\n354 go\r\n";
const LARGE: u64 = 64 << 20;

#[test]
fn a_refusal_in_the_middle_of_the_message_is_reported() {
    for (line, code) in [("552 too big\r\n", 552), ("421 going down\r\n", 421)] {
        let lines: &[&str] = Box::leak(Box::new([EHLO, GO, line]));
        let report = submit(LARGE, lines).unwrap();
        match &report.recipients[..] {
            [Outcome::Refused(said)] => assert_eq!(said.code, code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_that_vanishes_is_the_transports_failure_and_no_doubt() {
    let broken = submit(LARGE, &[EHLO, GO]).unwrap_err();
    let Error::Transport(error) = &broken.error else { panic!("{:?}", broken.error) };
    let kind = error.kind();
    assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{kind:?}");
    assert_eq!(broken.report.recipients, [Outcome::NotSent]);
}

#[test]
fn a_goodbye_that_fails_takes_nothing_back() {
    let report = submit(1000, &[EHLO, GO, "250 queued\r\n"]).unwrap();
    assert!(report.is_delivered(), "{report:?}");
}
