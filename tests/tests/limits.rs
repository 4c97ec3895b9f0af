//! Buffers of exactly the documented size, and peers that go to every limit TLS has.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConnection, SupportedProtocolVersion};
use starttls::error::{Error, Misuse, TlsError};
use starttls::negotiate::{self, Negotiate, Next};
use starttls::protocol::{Row, SMTP};
use starttls::session::{Event, RECEIVE_BUFFER, Session};
use starttls::tls::{ClientTls, ServerTls};
use starttls::wire::{Frame, Out};
use starttls_tests::pki::{NAME, Pki};
use starttls_tests::sessions::{Cut, Heap, Pair, machines};

/// The receive buffer that any record of TLS 1.3 fits.
const TLS13_BUFFER: usize = 16_645;

/// Our end, over implicit TLS, by hand.
struct Ours<N> {
    session: Heap<N>,
    data: usize,
}

impl<N: Negotiate> Ours<N> {
    /// Gives `octets` to it as it has room, until it says something other than what is expected of
    /// an open channel.
    fn feed(&mut self, mut octets: &[u8]) -> Result<Event, Error> {
        loop {
            let event = self.session.process();
            match event {
                Ok(Event::Data) => self.data += self.session.lend(|data| data.len()),
                Ok(Event::NeedInput) if !octets.is_empty() => {
                    let spare = self.session.spare_mut();
                    let n = spare.len().min(octets.len());
                    spare[..n].copy_from_slice(&octets[..n]);
                    self.session.received(n).unwrap();
                    octets = &octets[n..];
                }
                Ok(Event::Established) => {}
                Ok(Event::Transmit) => return event,
                _ => return event,
            }
        }
    }
}

fn ours(
    pki: &Pki,
    version: &'static SupportedProtocolVersion,
    buffer: usize,
) -> Ours<starttls::protocol::ClientMachine<'static>> {
    let tls = ClientTls::new(Arc::new(pki.client(version)));
    let (input, output) = (vec![0; buffer], vec![0; 4096]);
    let session = Session::client(machines("smtps").0, &tls, NAME, input, output).unwrap();
    Ours { session, data: 0 }
}

/// Runs the handshake of `ours` with a buffered server.
fn handshake<N: Negotiate>(ours: &mut Ours<N>, theirs: &mut ServerConnection) {
    while !ours.session.is_established() || theirs.is_handshaking() {
        let octets = from(theirs);
        let event = ours.feed(&octets).unwrap();
        assert!(matches!(event, Event::NeedInput | Event::Transmit), "{event:?}");
        to(ours, theirs);
    }
}

fn from(theirs: &mut ServerConnection) -> Vec<u8> {
    let mut octets = Vec::new();
    while theirs.wants_write() {
        theirs.write_tls(&mut octets).unwrap();
    }
    octets
}

fn to<N: Negotiate>(ours: &mut Ours<N>, theirs: &mut ServerConnection) {
    while !ours.session.transmit().is_empty() {
        let mut octets = ours.session.transmit();
        let n = theirs.read_tls(&mut octets).unwrap();
        ours.session.transmitted(n).unwrap();
        theirs.process_new_packets().unwrap();
        let _ = theirs.reader().read(&mut [0; 4096]);
    }
}

#[test]
fn the_largest_record_fits_the_documented_buffer() {
    let pki = Pki::default();
    for (version, buffer, overhead) in
        [(&TLS12, 16_384 + 5 + 24, 24), (&TLS13, 16_384 + 5 + 17, 17), (&TLS13, TLS13_BUFFER, 17)]
    {
        let mut ours = ours(&pki, version, buffer);
        let mut theirs = ServerConnection::new(Arc::new(pki.server())).unwrap();
        handshake(&mut ours, &mut theirs);
        for round in 1..=3 {
            theirs.writer().write_all(&[b'x'; 16_384]).unwrap();
            let octets = from(&mut theirs);
            assert!(octets.len() >= 16_384 + 5 + overhead);
            // Tickets may stand before the first.
            assert_eq!(ours.feed(&octets), Ok(Event::NeedInput));
            assert_eq!(ours.data, round * 16_384);
        }
        // One octet less, and it is the caller's error, with the octets that would do.
        let mut short = self::ours(&pki, version, 16_384 + 5 + overhead - 1);
        let mut theirs = ServerConnection::new(Arc::new(pki.server())).unwrap();
        handshake(&mut short, &mut theirs);
        theirs.writer().write_all(&[b'x'; 16_384]).unwrap();
        let octets = from(&mut theirs);
        let need = Misuse::BufferTooSmall(16_384 + 5 + overhead);
        assert_eq!(short.feed(&octets), Err(need.into()));
    }
}

