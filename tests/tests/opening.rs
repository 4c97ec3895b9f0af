//! What is said first inside TLS, as sessions say it: up to a known state of the channel, and not an
//! octet of the application's lost or shown to anybody else.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use starttls::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use starttls::negotiate::Negotiate;
use starttls::protocol::smtp;
use starttls::session::{Event, MIN_SEND_BUFFER};
use starttls::tls::ClientTls;
use starttls_tests::dialogue::Dialogue;
use starttls_tests::inside::opening;
use starttls_tests::pki::Pki;
use starttls_tests::sessions::{Cut, Pair};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const CUTS: [(usize, usize); 4] =
    [(1, MIN_SEND_BUFFER), (3, 100), (1000, MIN_SEND_BUFFER), (usize::MAX, 20_000)];

fn client(pki: &Pki, version: &'static SupportedProtocolVersion) -> ClientTls {
    ClientTls::new(Arc::new(pki.client(version)))
}

#[test]
fn openings_reach_each_other_and_the_application_whatever_the_cuts() {
    let pki = Pki::default();
    let mut openings = 0;
    for dialogue in Dialogue::all() {
        let Some(scheme) = dialogue.protocol().strip_suffix("-inside") else { continue };
        let application = dialogue.setting.octets("application");
        for version in VERSIONS {
            for (chunk, send) in CUTS {
                let cut = Cut { chunk, send, ..Cut::default() };
                let (c, s) = opening(scheme, dialogue.setting);
                let mut pair = Pair::of(c, s, &client(&pki, version), pki.server(), cut);
                pair.run();
                assert_eq!(pair.client.events, [Ok(Event::Established)], "{}", dialogue.file);
                assert!(pair.client.data.is_empty(), "{}", dialogue.file);
                // A record an octet, and more behind what ends the opening.
                for octet in application {
                    pair.client_writes(&[*octet]);
                }
                pair.client_writes(b"more");
                assert_eq!(pair.server.events, [Ok(Event::Established)], "{}", dialogue.file);
                let heard = [application, b"more"].concat();
                assert_eq!(pair.server.data, heard, "{}", dialogue.file);
                pair.server_writes(b"answer");
                assert_eq!(pair.client.data, b"answer", "{}", dialogue.file);
                openings += 1;
            }
        }
    }
    assert!(openings >= 40, "{openings}");
}

#[test]
fn the_application_waits_for_the_opening() {
    let pki = Pki::default();
    let c = smtp::Client::new("client.example.org").unwrap();
    let inside = smtp::InsideClient::new("client.example.org").unwrap();
    let s = smtp::Server::new("mail.example.org", &[]).unwrap();
    let tls = client(&pki, &TLS13);
    let mut pair = Pair::of(c.then(inside), s, &tls, pki.server(), Cut::default());
    pair.run();
    assert!(pair.server.is_up() && pair.client.events.is_empty());
    assert_eq!(pair.server.data, b"EHLO client.example.org\r\n");
    let session = &mut pair.client.session;
    assert_eq!((session.is_established(), session.security()), (false, None));
    assert_eq!(session.write(b"MAIL"), Err(Misuse::Phase.into()));
    pair.server_writes(b"250-x\r\n250");
    assert_eq!(pair.client.session.read(&mut [0; 8]), 0);
    pair.server_writes(b" x\r\n");
    assert!(pair.client.is_up() && pair.client.session.security().is_some());
    pair.client_writes(b"MAIL");
    assert!(pair.server.data.ends_with(b"\r\nMAIL"));
}

#[test]
fn an_opening_that_fails_closes_the_channel() {
    let pki = Pki::default();
    let greeting = Error::from(Misbehaviour::Greeting);
    let refused =
        Error::PeerRefused(Refusal { kind: RefusalKind::Inside, code: 451, temporary: true });
    for version in VERSIONS {
        for (greeted, said, error) in [
            (false, "220 x\r\n", greeting),
            (true, "250 x\r\n", greeting),
            (false, "451 x\r\n", refused),
            (false, "250 x\r\n250 x\r\n", Misbehaviour::Unsolicited.into()),
        ] {
            let c = smtp::Client::new("client.example.org").unwrap();
            let inside = smtp::InsideClient::new("client.example.org").unwrap().greeted(greeted);
            let s = smtp::Server::new("mail.example.org", &[]).unwrap();
            let tls = client(&pki, version);
            let mut pair = Pair::of(c.then(inside), s, &tls, pki.server(), Cut::default());
            pair.run();
            pair.server_writes(said.as_bytes());
            assert_eq!(pair.client.events, [Err(error)], "{said}");
            assert_eq!(pair.server.last(), Ok(Event::PeerClosed), "{said}");
            assert!(!pair.client.session.is_established() && pair.client.data.is_empty());
        }
    }
}

#[test]
fn an_end_in_the_opening_is_no_success() {
    let pki = Pki::default();
    for version in VERSIONS {
        for notified in [true, false] {
            for said in ["", "250-x\r\n", "250-x\r\n250 x\r"] {
                let c = smtp::Client::new("client.example.org").unwrap();
                let inside = smtp::InsideClient::new("client.example.org").unwrap();
                let s = smtp::Server::new("mail.example.org", &[]).unwrap();
                let tls = client(&pki, version);
                let mut pair = Pair::of(c.then(inside), s, &tls, pki.server(), Cut::default());
                pair.run();
                pair.server_writes(said.as_bytes());
                if notified {
                    pair.server.session.close();
                } else {
                    pair.client.closed = true;
                }
                pair.run();
                let error = if notified { Error::Closed } else { Error::Truncated };
                assert_eq!(pair.client.events, [Err(error)], "{said:?}");
            }
        }
    }
}

#[test]
fn a_long_answer_needs_no_long_send_buffer() {
    let pki = Pki::default();
    let extension: &'static str = "X".repeat(1900).leak();
    let extensions: &'static [&'static str] = vec![extension; 30].leak();
    for version in VERSIONS {
        let cut = Cut { send: MIN_SEND_BUFFER, ..Cut::default() };
        let c = smtp::Client::new("client.example.org").unwrap();
        let s = smtp::Server::new("mail.example.org", &[]).unwrap();
        let inside = smtp::InsideServer::new("mail.example.org", extensions).unwrap();
        let tls = client(&pki, version);
        let mut pair = Pair::of(c, s.then(inside), &tls, pki.server(), cut).client_up();
        pair.client_writes(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n");
        assert_eq!(pair.client.data.len(), 22 + 30 * 1906 + 27);
        assert!(pair.client.data.ends_with(b"503 TLS is active already\r\n"));
        assert_eq!(pair.server.data, b"NOOP\r\n");
    }
}
