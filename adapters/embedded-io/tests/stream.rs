//! The encrypted stream, blocking and asynchronous, over transports in memory.
#![cfg(feature = "rustls")]

mod common;

use std::sync::Arc;

use common::{Faults, KINDS, Kind, NAME, Peer, Pki, Wire, buffers, far_client, far_server, wait};
use embedded_io::{Error as _, ErrorKind, ReadReady, WriteReady};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use starttls::error::{Misuse, RefusalKind, TlsError};
use starttls::negotiate::{AllowPlaintext, Negotiate};
use starttls::protocol::smtp;
use starttls::session::{Event, RECEIVE_BUFFER};
use starttls::storage::Storage;
use starttls::tls::{ClientTls, ServerTls};
use starttls_embedded_io::{Buffers, Channel, Error, Stream};

fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

fn server() -> smtp::Server<'static> {
    smtp::Server::new(NAME, &[]).unwrap()
}

fn client_tls(pki: &Pki, version: &'static SupportedProtocolVersion) -> ClientTls {
    ClientTls::new(Arc::new(pki.client(version)))
}

fn data() -> Vec<u8> {
    (0..40_000).map(|at| (at % 251) as u8).collect()
}

fn echoes<P: Peer, N: Negotiate, I: Storage, O: Storage>(
    kind: Kind,
    mut stream: Stream<Wire<P>, N, I, O>,
) -> Wire<P> {
    let data = data();
    assert!(kind.echo(&mut stream, &data).unwrap() == data);
    kind.close(stream).unwrap()
}

#[test]
fn both_roles_and_versions_whatever_the_cuts() {
    for (version, chunk, send) in
        [(&TLS12, 1, 64), (&TLS13, 1, 64), (&TLS12, 1000, 17_000), (&TLS13, usize::MAX, 17_000)]
    {
        for kind in KINDS {
            let pki = Pki::default();
            let faults = Faults { chunk, interrupted: chunk == 1, ..Faults::default() };
            let buffers = || Buffers { receive: vec![0; RECEIVE_BUFFER], send: vec![0; send] };

            let wire = Wire::new(far_server(pki.server()), faults);
            let tls = client_tls(&pki, version);
            let stream = kind.connect(wire, client(), &tls, buffers()).unwrap();
            let wire = echoes(kind, stream);
            assert_eq!(wire.peer.borrow().events.last(), Some(&Ok(Event::PeerClosed)));

            let tls = ServerTls::new(Arc::new(pki.server())).unwrap();
            let wire = Wire::new(far_client(pki.client(version)), faults);
            echoes(kind, kind.accept(wire, server(), &tls, buffers()).unwrap());
        }
    }
}

#[test]
fn the_buffers_are_the_applications() {
    let pki = Pki::default();
    let tls = client_tls(&pki, &TLS13);
    let wire = || Wire::new(far_server(pki.server()), Faults::default());
    for kind in KINDS {
        let arrays = Buffers { receive: [0; 16_645], send: [0; 512] };
        echoes(kind, kind.connect(wire(), client(), &tls, arrays).unwrap());

        let receive: &'static mut [u8] = Box::leak(Box::new([0; 16_645]));
        let send: &'static mut [u8] = Box::leak(Box::new([0; 512]));
        let lent = Buffers { receive: &mut *receive, send: &mut *send };
        echoes(kind, kind.connect(wire(), client(), &tls, lent).unwrap());
        // And they are given back.
        assert_eq!((receive.len(), send.len()), (16_645, 512));
    }
}

#[test]
fn a_record_beyond_the_buffer_is_the_callers_error() {
    let pki = Pki::default();
    for (version, kind) in [(&TLS12, Kind::Blocking), (&TLS13, Kind::Async)] {
        let mut far = far_server(pki.server());
        far.first = vec![7; 9000];
        let wire = Wire::new(far, Faults::default());
        let small = Buffers { receive: [0; 4096], send: [0; 64] };
        let mut stream = kind.connect(wire, client(), &client_tls(&pki, version), small).unwrap();
        kind.write(&mut stream, b"now").unwrap();
        kind.flush(&mut stream).unwrap();
        let error = kind.read(&mut stream, &mut [0; 100]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        let Some(starttls::Error::Misuse(Misuse::BufferTooSmall(need))) = error.session() else {
            panic!("{error:?}");
        };
        assert!((9000..9100).contains(&need), "{need}");
        // It sticks.
        let again = kind.read(&mut stream, &mut [0; 100]).unwrap_err();
        assert_eq!(again.session(), error.session());
    }
}

#[test]
fn a_certificate_that_does_not_verify_is_told_to_both() {
    let (good, stranger) = (Pki::default(), Pki::default());
    let expired = Pki::with(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let elsewhere = Pki::with(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("example.com".try_into().unwrap())];
    });
    for version in [&TLS12, &TLS13] {
        for (served, trusted, why, alert) in [
            (&expired, &expired, TlsError::Expired, 45),
            (&elsewhere, &elsewhere, TlsError::WrongName, 42),
            (&good, &stranger, TlsError::UnknownIssuer, 48),
        ] {
            for kind in KINDS {
                let wire = Wire::new(far_server(served.server()), Faults::default());
                let peer = wire.peer.clone();
                let error = kind.connect(wire, client(), &client_tls(trusted, version), buffers());
                let error = error.unwrap_err();
                assert_eq!(error.session(), Some(why.into()));
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                let Error::Session(failure) = &error else { panic!("{error:?}") };
                assert!(failure.tls().is_some());
                let heard = peer.borrow().events.last().copied();
                assert_eq!(heard, Some(Err(TlsError::AlertReceived(alert).into())));
            }
        }
    }
}

