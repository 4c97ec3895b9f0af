//! What an unbuffered TLS API asks of its user, each rule with the case that breaks without it.
//! The peer is rustls's own buffered connection, so that it can do what our sessions do not.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, ServerConnection};
use starttls::Error;
use starttls::error::{Misuse, TlsError};
use starttls::protocol::ClientMachine;
use starttls::session::{Event, MIN_SEND_BUFFER, RECEIVE_BUFFER, Session};
use starttls::tls::ClientTls;
use starttls_tests::pki::{NAME, Pki};
use starttls_tests::sessions::{Cut, Heap, Pair, machines};

/// Our client over implicit TLS against a buffered server.
struct Mixed {
    ours: Heap<ClientMachine<'static>>,
    theirs: ServerConnection,
    data: Vec<u8>,
}

impl Mixed {
    fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let tls = ClientTls::new(Arc::new(client));
        let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; 4096]);
        let machine = machines("smtps").0;
        Self {
            ours: Session::client(machine, &tls, NAME, input, output).unwrap(),
            theirs: ServerConnection::new(Arc::new(server)).unwrap(),
            data: Vec::new(),
        }
    }

    /// Gives `octets` to our side and runs it; the last thing it said.
    fn feed(&mut self, mut octets: &[u8]) -> Result<Event, Error> {
        loop {
            let event = self.ours.process();
            match event {
                Ok(Event::Data) => {
                    self.ours.lend(|data| {
                        self.data.extend_from_slice(data.octets());
                        data.len()
                    });
                }
                Ok(Event::NeedInput | Event::PeerClosed) if !octets.is_empty() => {
                    let n = self.ours.spare_mut().len().min(octets.len());
                    self.ours.spare_mut()[..n].copy_from_slice(&octets[..n]);
                    self.ours.received(n).unwrap();
                    octets = &octets[n..];
                }
                Ok(Event::Transmit) => self.send(),
                Ok(Event::Established) => {}
                _ => return event,
            }
        }
    }

    /// Our octets to their side.
    fn send(&mut self) {
        while !self.ours.transmit().is_empty() {
            let mut octets = self.ours.transmit();
            let n = self.theirs.read_tls(&mut octets).unwrap();
            self.ours.transmitted(n).unwrap();
            // A failure shows in what they read.
            let _ = self.theirs.process_new_packets();
        }
    }

    /// What their side wants to send.
    fn theirs(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.theirs.wants_write() {
            self.theirs.write_tls(&mut octets).unwrap();
        }
        octets
    }

    fn handshake(&mut self) {
        while !self.ours.is_established() || self.theirs.is_handshaking() {
            let octets = self.theirs();
            assert!(self.feed(&octets).is_ok());
            self.send();
        }
    }

    fn they_read(&mut self) -> Vec<u8> {
        let mut data = vec![0; 100_000];
        let n = self.theirs.reader().read(&mut data).unwrap_or(0);
        data.truncate(n);
        data
    }
}

#[test]
fn a_write_while_a_handshake_message_is_in_pieces() {
    let pki = Pki::default();
    let mut server = pki.server();
    server.max_fragment_size = Some(32);
    let mut whole = Mixed::new(pki.client(&TLS13), server.clone());
    whole.handshake();
    let tickets = whole.theirs().len();
    assert!(tickets > 4 * 32, "tickets span records: {tickets}");
    for cut in 0..tickets {
        let mut pair = Mixed::new(pki.client(&TLS13), server.clone());
        pair.handshake();
        let octets = pair.theirs();
        let (first, rest) = octets.split_at(cut.min(octets.len()));
        assert_eq!(pair.feed(first), Ok(Event::NeedInput));
        // rustls holds a fragment of a ticket, by its place in our buffer.
        assert_eq!(pair.ours.write(b"between"), Ok(7), "cut at {cut}");
        pair.send();
        assert_eq!(pair.they_read(), b"between");
        assert_eq!(pair.feed(rest), Ok(Event::NeedInput), "cut at {cut}");
        pair.theirs.writer().write_all(b"after").unwrap();
        let octets = pair.theirs();
        assert_eq!(pair.feed(&octets), Ok(Event::NeedInput));
        assert_eq!(pair.data, b"after", "cut at {cut}");
        pair.ours.close();
        pair.send();
        assert_eq!(pair.theirs.reader().read(&mut [0; 9]).unwrap(), 0, "a clean end");
    }
}

#[test]
fn a_flight_larger_than_the_send_buffer_is_not_lost() {
    let pki = Pki::default();
    for version in [&TLS12, &TLS13] {
        let cut = Cut { send: MIN_SEND_BUFFER, ..Cut::default() };
        let mut pair = Pair::new("smtps", pki.client(version), pki.server(), cut);
        assert_eq!(pair.client.session.process(), Ok(Event::Transmit));
        assert_eq!(pair.client.session.transmit().len(), MIN_SEND_BUFFER);
        pair.establish();
    }
}

