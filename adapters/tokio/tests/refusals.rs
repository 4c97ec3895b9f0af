//! No TLS: typed errors, or plaintext where that is allowed.

mod common;

use std::error::Error as _;
use std::io::{self, ErrorKind};

use common::{NAME, Tls, VERSIONS, client, server, session_error};
use starttls::error::{Misbehaviour, Misuse, Refusal, RefusalKind, TlsError};
use starttls::negotiate::AllowPlaintext;
use starttls_tokio::{Channel, Error, accept, accept_or_plaintext, connect, connect_or_plaintext};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::join;

const REFUSED: starttls::Error = starttls::Error::PeerRefused(NO);
const NO: Refusal = Refusal { kind: RefusalKind::Upgrade, code: 454, temporary: true };

/// A server that answers each of the client's lines with the next of `replies`.
async fn answer(transport: &mut DuplexStream, replies: &[&str]) {
    for (n, reply) in replies.iter().enumerate() {
        while n > 0 && transport.read_u8().await.unwrap() != b'\n' {}
        transport.write_all(reply.as_bytes()).await.unwrap();
    }
}

const REPLIES: [&str; 3] = ["220 x\r\n", "250 x\r\n", "454 not \x1bnow\r\n"];

#[tokio::test]
async fn a_refusal_has_the_untrusted_text() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, mut there) = duplex(64);
    let (result, ()) =
        join!(connect(here, client(), &tls.client, NAME), answer(&mut there, &REPLIES));
    let error = result.unwrap_err();
    let Error::Session { error: REFUSED, tls: None, untrusted: Some(text), .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(**text, *b"454 not \x1bnow\r\n");
    let shown = "the server refused to start TLS (code 454, temporary: try again later)";
    assert_eq!(error.to_string(), shown);
    // The goodbye was sent.
    let mut rest = String::new();
    there.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "QUIT\r\n");

    let error = io::Error::from(error);
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(session_error(&error), REFUSED);
}

#[tokio::test]
async fn plaintext_where_it_is_allowed() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, mut there) = duplex(64);
    let (channel, ()) = join!(
        connect_or_plaintext(here, client(), &tls.client, NAME, AllowPlaintext),
        answer(&mut there, &REPLIES),
    );
    let Channel::Plaintext(mut plaintext) = channel.unwrap() else { panic!("secured") };
    assert_eq!(plaintext.why(), NO);
    assert_eq!(plaintext.untrusted_text(), b"454 not \x1bnow\r\n");
    plaintext.write_all(b"MAIL").await.unwrap();
    there.write_all(b"250 ok").await.unwrap();
    let (mut mail, mut ok) = ([0; 4], [0; 6]);
    there.read_exact(&mut mail).await.unwrap();
    plaintext.read_exact(&mut ok).await.unwrap();
    assert_eq!((&mail, &ok), (b"MAIL", b"250 ok"));
}

#[tokio::test]
async fn a_server_reads_first_what_was_received() {
    let tls = Tls::new(VERSIONS[1]);
    let (mut here, there) = duplex(1024);
    here.write_all(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDA").await.unwrap();
    let channel = accept_or_plaintext(there, server(), &tls.server, AllowPlaintext).await;
    let Channel::Plaintext(mut plaintext) = channel.unwrap() else { panic!("secured") };
    assert_eq!(plaintext.why().kind, RefusalKind::NotAsked);
    here.write_all(b"TA\r\n").await.unwrap();
    here.shutdown().await.unwrap();
    let mut all = Vec::new();
    let mut few = [0; 5];
    while let n @ 1.. = plaintext.read(&mut few).await.unwrap() {
        all.extend_from_slice(&few[..n]);
    }
    assert_eq!(all, b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
}

#[tokio::test]
async fn plaintext_allowed_is_not_plaintext_preferred() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, there) = duplex(1024);
    let (client, server) = join!(
        connect_or_plaintext(here, client(), &tls.client, NAME, AllowPlaintext),
        accept_or_plaintext(there, server(), &tls.server, AllowPlaintext),
    );
    assert!(matches!(client, Ok(Channel::Secured(_))));
    assert!(matches!(server, Ok(Channel::Secured(_))));
}

#[tokio::test]
async fn a_wrong_name_is_told_to_both() {
    for version in VERSIONS {
        let tls = Tls::new(version);
        let (here, there) = duplex(1024);
        let (here, there) = join!(
            connect(here, client(), &tls.client, "other.example.org"),
            accept(there, server(), &tls.server),
        );
        let error = here.unwrap_err();
        assert_eq!(error.session(), Some(starttls::Error::Tls(TlsError::WrongName)));
        assert!(error.source().unwrap().to_string().contains("other.example.org"));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
        // bad_certificate (RFC 8446 §6.2)
        let alert = starttls::Error::Tls(TlsError::AlertReceived(42));
        assert_eq!(there.unwrap_err().session(), Some(alert));
    }
}

#[tokio::test]
async fn an_error_does_not_wait_for_a_peer_that_takes_nothing() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, mut there) = duplex(1);
    let (result, ()) =
        join!(connect(here, client(), &tls.client, NAME), answer(&mut there, &["554 no\r\n"]));
    let refusal = Refusal { kind: RefusalKind::Service, code: 554, temporary: false };
    assert_eq!(result.unwrap_err().session(), Some(starttls::Error::PeerRefused(refusal)));
}

#[tokio::test]
async fn injected_plaintext_ends_it() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, mut there) = duplex(64);
    let replies = ["220 x\r\n", "250 x\r\n", "220 go\r\n250 AUTH PLAIN\r\n"];
    let (result, ()) =
        join!(connect(here, client(), &tls.client, NAME), answer(&mut there, &replies));
    let error = starttls::Error::PeerMisbehaved(Misbehaviour::BytesAfterUpgrade);
    assert_eq!(result.unwrap_err().session(), Some(error));
}

#[tokio::test]
async fn the_transport_ends_early() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, there) = duplex(64);
    drop(there);
    let error = connect(here, client(), &tls.client, NAME).await.unwrap_err();
    assert_eq!(error.session(), Some(starttls::Error::Closed));
    assert_eq!(io::Error::from(error).kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_name_that_is_none() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, _there) = duplex(64);
    let error = connect(here, client(), &tls.client, "not a name").await.unwrap_err();
    assert_eq!(error.session(), Some(starttls::Error::Misuse(Misuse::Name)));
    assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
}
