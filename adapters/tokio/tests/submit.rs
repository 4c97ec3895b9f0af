//! A mail whose server does not wait for the end.

mod common;

use common::{NAME, Tls, VERSIONS, client, server};
use starttls::protocol::Mail;
use starttls::submission::{Content, Envelope, Outcome, Report, Require, Submission};
use starttls_tokio::{Broken, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, repeat};

const EHLO: &str = "250-mx\r\n250 PIPELINING\r\n";
const GO: &str = "250 a\r\n250 b\r\n354 go\r\n";
const LARGE: u64 = 4 << 20;

/// Sends `length` octets to a server that says each of `lines` after a read, and then drops the
/// connection with whatever it has not read.
async fn submit(tls: &Tls, length: u64, lines: &[&str]) -> Result<Report, Broken> {
    let (here, there) = duplex(1 << 16);
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
    let (result, ()) = tokio::join!(
        starttls_tokio::submit(
            here,
            client(),
            &tls.client,
            NAME,
            submission,
            repeat(b'x').take(length),
            None,
        ),
        async {
            let mut stream = starttls_tokio::accept(there, server(), &tls.server).await.unwrap();
            for line in lines {
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(line.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    );
    result
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_the_message_is_reported() {
    for version in VERSIONS {
        let tls = Tls::new(version);
        for (line, code) in [("552 too big\r\n", 552), ("421 going down\r\n", 421)] {
            let report = submit(&tls, LARGE, &[EHLO, GO, line]).await.unwrap();
            match &report.recipients[..] {
                [Outcome::Refused(said)] => assert_eq!(said.code, code),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_vanishes_is_the_transports_failure_and_no_doubt() {
    let broken = submit(&Tls::new(VERSIONS[1]), LARGE, &[EHLO, GO]).await.unwrap_err();
    let Error::Transport(error) = &broken.error else { panic!("{:?}", broken.error) };
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(broken.report.recipients, [Outcome::NotSent]);
}

#[tokio::test]
async fn a_goodbye_that_fails_takes_nothing_back() {
    let lines = &[EHLO, GO, "250 queued\r\n"];
    let report = submit(&Tls::new(VERSIONS[1]), 1000, lines).await.unwrap();
    assert!(report.is_delivered(), "{report:?}");
}