/// What no implementation sends and the RFCs allow: a header that announces as much as it may.
#[test]
fn the_longest_header_is_waited_for() {
    let pki = Pki::default();
    for (version, buffer, longest) in
        [(&TLS12, RECEIVE_BUFFER, 18_431_u16), (&TLS13, TLS13_BUFFER, 16_640)]
    {
        let mut ours = ours(&pki, version, buffer);
        let mut theirs = ServerConnection::new(Arc::new(pki.server())).unwrap();
        handshake(&mut ours, &mut theirs);
        let octets = from(&mut theirs);
        assert_eq!(ours.feed(&octets), Ok(Event::NeedInput));
        let mut record = vec![23, 3, 3];
        record.extend(longest.to_be_bytes());
        record.resize(5 + usize::from(longest), 0);
        let (last, start) = record.split_last().unwrap();
        assert_eq!(ours.feed(start), Ok(Event::NeedInput));
        assert!(!ours.session.spare_mut().is_empty());
        assert_eq!(ours.feed(&[*last]), Err(TlsError::Decrypt.into()));
    }
}

/// A certificate of `length` octets and more.
fn large(length: usize) -> Pki {
    Pki::with(|params| {
        let extension =
            rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![7; length]);
        params.custom_extensions.push(extension);
    })
}

#[test]
fn a_certificate_that_spans_records_needs_a_buffer_for_them() {
    let pki = large(60_000);
    for version in [&TLS12, &TLS13] {
        let cut = Cut { receive: 1 << 16, ..Cut::default() };
        for chunk in [1, 1000, usize::MAX] {
            let cut = Cut { chunk, ..cut };
            let mut pair = Pair::new("smtp", pki.client(version), pki.server(), cut).establish();
            pair.client_writes(b"there");
            pair.server_writes(b"back");
            assert_eq!(
                (&pair.server.data[..], &pair.client.data[..]),
                (&b"there"[..], &b"back"[..])
            );
        }
        // With less it is told how much there has to be, and nothing else is wrong.
        let mut receive = RECEIVE_BUFFER;
        let mut tries = 0;
        loop {
            let cut = Cut { receive, ..Cut::default() };
            let mut pair = Pair::new("smtp", pki.client(version), pki.server(), cut);
            pair.run();
            match pair.client.last() {
                Err(Error::Misuse(Misuse::BufferTooSmall(need))) => {
                    assert!(need > receive);
                    receive = need;
                    tries += 1;
                }
                last => {
                    assert_eq!(last, Ok(Event::Established));
                    break;
                }
            }
        }
        assert!((3..=8).contains(&tries), "at most for each header and each record: {tries}");
        assert!((60_000..1 << 16).contains(&receive), "{receive}");
    }
}

#[test]
fn a_hello_retry_request_in_both_roles_and_any_pieces() {
    let pki = Pki::default();
    let (first, second) = (kx_group::SECP384R1, kx_group::X25519);
    for chunk in [1, 7, usize::MAX] {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![first, second];
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_webpki_verifier(pki.verifier())
            .with_no_client_auth();
        provider.kx_groups = vec![second];
        let cut = Cut { chunk, send: 64, ..Cut::default() };
        let mut pair = Pair::new("smtp", client, pki.server_with(provider), cut).establish();
        assert_eq!(pair.client.session.group(), Some("X25519"));
        pair.client_writes(b"there");
        pair.server_writes(b"back");
        assert_eq!((&pair.server.data[..], &pair.client.data[..]), (&b"there"[..], &b"back"[..]));
    }
}

