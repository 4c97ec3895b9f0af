//! Records that no honest peer sends, in both roles: each ends in a typed error, or in nothing, in
//! bounded memory. Nothing of it is data.

use std::io::Write;

use rustls::version::{TLS12, TLS13};
use rustls::{ContentType, SupportedProtocolVersion};
use starttls::Error;
use starttls::error::{Misuse, TlsError};
use starttls::negotiate::Negotiate;
use starttls::protocol::{ClientMachine, ServerMachine};
use starttls::session::{Event, RECEIVE_BUFFER};
use starttls_tests::hostile::Hostile;
use starttls_tests::pki::Pki;
use starttls_tests::sessions::machines;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

const ALERT: ContentType = ContentType::Alert;
const HANDSHAKE: ContentType = ContentType::Handshake;
const DATA: ContentType = ContentType::ApplicationData;

const WAITS: Result<Event, Error> = Ok(Event::NeedInput);
const MISBEHAVED: Result<Event, Error> = Err(Error::Tls(TlsError::PeerMisbehaved));
const NOT_TLS: Result<Event, Error> = Err(Error::Tls(TlsError::NotTls));
const NOT_GENUINE: Result<Event, Error> = Err(Error::Tls(TlsError::Decrypt));

fn alert(number: u8) -> Result<Event, Error> {
    Err(TlsError::AlertReceived(number).into())
}

/// Our client, whose server does as the test says.
fn client(
    pki: &Pki,
    version: &'static SupportedProtocolVersion,
) -> Hostile<ClientMachine<'static>> {
    Hostile::server(machines("smtps").0, pki.client(version), pki.server())
}

/// Our server, whose client does.
fn server(
    pki: &Pki,
    version: &'static SupportedProtocolVersion,
) -> Hostile<ServerMachine<'static>> {
    Hostile::client(machines("smtps").1, pki.client(version), pki.server())
}

