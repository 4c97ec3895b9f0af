//! The session: negotiation, handshake, data and close, however the octets are cut.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use starttls::error::{Error, Misuse, TlsError};
use starttls::protocol::{Implicit, POSTGRESQL, SMTP};
use starttls::session::{Event, MIN_SEND_BUFFER, Session};
use starttls::tls::{ClientTls, Security, ServerTls, Version};
use starttls_tests::pki::Pki;
use starttls_tests::sessions::{Cut, Pair};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const SCHEMES: [&str; 4] = ["smtp", "lmtp", "smtps", "submission"];

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn data_crosses_whatever_the_cuts() {
    let pki = Pki::default();
    let (there, back) = (pattern(40_000), pattern(30_001));
    for version in VERSIONS {
        for scheme in SCHEMES {
            for (chunk, send) in [(1, MIN_SEND_BUFFER), (3, 100), (1000, 64), (usize::MAX, 20_000)]
            {
                let cut = Cut { chunk, send, ..Cut::default() };
                let mut pair =
                    Pair::new(scheme, pki.client(version), pki.server(), cut).establish();
                pair.client_writes(&there);
                pair.server_writes(&back);
                assert!(pair.server.data == there, "{scheme} {cut:?}");
                assert!(pair.client.data == back, "{scheme} {cut:?}");
            }
        }
    }
}

#[test]
fn both_may_write_while_neither_reads() {
    let pki = Pki::default();
    for version in VERSIONS {
        let mut pair =
            Pair::new("smtp", pki.client(version), pki.server(), Cut::default()).establish();
        let (mut sent, mut got) = (0, 0);
        for round in 0..50 {
            // Each side writes while decrypted data of the other waits to be read.
            sent += pair.client.session.write(&pattern(2000)).unwrap();
            got += pair.server.session.write(&pattern(2000)).unwrap();
            if round % 5 == 4 {
                pair.run();
            }
        }
        pair.run();
        assert_eq!((pair.server.data.len(), pair.client.data.len()), (sent, got));
    }
}

#[test]
fn writing_while_a_record_waits_keeps_the_record() {
    let pki = Pki::default();
    for version in VERSIONS {
        let mut pair =
            Pair::new("smtp", pki.client(version), pki.server(), Cut::default()).establish();
        pair.server.session.write(b"first").unwrap();
        let octets = pair.server.session.transmit().to_vec();
        pair.server.session.transmitted(octets.len()).unwrap();
        pair.client.session.spare_mut()[..octets.len()].copy_from_slice(&octets);
        pair.client.session.received(octets.len()).unwrap();
        assert_eq!(pair.client.session.process(), Ok(Event::Data));
        // A write needs rustls, which holds the record: it has to survive.
        assert_eq!(pair.client.session.write(b"second"), Ok(6));
        pair.run();
        assert_eq!((&pair.client.data[..], &pair.server.data[..]), (&b"first"[..], &b"second"[..]));
    }
}

#[test]
fn closing_is_told_from_truncation() {
    let pki = Pki::default();
    for version in VERSIONS {
        let new = || Pair::new("smtp", pki.client(version), pki.server(), Cut::default());
        let mut pair = new().establish();
        pair.client_writes(b"all of it");
        pair.client.session.close();
        pair.run();
        assert_eq!(pair.server.last(), Ok(Event::PeerClosed));
        // Half-close: the other direction goes on.
        pair.server_writes(b"still here");
        assert_eq!(pair.client.data, b"still here");
        pair.server.session.close();
        pair.run();
        assert_eq!(
            (pair.client.last(), pair.server.last()),
            (Ok(Event::Closed), Ok(Event::Closed))
        );
        assert_eq!(pair.client.session.write(b"x"), Err(Misuse::Phase.into()));

        let mut pair = new().establish();
        pair.client_writes(b"some of it");
        pair.server.closed = true;
        pair.run();
        assert_eq!(pair.server.data, b"some of it");
        assert_eq!(pair.server.last(), Err(Error::Truncated));
    }
}

#[test]
fn a_close_at_every_octet_is_an_error() {
    let pki = Pki::default();
    let mut pair = Pair::new("smtp", pki.client(&TLS13), pki.server(), Cut::default());
    // What the server sends in the whole of the negotiation and the handshake.
    let mut ends = 0;
    for limit in 0.. {
        let mut left = limit;
        let mut fresh = Pair::new("smtp", pki.client(&TLS13), pki.server(), Cut::default());
        let mut last;
        loop {
            last = fresh.client.session.process();
            match last {
                Ok(Event::NeedInput) => {
                    let reply = fresh.server_says(&mut left);
                    let n = reply.len();
                    fresh.client.session.spare_mut()[..n].copy_from_slice(&reply);
                    fresh.client.session.received(n).unwrap();
                }
                Ok(Event::Transmit) => {
                    let octets = fresh.client.session.transmit().to_vec();
                    fresh.client.session.transmitted(octets.len()).unwrap();
                    fresh.server.wire.extend(octets);
                }
                _ => break,
            }
        }
        match last {
            Ok(Event::Established) => break,
            Err(Error::Closed | Error::ClosedInHandshake) => ends += 1,
            other => panic!("closed after {limit} octets: {other:?}"),
        }
    }
    assert!(ends > 500, "{ends}");
    pair.run();
    assert!(pair.client.is_up());
}