#[test]
fn a_read_sends_nothing_but_an_alert() {
    let pki = Pki::default();
    for kind in KINDS {
        let mut far = far_server(pki.server());
        far.first = b"250 hello\r\n".to_vec();
        let wire = Wire::new(far, Faults::default());
        let (peer, faults) = (wire.peer.clone(), wire.faults.clone());
        let mut stream =
            kind.connect(wire, client(), &client_tls(&pki, &TLS13), buffers()).unwrap();

        // With a record in the send buffer, and a transport that takes nothing.
        kind.write(&mut stream, b"unsent").unwrap();
        faults.set(Faults { stuck: true, ..faults.get() });
        let mut buf = [0; 100];
        let n = kind.read(&mut stream, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"250 hello\r\n");
        assert!(peer.borrow().heard.is_empty());

        // A failing read does not wait for it either.
        stream.get_mut().bring(b"\r\nNO CARRIER\r\n");
        let error = kind.read(&mut stream, &mut buf).unwrap_err();
        assert_eq!(error.session(), Some(TlsError::NotTls.into()));

        // And tells the peer where it can: the next flush sends what is left.
        faults.set(Faults::default());
        kind.flush(&mut stream).unwrap();
        assert_eq!(peer.borrow().heard, b"unsent");
        let last = peer.borrow().events.last().copied();
        assert!(matches!(last, Some(Err(starttls::Error::Tls(TlsError::AlertReceived(_))))));
    }
}

#[test]
fn nothing_leaves_before_a_flush_or_the_next_write() {
    let pki = Pki::default();
    for kind in KINDS {
        let wire = Wire::new(far_server(pki.server()), Faults::default());
        let peer = wire.peer.clone();
        let mut stream =
            kind.connect(wire, client(), &client_tls(&pki, &TLS13), buffers()).unwrap();
        assert_eq!(kind.write(&mut stream, b"one").unwrap(), 3);
        assert!(stream.get_ref().is_silent());
        assert_eq!(kind.write(&mut stream, b"two").unwrap(), 3);
        assert!(!stream.get_ref().is_silent());
        assert!(peer.borrow().heard.is_empty());
        kind.flush(&mut stream).unwrap();
        assert_eq!(peer.borrow().heard, b"onetwo");
        assert_eq!(kind.write(&mut stream, b"").unwrap(), 0);
        assert_eq!(kind.read(&mut stream, &mut []).unwrap(), 0);
    }
}

#[test]
fn ready_means_that_the_next_call_does_not_wait() {
    let pki = Pki::default();
    let wire = Wire::new(far_server(pki.server()), Faults { chunk: 1, ..Faults::default() });
    let faults = wire.faults.clone();
    let kind = Kind::Blocking;
    let mut stream = kind.connect(wire, client(), &client_tls(&pki, &TLS13), buffers()).unwrap();

    assert!(stream.write_ready().unwrap());
    assert_eq!(kind.write(&mut stream, b"hello").unwrap(), 5);
    faults.set(Faults { stuck: true, ..faults.get() });
    assert!(!stream.write_ready().unwrap());
    faults.set(Faults { chunk: 1, ..Faults::default() });
    assert!(stream.write_ready().unwrap());
    assert!(!stream.read_ready().unwrap());
    kind.flush(&mut stream).unwrap();

    // A record that is not complete is not ready, and no octet of it is lost.
    let part = stream.get_mut().hold_back(3);
    assert!(!stream.read_ready().unwrap());
    stream.get_mut().bring(&part);
    assert!(stream.read_ready().unwrap());
    let mut buf = [0; 100];
    let n = kind.read(&mut stream, &mut buf).unwrap();
    assert_eq!(&buf[..n], b"hello");
    assert!(!stream.read_ready().unwrap());

    // The end is something to be read as well.
    faults.set(Faults { ends: Some(0), ..faults.get() });
    assert!(stream.read_ready().unwrap());
    let error = kind.read(&mut stream, &mut buf).unwrap_err();
    assert_eq!(error.session(), Some(starttls::Error::Truncated));
}