/// A client whose ticket once allowed early data, at a server of ours that takes none. rustls tries
/// what it cannot decrypt again with each record that follows, and each try counts against the
/// 16,384 octets it is ready to skip, so more than a half of that ends the handshake.
#[test]
fn early_data_is_skipped_and_never_data() {
    let pki = Pki::default();
    let mut config = pki.client(&TLS13);
    config.enable_early_data = true;
    let client = Arc::new(config);
    let mut allowing = pki.server();
    allowing.max_early_data_size = 16_384;
    for (length, chunk, skipped) in
        [(1, usize::MAX, true), (100, 1, true), (5000, 7, true), (16_000, 1000, false)]
    {
        // A ticket, from a server with early data.
        let name = rustls::pki_types::ServerName::try_from(NAME).unwrap();
        let connect = || rustls::ClientConnection::new(client.clone(), name.clone()).unwrap();
        let mut theirs = connect();
        let mut server = ServerConnection::new(Arc::new(allowing.clone())).unwrap();
        for _ in 0..4 {
            let mut octets = Vec::new();
            while theirs.wants_write() {
                theirs.write_tls(&mut octets).unwrap();
            }
            let mut rest = &octets[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets().unwrap();
            }
            let octets = from(&mut server);
            let mut rest = &octets[..];
            while !rest.is_empty() {
                theirs.read_tls(&mut rest).unwrap();
                theirs.process_new_packets().unwrap();
            }
        }

        let mut theirs = connect();
        theirs.early_data().expect("a ticket").write_all(&vec![b'e'; length]).unwrap();
        // The same server, told to take no early data any more.
        let mut config = allowing.clone();
        config.max_early_data_size = 0;
        let tls = ServerTls::new(Arc::new(config)).unwrap();
        let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 4096]);
        let session = Session::server(machines("smtps").1, &tls, input, output).unwrap();
        let mut ours = Ours { session, data: 0 };
        let mut failed = None;
        for _ in 0..20 {
            let mut octets = Vec::new();
            while theirs.wants_write() {
                theirs.write_tls(&mut octets).unwrap();
            }
            for piece in octets.chunks(chunk) {
                match ours.feed(piece) {
                    Ok(Event::NeedInput | Event::Transmit) => {}
                    Ok(event) => panic!("{event:?}"),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
                let octets = ours.session.transmit().to_vec();
                ours.session.transmitted(octets.len()).unwrap();
                let mut rest = &octets[..];
                while !rest.is_empty() {
                    theirs.read_tls(&mut rest).unwrap();
                    theirs.process_new_packets().unwrap();
                }
            }
        }
        assert_eq!(failed, (!skipped).then_some(TlsError::Decrypt.into()), "{length}");
        assert_eq!(ours.data, 0);
        if !skipped {
            continue;
        }
        assert!(ours.session.is_established() && !theirs.is_early_data_accepted());
        theirs.writer().write_all(b"late").unwrap();
        let mut octets = Vec::new();
        theirs.write_tls(&mut octets).unwrap();
        assert_eq!(ours.feed(&octets), Ok(Event::NeedInput));
        assert_eq!(ours.data, 4);
    }
}

#[test]
fn floods_of_key_updates_end() {
    let pki = Pki::default();
    let mut ours = ours(&pki, &TLS13, RECEIVE_BUFFER);
    let mut theirs = ServerConnection::new(Arc::new(pki.server())).unwrap();
    handshake(&mut ours, &mut theirs);
    let mut rounds = 0;
    let error = loop {
        theirs.refresh_traffic_keys().unwrap();
        let octets = from(&mut theirs);
        match ours.feed(&octets) {
            Ok(event) => assert_eq!(event, Event::NeedInput),
            Err(error) => break error,
        }
        // One answer to all of them, however many there are.
        assert!(ours.session.transmit().len() < 100);
        rounds += 1;
        assert!(rounds < 100);
    };
    assert_eq!(error, TlsError::PeerMisbehaved.into());
}

#[test]
fn an_end_needs_room_to_be_seen() {
    let pki = Pki::default();
    let mut ours = ours(&pki, &TLS13, RECEIVE_BUFFER);
    let room = ours.session.spare_mut().len();
    ours.session.received(room).unwrap();
    assert!(ours.session.spare_mut().is_empty());
    // A read into no room gives 0.
    assert_eq!(ours.session.received(0), Err(Misuse::Count.into()));
}

/// A client whose first message fits no buffer.
struct Endless;

impl Negotiate for Endless {
    type Side = negotiate::Client;

    fn row(&self) -> &'static Row {
        &SMTP
    }

    fn max_frame(&self) -> usize {
        1
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        out.put(&[&[b'x'; (1 << 16) + 1]])?;
        Ok(Next::Frame)
    }

    fn frame(&self, _: &[u8], _: usize) -> Result<Frame, Error> {
        Ok(Frame::Partial)
    }

    fn process(&mut self, _: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Tls)
    }
}

#[test]
fn a_message_that_never_fits_is_an_error_and_no_endless_wait() {
    let tls = ClientTls::new(Arc::new(Pki::default().client(&TLS13)));
    let mut session = Session::client(Endless, &tls, NAME, vec![0; 100], vec![0; 100]).unwrap();
    assert_eq!(session.process(), Err(Misuse::Line.into()));
    assert_eq!(session.process(), Err(Misuse::Line.into()));
    assert!(session.transmit().is_empty());
}