#[test]
fn parameters_are_exposed() {
    let pki = Pki::default();
    let pair = Pair::new("smtp", pki.client(&TLS13), pki.server(), Cut::default()).establish();
    let session = &pair.client.session;
    assert_eq!(session.version(), Some(Version::Tls13));
    assert_eq!(session.suite(), Some("TLS13_AES_256_GCM_SHA384"));
    assert_eq!(session.group(), Some("X25519MLKEM768"));
    assert_eq!(session.security(), Some(Security::Authenticated));
    assert_eq!(session.alpn(), None);
    assert_eq!(session.peer_certificates().count(), 1);
    assert!(!session.resumed());
    let anonymous = Security::Unauthenticated(TlsError::NoCertificate);
    assert_eq!(pair.server.session.security(), Some(anonymous));
}

#[test]
fn sessions_resume() {
    let pki = Pki::default();
    for version in VERSIONS {
        let (client, server) = (pki.client(version), pki.server());
        let new = || Pair::new("smtp", client.clone(), server.clone(), Cut::default()).establish();
        let mut first = new();
        // Tickets are taken in without the caller.
        first.server_writes(b"x");
        assert!(!first.client.session.resumed());
        let second = new();
        assert!(second.client.session.resumed() && second.server.session.resumed());
        assert_eq!(second.client.session.peer_certificates().count(), 1);
    }
}

#[test]
fn client_certificates() {
    let pki = Pki::default();
    for version in VERSIONS {
        let client = pki.client_with_certificate(version);
        let pair = Pair::new("smtp", client, pki.server_asking(), Cut::default()).establish();
        assert_eq!(pair.server.session.security(), Some(Security::Authenticated));
        assert_eq!(pair.server.session.peer_certificates().count(), 1);

        let mut pair = Pair::new("smtp", pki.client(version), pki.server_asking(), Cut::default());
        pair.run();
        assert_eq!(pair.server.last(), Err(TlsError::NoCertificate.into()));
        assert_eq!(pair.client.last(), Err(TlsError::AlertReceived(116).into()));
    }
}

#[test]
fn application_protocols() {
    let pki = Pki::default();
    let with = |alpn: &str| {
        let mut client = pki.client(&TLS13);
        client.alpn_protocols = vec![alpn.into()];
        let mut server = pki.server();
        server.alpn_protocols = vec![b"one".into()];
        Pair::new("smtps", client, server, Cut::default())
    };
    assert_eq!(with("one").establish().client.session.alpn(), Some(&b"one"[..]));
    let mut pair = with("two");
    pair.run();
    assert_eq!(pair.server.last(), Err(TlsError::Alpn.into()));
    assert_eq!(pair.client.last(), Err(TlsError::AlertReceived(120).into()));
}

/// PostgreSQL's direct TLS is on the port of the upgrade, and only the name tells them apart.
#[test]
fn direct_tls_of_postgresql_is_by_its_name_or_not_at_all() {
    let pki = Pki::default();
    let name = b"postgresql";
    for version in VERSIONS {
        let new = |ours: &[&str], theirs: &[&str]| {
            let [ours, theirs] =
                [ours, theirs].map(|names| names.iter().map(|&name| name.into()).collect());
            let (mut client, mut server) = (pki.client(version), pki.server());
            (client.alpn_protocols, server.alpn_protocols) = (ours, theirs);
            Pair::new("postgresqls", client, server, Cut::default())
        };
        for (ours, theirs) in [(&[][..], &[][..]), (&["x", "postgresql"], &["postgresql", "y"])] {
            let pair = new(ours, theirs).establish();
            assert_eq!(pair.client.session.alpn(), Some(&name[..]));
            assert_eq!(pair.server.session.alpn(), Some(&name[..]));
        }
        // Two that would agree on another name.
        let mut pair = new(&["x", "postgresql"], &["x", "postgresql"]);
        pair.run();
        assert_eq!(pair.client.last(), Err(TlsError::Alpn.into()));
        assert_eq!(pair.server.last(), Err(TlsError::Alpn.into()));
    }
    let (input, output) = (|| vec![0; 64], || vec![0; MIN_SEND_BUFFER]);
    let machine = || Implicit::client(&POSTGRESQL);
    let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
    let client = Session::client(machine(), &tls.without_alpn(), "localhost", input(), output());
    assert_eq!(client.err(), Some(Misuse::TlsConfig.into()));
    let mut config = pki.server();
    config.alpn_protocols = vec![b"other".into()];
    let tls = ServerTls::new(Arc::new(config)).unwrap();
    let server = Session::server(Implicit::server(&POSTGRESQL), &tls, input(), output());
    assert_eq!(server.err(), Some(Misuse::TlsConfig.into()));
}