#[test]
fn the_alert_gets_out_and_input_is_not_shown_again() {
    let pki = Pki::default();
    for version in [&TLS12, &TLS13] {
        let mut pair = Mixed::new(pki.client(version), pki.server());
        pair.handshake();
        pair.theirs.writer().write_all(b"good").unwrap();
        let mut octets = pair.theirs();
        assert_eq!(pair.feed(&octets), Ok(Event::NeedInput));
        pair.theirs.writer().write_all(b"evil").unwrap();
        octets = pair.theirs();
        *octets.last_mut().unwrap() ^= 1;
        let good = octets.clone();
        assert_eq!(pair.feed(&octets), Err(TlsError::Decrypt.into()));
        pair.send();
        let error = pair.theirs.process_new_packets().unwrap_err();
        assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
        assert_eq!(pair.feed(&good), Err(TlsError::Decrypt.into()));
        assert_eq!(pair.ours.write(b"x"), Err(TlsError::Decrypt.into()));
        assert_eq!(pair.data, b"good");
    }
}

#[test]
fn being_able_to_write_is_not_being_established() {
    let pki = Pki::default();
    let mut pair = Pair::new("smtps", pki.client(&TLS13), pki.server(), Cut::default());
    let mut hello = Default::default();
    pair.client_turn(&mut hello);
    pair.server.wire = hello;
    let flight = pair.server_says(&mut usize::MAX.clone());
    assert!(flight.len() > 500, "the server's whole flight is out");
    // rustls would let the server write half-RTT data here, to nobody in particular.
    assert!(!pair.server.is_up());
    assert_eq!(pair.server.session.write(b"secret"), Err(Misuse::Phase.into()));
}

#[test]
fn close_notify_finds_its_way_through_a_full_buffer() {
    let pki = Pki::default();
    let cut = Cut { send: MIN_SEND_BUFFER, ..Cut::default() };
    let mut pair = Pair::new("smtps", pki.client(&TLS13), pki.server(), cut).establish();
    while pair.client.session.write(&[b'x'; 100]).unwrap() > 0 {}
    pair.client.session.close();
    pair.run();
    assert!(!pair.server.data.is_empty());
    assert_eq!(pair.server.last(), Ok(Event::PeerClosed));
}

#[test]
fn what_follows_close_notify_is_dropped() {
    let pki = Pki::default();
    for version in [&TLS12, &TLS13] {
        let mut pair = Mixed::new(pki.client(version), pki.server());
        pair.handshake();
        pair.theirs.writer().write_all(b"last words").unwrap();
        pair.theirs.send_close_notify();
        let mut octets = pair.theirs();
        octets.extend(b"\x17\x03\x03\x00\x20 not even a record of this connection");
        assert_eq!(pair.feed(&octets), Ok(Event::PeerClosed));
        // More than the buffer holds: it is not kept either.
        assert_eq!(pair.feed(&[b'x'; 4 * RECEIVE_BUFFER]), Ok(Event::PeerClosed));
        assert_eq!(pair.data, b"last words");
        assert_eq!(pair.ours.write(b"still"), Ok(5));
        pair.send();
        assert_eq!(pair.they_read(), b"still");
    }
}

#[test]
fn keys_are_updated_without_the_caller() {
    let pki = Pki::default();
    let mut pair = Mixed::new(pki.client(&TLS13), pki.server());
    pair.handshake();
    for round in 0..5u8 {
        pair.theirs.refresh_traffic_keys().unwrap();
        pair.theirs.writer().write_all(&[round]).unwrap();
        let octets = pair.theirs();
        assert_eq!(pair.feed(&octets), Ok(Event::NeedInput));
        // The answering key_update goes out before this.
        while pair.ours.write(&[round]).unwrap() == 0 {
            pair.send();
        }
        pair.send();
        assert_eq!(pair.they_read(), [round]);
    }
    assert_eq!(pair.data, [0, 1, 2, 3, 4]);
}

#[test]
fn data_waits_for_the_handshake_that_is_still_to_be_sent() {
    let pki = Pki::default();
    let cut = Cut { send: MIN_SEND_BUFFER, chunk: 20, ..Cut::default() };
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new("smtps", pki.client(version), pki.server(), cut);
        // Writes as soon as it may, with some of the handshake still on its way out.
        let (mut written, mut waited) = (0, false);
        while written < 1000 {
            pair.turn();
            if pair.client.session.is_established() {
                let n = pair.client.session.write(&[b'x'; 1000][written..]).unwrap();
                waited |= n == 0;
                written += n;
            }
        }
        pair.run();
        assert!(waited);
        assert_eq!(pair.server.data.len(), 1000, "{:?}", pair.server.last());
    }
}