#[test]
fn closing_is_told_from_truncation() {
    let pki = Pki::default();
    let tls = client_tls(&pki, &TLS13);
    for kind in KINDS {
        let wire = || Wire::new(far_server(pki.server()), Faults::default());
        let mut stream = kind.connect(wire(), client(), &tls, buffers()).unwrap();
        match kind {
            Kind::Blocking => stream.close_write().unwrap(),
            Kind::Async => wait(stream.close_write_async()).unwrap(),
        }
        let error = kind.write(&mut stream, b"late").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(kind.read(&mut stream, &mut [0; 9]).unwrap(), 0);
        assert_eq!(kind.read(&mut stream, &mut [0; 9]).unwrap(), 0);

        let mut stream = kind.connect(wire(), client(), &tls, buffers()).unwrap();
        kind.write(&mut stream, b"an echo that nobody reads").unwrap();
        assert!(matches!(kind.close(stream), Err(Error::Unread)));

        let stream = kind.connect(wire(), client(), &tls, buffers()).unwrap();
        let faults = &stream.get_ref().faults;
        faults.set(Faults { ends: Some(0), ..faults.get() });
        let Err(error) = kind.close(stream) else { panic!("closed") };
        assert_eq!(error.session(), Some(starttls::Error::Truncated));
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    }
}

#[test]
fn plaintext_is_another_type() {
    use starttls_embedded_io::{
        accept_or_plaintext, accept_or_plaintext_async, connect_or_plaintext,
        connect_or_plaintext_async,
    };
    let pki = Pki::default();
    let tls = client_tls(&pki, &TLS13);
    for kind in KINDS {
        let lines = ["220 x\r\n", "250 x\r\n", "502 x\r\n", "250 in the clear\r\n"];
        let wire = Wire::new(common::Script::new(&lines), Faults::default());
        let channel = match kind {
            Kind::Blocking => {
                connect_or_plaintext(wire, client(), &tls, NAME, buffers(), AllowPlaintext)
            }
            Kind::Async => wait(connect_or_plaintext_async(
                wire,
                client(),
                &tls,
                NAME,
                buffers(),
                AllowPlaintext,
            )),
        };
        let Ok(Channel::Plaintext(mut plain)) = channel else { panic!("secured, or failed") };
        assert_eq!(plain.ahead().why().code, 502);
        kind.write(&mut plain, b"NOOP\r\n").unwrap();
        kind.flush(&mut plain).unwrap();
        let mut buf = [0; 100];
        let n = kind.read(&mut plain, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"250 in the clear\r\n");

        // What a client asked for instead is the first thing read.
        let server_tls = ServerTls::new(Arc::new(pki.server())).unwrap();
        let script = ["EHLO x\r\n", "MAIL FROM:<a@example.org>\r\n", "DATA\r\n"];
        let wire = Wire::new(common::Script::new(&script), Faults::default());
        let channel = match kind {
            Kind::Blocking => {
                accept_or_plaintext(wire, server(), &server_tls, buffers(), AllowPlaintext)
            }
            Kind::Async => wait(accept_or_plaintext_async(
                wire,
                server(),
                &server_tls,
                buffers(),
                AllowPlaintext,
            )),
        };
        let Ok(Channel::Plaintext(mut plain)) = channel else { panic!("secured, or failed") };
        assert_eq!(plain.ahead().why().kind, RefusalKind::NotAsked);
        assert!(plain.read_ready().unwrap());
        let n = kind.read(&mut plain, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"MAIL FROM:<a@example.org>\r\n");
    }
}

#[test]
fn a_refusal_brings_the_untrusted_text() {
    let tls = client_tls(&Pki::default(), &TLS13);
    for kind in KINDS {
        let lines = ["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "454 4.7.0 not today\r\n"];
        let wire = Wire::new(common::Script::new(&lines), Faults { chunk: 1, ..Faults::default() });
        let error = kind.connect(wire, client(), &tls, buffers()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let Error::Session(failure) = error else { panic!("{error:?}") };
        assert_eq!(failure.untrusted_text(), Some(&b"454 4.7.0 not today\r\n"[..]));
    }
}

#[test]
fn a_dropped_future_loses_nothing_over_a_transport_that_keeps_its_own() {
    use embedded_io_async::{Read, Write};
    let pki = Pki::default();
    for polls in 2..5 {
        let wire = Wire::new(far_server(pki.server()), Faults { chunk: 50, ..Faults::default() });
        let tls = client_tls(&pki, &TLS13);
        let mut stream = Kind::Async.connect(wire, client(), &tls, buffers()).unwrap();
        let (data, mut back, mut dropped) = (data(), Vec::<u8>::new(), 0);
        for piece in data.chunks(3000) {
            let mut rest = piece;
            while !rest.is_empty() {
                match few(polls, stream.write(rest)) {
                    Some(n) => rest = &rest[n.unwrap()..],
                    None => dropped += 1,
                }
            }
            while few(polls, stream.flush()).is_none() {
                dropped += 1;
            }
            let end = back.len() + piece.len();
            while back.len() < end {
                let mut buf = [0; 300];
                match few(polls, stream.read(&mut buf)) {
                    Some(n) => back.extend(&buf[..n.unwrap()]),
                    None => dropped += 1,
                }
            }
        }
        assert!(back == data);
        assert!(dropped > 100, "{dropped}");
    }
}

/// Polls a future that many times, and drops it.
fn few<R>(polls: usize, future: impl Future<Output = R>) -> Option<R> {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    })
}