/// A peer that leaves the name out is refused, by either side.
#[test]
fn direct_tls_of_postgresql_with_a_peer_that_names_nothing() {
    let pki = Pki::default();
    for version in VERSIONS {
        let tls = ClientTls::new(Arc::new(pki.client(version)));
        let (c, s) = (Implicit::client(&POSTGRESQL), Implicit::server(&SMTP));
        let mut pair = Pair::of(c, s, &tls, pki.server(), Cut::default());
        pair.run();
        assert_eq!(pair.client.last(), Err(TlsError::Alpn.into()));
        assert_eq!(pair.server.last(), Ok(Event::PeerClosed));
        let (c, s) = (Implicit::client(&SMTP), Implicit::server(&POSTGRESQL));
        let mut pair = Pair::of(c, s, &tls, pki.server(), Cut::default());
        pair.run();
        assert_eq!(pair.server.last(), Err(TlsError::Alpn.into()));
        assert_eq!(pair.client.last(), Ok(Event::PeerClosed));
    }
}

#[test]
fn certificates_that_do_not_verify() {
    let wrong = Pki::with(|params| params.subject_alt_names.clear());
    let expired = Pki::with(|params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let early = Pki::with(|params| params.not_before = rcgen::date_time_ymd(2200, 1, 1));
    let (good, other) = (Pki::default(), Pki::default());
    for (client, server, error) in [
        (&wrong, &wrong, TlsError::WrongName),
        (&expired, &expired, TlsError::Expired),
        (&early, &early, TlsError::NotValidYet),
        (&other, &good, TlsError::UnknownIssuer),
    ] {
        for version in VERSIONS {
            let cut = Cut { send: MIN_SEND_BUFFER, chunk: 50, ..Cut::default() };
            let mut pair = Pair::new("smtp", client.client(version), server.server(), cut);
            pair.run();
            assert_eq!(pair.client.last(), Err(error.into()));
            assert!(pair.client.session.tls_error().is_some());
            // The alert went out, so the server knows too.
            let Err(Error::Tls(TlsError::AlertReceived(_))) = pair.server.last() else {
                panic!("{:?}", pair.server.last());
            };

            // Opportunistic: the same, accepted, and called what it is.
            let config = Arc::new(client.client(version));
            let tls = ClientTls::opportunistic(config, client.verifier());
            let pair = Pair::with("smtp", &tls, server.server(), cut).establish();
            assert_eq!(pair.client.session.security(), Some(Security::Unauthenticated(error)));
        }
    }
    let tls = ClientTls::opportunistic(Arc::new(good.client(&TLS13)), good.verifier());
    for _ in 0..2 {
        let mut pair = Pair::with("smtp", &tls, good.server(), Cut::default()).establish();
        pair.server_writes(b"x");
        assert_eq!(pair.client.session.security(), Some(Security::Authenticated));
        assert!(!pair.client.session.resumed());
    }
}

#[test]
fn early_data_is_refused() {
    let mut server = Pki::default().server();
    server.max_early_data_size = 1;
    assert_eq!(ServerTls::new(Arc::new(server)).err(), Some(Misuse::TlsConfig.into()));
}

#[test]
fn a_buffer_below_a_record_is_the_callers_error() {
    let pki = Pki::default();
    let cut = Cut { receive: 4096, send: 40_000, ..Cut::default() };
    let mut pair = Pair::new("smtp", pki.client(&TLS13), pki.server(), cut).establish();
    pair.server_writes(&pattern(4000));
    assert_eq!(pair.client.data.len(), 4000);
    pair.server_writes(&pattern(5000));
    assert_eq!(pair.client.last(), Err(Misuse::BufferTooSmall(5000 + 22).into()));
}

#[test]
fn plaintext_where_tls_should_be() {
    let pki = Pki::default();
    for garbage in
        [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"\x16\x02\x00\x00\x01x", b"\x16\x03\x03\xff\xff"]
    {
        let mut pair = Pair::new("smtps", pki.client(&TLS13), pki.server(), Cut::default());
        assert_eq!(pair.client.session.process(), Ok(Event::Transmit));
        pair.client.wire.extend(garbage);
        pair.client.events.clear();
        let mut lost = Default::default();
        pair.client_turn(&mut lost);
        assert_eq!(pair.client.last(), Err(TlsError::NotTls.into()), "{garbage:?}");
        assert!(!lost.is_empty(), "the alert");
    }
}

/// A verifier that likes the certificate and finds the signature forged.
#[derive(Debug)]
struct Forged(Arc<rustls::client::WebPkiServerVerifier>);

impl ServerCertVerifier for Forged {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let inner = &self.0;
        inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::CertificateError::BadSignature.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[test]
fn a_good_certificate_without_its_key_authenticates_nobody() {
    let pki = Pki::default();
    for version in VERSIONS {
        let config = Arc::new(pki.client(version));
        let tls = ClientTls::opportunistic(config, Arc::new(Forged(pki.verifier())));
        let pair = Pair::with("smtp", &tls, pki.server(), Cut::default()).establish();
        let unauthenticated = Security::Unauthenticated(TlsError::Certificate);
        assert_eq!(pair.client.session.security(), Some(unauthenticated));
    }
}