/// Gives what the test says to both roles on established channels.
fn both(test: impl Fn(&mut dyn Peer, bool, &'static str)) {
    let pki = Pki::default();
    for version in VERSIONS {
        let tls13 = version == &TLS13;
        test(&mut client(&pki, version).established(), tls13, "to the client");
        test(&mut server(&pki, version).established(), tls13, "to the server");
    }
}

/// A [`Hostile`] of either role.
trait Peer {
    fn forged(&mut self, kind: ContentType, content: &[u8]) -> Result<Event, Error>;
    fn feed(&mut self, octets: &[u8]) -> Result<Event, Error>;
    fn end(&mut self) -> Result<Event, Error>;
    fn said(&mut self) -> Vec<u8>;
    fn data(&self) -> &[u8];
    fn write(&mut self) -> Result<usize, Error>;
}

impl<N: Negotiate> Peer for Hostile<N> {
    fn forged(&mut self, kind: ContentType, content: &[u8]) -> Result<Event, Error> {
        self.forged(kind, content)
    }
    fn feed(&mut self, octets: &[u8]) -> Result<Event, Error> {
        self.feed(octets)
    }
    fn end(&mut self) -> Result<Event, Error> {
        self.end()
    }
    fn said(&mut self) -> Vec<u8> {
        self.said()
    }
    fn data(&self) -> &[u8] {
        &self.data
    }
    fn write(&mut self) -> Result<usize, Error> {
        self.ours.write(b"x")
    }
}

#[test]
fn what_is_forged_is_read() {
    // The other tests mean something only if the keys are right.
    both(|peer, _, role| {
        for round in 0..3u8 {
            assert_eq!(peer.forged(DATA, &[round; 5]), WAITS, "{role}");
        }
        assert_eq!(peer.data(), [[0; 5], [1; 5], [2; 5]].concat());
        assert_eq!(peer.forged(ALERT, &[1, 0]), Ok(Event::PeerClosed), "{role}");
        // What follows is dropped, however much it is (RFC 8446 §6.1).
        assert_eq!(peer.forged(DATA, b"late"), Ok(Event::PeerClosed), "{role}");
        assert_eq!(peer.feed(&[0; 3 * RECEIVE_BUFFER]), Ok(Event::PeerClosed), "{role}");
        assert_eq!(peer.data().len(), 15);
        assert_eq!(peer.end(), Ok(Event::Closed), "{role}");
    });
}

/// All that our side says to `octets`, which come at once and are the last.
fn events<N: Negotiate>(peer: &mut Hostile<N>, octets: &[u8]) -> Vec<Result<Event, Error>> {
    peer.ours.spare_mut()[..octets.len()].copy_from_slice(octets);
    peer.ours.received(octets.len()).unwrap();
    let mut events = Vec::new();
    while events.len() < 10 {
        events.push(peer.ours.process());
        match events.last() {
            Some(Ok(Event::Data)) => {
                let mut buffer = [0; 100];
                let n = peer.ours.read(&mut buffer);
                peer.data.extend_from_slice(&buffer[..n]);
            }
            Some(Ok(Event::Established)) => {}
            Some(Ok(Event::Transmit)) => {
                peer.ours.transmitted(peer.ours.transmit().len()).unwrap();
            }
            _ => break,
        }
    }
    events
}

#[test]
fn data_and_the_end_may_come_with_the_end_of_the_handshake() {
    let pki = Pki::default();
    let expected = [Ok(Event::Established), Ok(Event::Data), Ok(Event::PeerClosed)];
    let last_words = |theirs: &mut rustls::Connection| {
        theirs.writer().write_all(b"last words").unwrap();
        theirs.send_close_notify();
    };
    // Our client. In TLS 1.3 the server need not wait for its Finished.
    for version in VERSIONS {
        let mut config = pki.server();
        config.send_half_rtt_data = true;
        let mut peer = Hostile::server(machines("smtps").0, pki.client(version), config);
        assert_eq!(peer.feed(&[]), WAITS);
        let mut flight = peer.answer();
        if version == &TLS12 {
            assert_eq!(peer.feed(&flight), WAITS);
            flight = peer.answer();
        }
        last_words(peer.theirs.as_mut().unwrap());
        flight.extend(peer.answer());
        assert_eq!(events(&mut peer, &flight), expected, "{version:?}");
        assert_eq!(peer.data, b"last words");
    }
    // Our server.
    let mut peer = server(&pki, &TLS13);
    let hello = peer.answer();
    assert_eq!(peer.feed(&hello), WAITS);
    let mut finished = peer.answer();
    last_words(peer.theirs.as_mut().unwrap());
    finished.extend(peer.answer());
    assert_eq!(events(&mut peer, &finished), expected);
    assert_eq!(peer.data, b"last words");
}

#[test]
fn fatal_alerts() {
    for number in [10, 20, 40, 46, 80, 90, 255] {
        both(|peer, _, role| {
            assert_eq!(peer.forged(ALERT, &[2, number]), alert(number), "{role}");
            // It is the end, whatever comes.
            assert_eq!(peer.forged(DATA, b"more"), alert(number), "{role}");
            assert_eq!(peer.write(), Err(TlsError::AlertReceived(number).into()), "{role}");
            assert_eq!(peer.data(), b"");
        });
    }
}

#[test]
fn warning_alerts_are_few() {
    both(|peer, tls13, role| {
        // user_canceled, and in TLS 1.2 anything else (RFC 8446 §6.1, RFC 5246 §7.2.2).
        let number = if tls13 { 90 } else { 41 };
        for _ in 0..4 {
            assert_eq!(peer.forged(ALERT, &[1, number]), WAITS, "{role}");
        }
        assert_eq!(peer.forged(DATA, b"still here"), WAITS, "{role}");
        assert_eq!(peer.data(), b"still here");
        assert_eq!(peer.forged(ALERT, &[1, number]), MISBEHAVED, "{role}");
    });
    both(|peer, tls13, role| {
        let expected = if tls13 { alert(41) } else { WAITS };
        assert_eq!(peer.forged(ALERT, &[1, 41]), expected, "{role}");
    });
}

#[test]
fn malformed_alerts() {
    for content in [&b""[..], b"\x02", b"\x02\x28\x00", b"\x01\x00\x01\x00"] {
        both(|peer, _, role| {
            let end = peer.forged(ALERT, content);
            assert_eq!(end, MISBEHAVED, "{role} {content:?}");
            assert!(!peer.said().is_empty(), "our alert");
        });
    }
    both(|peer, _, role| assert_eq!(peer.forged(ALERT, &[3, 40]), alert(40), "{role}"));
}

#[test]
fn renegotiation_is_declined() {
    const HELLO_REQUEST: &[u8] = &[0, 0, 0, 0];
    let pki = Pki::default();
    let mut peer = client(&pki, &TLS12).established();
    // One no_renegotiation in answer, and then no patience (RFC 5246 §7.4.1.1).
    peer.said();
    assert_eq!(peer.forged(HANDSHAKE, HELLO_REQUEST), WAITS);
    assert_eq!(peer.said()[..3], [21, 3, 3], "an alert");
    assert_eq!(peer.forged(DATA, b"still here"), WAITS);
    assert_eq!(peer.data, b"still here");
    assert_eq!(peer.forged(HANDSHAKE, HELLO_REQUEST), MISBEHAVED);

    for end in [
        client(&pki, &TLS13).established().forged(HANDSHAKE, HELLO_REQUEST),
        server(&pki, &TLS12).established().forged(HANDSHAKE, HELLO_REQUEST),
        server(&pki, &TLS13).established().forged(HANDSHAKE, HELLO_REQUEST),
    ] {
        assert_eq!(end, MISBEHAVED);
    }
}

#[test]
fn handshake_messages_out_of_place() {
    // ServerHelloDone, Finished, a type nobody knows, a change_cipher_spec.
    for content in [&[14, 0, 0, 0][..], &[20, 0, 0, 0], &[99, 0, 0, 0]] {
        both(|peer, _, role| {
            assert_eq!(peer.forged(HANDSHAKE, content), MISBEHAVED, "{role} {content:?}");
            assert_eq!(peer.forged(DATA, b"x"), MISBEHAVED, "{role}");
            assert_eq!(peer.data(), b"");
        });
    }
    both(|peer, _, role| {
        assert_eq!(peer.forged(ContentType::ChangeCipherSpec, &[1]), MISBEHAVED, "{role}");
    });
    both(|peer, _, role| {
        assert_eq!(peer.forged(ContentType::Heartbeat, b"\x01\x40\x00"), NOT_TLS, "{role}");
    });
}

#[test]
fn a_record_is_as_long_as_it_may_be_and_no_longer() {
    let most = vec![b'x'; 1 << 14];
    both(|peer, _, role| {
        assert_eq!(peer.forged(DATA, &most), WAITS, "{role}");
        assert_eq!(peer.data(), most);
        let more = vec![b'x'; (1 << 14) + 1];
        assert_eq!(peer.forged(DATA, &more), MISBEHAVED, "{role}");
        assert_eq!(peer.data(), most);
        // record_overflow (RFC 8446 §5.2).
        assert!(!peer.said().is_empty(), "our alert");
    });
    both(|peer, _, role| {
        let header = [23, 3, 3, 0x48, 0x01];
        assert_eq!(peer.feed(&header), NOT_TLS, "{role}");
    });
}

#[test]
fn empty_records_are_no_data_and_few() {
    both(|peer, _, role| {
        for round in 0..3 {
            for _ in 0..32 {
                assert_eq!(peer.forged(DATA, b""), WAITS, "{role}");
            }
            assert_eq!(peer.data().len(), round, "an empty record is no end of data");
            assert_eq!(peer.forged(DATA, b"x"), WAITS, "{role}");
        }
        for _ in 0..32 {
            assert_eq!(peer.forged(DATA, b""), WAITS, "{role}");
        }
        assert_eq!(peer.forged(DATA, b""), MISBEHAVED, "{role}");
        assert_eq!(peer.data(), b"xxx");
    });
    // The same for handshake messages: it is a fragment of one that is counted.
    both(|peer, _, role| {
        let ends: Vec<_> = (0..33).map(|_| peer.forged(HANDSHAKE, b"")).collect();
        assert_eq!((ends[31], ends[32]), (WAITS, MISBEHAVED), "{role}");
    });
}

#[test]
fn plaintext_records_behind_the_handshake() {
    for record in [
        &[21, 3, 3, 0, 2, 1, 0][..], // close_notify: never a clean end
        &[21, 3, 3, 0, 2, 2, 40],
        &[23, 3, 3, 0, 5, b'h', b'e', b'l', b'l', b'o'],
        &[22, 3, 3, 0, 4, 0, 0, 0, 0],
        &[20, 3, 3, 0, 1, 1],
    ] {
        both(|peer, _, role| {
            let end = peer.feed(record);
            let expected = match record[0] {
                // Never encrypted in TLS 1.3, and out of place in both.
                20 => MISBEHAVED,
                _ => NOT_GENUINE,
            };
            assert_eq!(end, expected, "{role} {record:?}");
            assert_eq!(peer.end(), expected, "{role}");
            assert_eq!(peer.data(), b"");
        });
    }
}

#[test]
fn a_handshake_message_that_never_ends() {
    // NewSessionTicket, said to have 16 MB: not one octet of it is waited for.
    both(|peer, _, role| {
        assert_eq!(peer.forged(HANDSHAKE, &[4, 0xff, 0xff, 0xff]), MISBEHAVED, "{role}");
    });
    // Of a legal length, and longer than the buffer: a typed error, and no more memory.
    both(|peer, _, role| {
        let mut end = peer.forged(HANDSHAKE, &[4, 0, 0xff, 0]);
        for _ in 0..100 {
            if end.is_ok() {
                end = peer.forged(HANDSHAKE, &[0; 1000]);
            }
        }
        let Err(Error::Misuse(Misuse::BufferTooSmall(need))) = end else {
            panic!("{role} {end:?}");
        };
        assert!((RECEIVE_BUFFER + 1..RECEIVE_BUFFER + 2000).contains(&need), "{need}");
    });
}

#[test]
fn plaintext_alerts_in_the_handshake() {
    let pki = Pki::default();
    for version in VERSIONS {
        let new = || {
            let mut peer = client(&pki, version);
            assert_eq!(peer.feed(&[]), WAITS);
            peer
        };
        assert_eq!(new().feed(&[21, 3, 3, 0, 2, 2, 40]), alert(40));
        // An end is an end, though anyone could have said so; never a clean one.
        for level in [1, 2] {
            let mut peer = new();
            assert_eq!(peer.feed(&[21, 3, 3, 0, 2, level, 0]), Err(Error::ClosedInHandshake));
            assert_eq!(peer.data(), b"");
        }
        // Other warnings change nothing.
        let mut peer = new();
        let ends: Vec<_> = (0..5).map(|_| peer.feed(&[21, 3, 3, 0, 2, 1, 112])).collect();
        assert_eq!(ends, [WAITS, WAITS, WAITS, WAITS, MISBEHAVED]);
    }
    for (record, expected) in [
        (&[21, 3, 3, 0, 2, 2, 40][..], alert(40)),
        (&[21, 3, 3, 0, 2, 1, 0], Err(Error::ClosedInHandshake)),
    ] {
        let mut peer = server(&pki, &TLS13);
        assert_eq!(peer.feed(record), expected);
        assert_eq!(peer.end(), expected);
    }
}

#[test]
fn other_records_in_the_handshake() {
    let pki = Pki::default();
    for (record, expected) in [
        (&[23, 3, 3, 0, 1, 0][..], MISBEHAVED),
        (&[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff], MISBEHAVED),
        (&[22, 3, 3, 0, 4, 14, 0, 0, 0], MISBEHAVED),
        (&[22, 3, 3, 0, 0], MISBEHAVED),
        (&[20, 3, 3, 0, 1, 2], MISBEHAVED),
        (&[24, 3, 3, 0, 1, 1], NOT_TLS),
        (&[25, 3, 3, 0, 1, 1], NOT_TLS),
    ] {
        let mut peer = client(&pki, &TLS13);
        assert_eq!(peer.feed(record), expected, "{record:?}");
        assert!(peer.data.is_empty() && !peer.ours.is_established());
        let mut peer = server(&pki, &TLS13);
        assert_eq!(peer.feed(record), expected, "{record:?}");
    }
}

#[test]
fn the_handshake_does_not_wait_for_ever_on_what_means_nothing() {
    let pki = Pki::default();
    let mut peer = client(&pki, &TLS13);
    let ends: Vec<_> = (0..100).map(|_| peer.feed(&[20, 3, 3, 0, 1, 1])).collect();
    assert_eq!(ends.last(), Some(&MISBEHAVED), "{ends:?}");
}

#[test]
fn a_server_that_goes_silent_behind_any_record() {
    let pki = Pki::default();
    for (version, records) in [(&TLS12, 1), (&TLS13, 2)] {
        for stop in 1.. {
            let mut peer = client(&pki, version);
            assert_eq!(peer.feed(&[]), WAITS);
            let flight = peer.answer();
            let (mut at, mut fed) = (0, 0);
            while at < flight.len() && fed < stop {
                at += 5 + usize::from(u16::from_be_bytes([flight[at + 3], flight[at + 4]]));
                fed += 1;
            }
            assert_eq!(peer.feed(&flight[..at]), WAITS);
            if peer.ours.is_established() || fed < stop {
                assert!(stop > records, "{stop} of {records} records");
                break;
            }
            assert_eq!(peer.end(), Err(Error::ClosedInHandshake));
        }
    }
}
