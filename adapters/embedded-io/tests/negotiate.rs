//! The negotiation alone, and whatever TLS library comes behind it.
#![cfg(feature = "rustls")]

mod common;

use std::sync::Arc;

use common::{
    Clock, Faults, KINDS, Kind, NAME, Peer, Pki, Script, Wire, buffers, far_server, wait,
};
use embedded_io::{Error as _, ErrorKind};
use rustls::version::TLS13;
use starttls::error::{Misbehaviour, Misuse, RefusalKind};
use starttls::negotiate::Negotiate;
use starttls::protocol::{Implicit, SMTP, mysql, smtp};
use starttls::tls::ClientTls;
use starttls::wire::MAX_LINE;
use starttls_embedded_io::{
    Error, Negotiated, connect, connect_async, negotiate, negotiate_async, negotiate_async_by,
    negotiate_by,
};

fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

fn run<'b, P: Peer, M: Negotiate>(
    kind: Kind,
    wire: Wire<P>,
    machine: M,
    receive: &'b mut [u8],
    send: &mut [u8],
) -> Result<Negotiated<'b, Wire<P>, M>, Error<ErrorKind>> {
    match kind {
        Kind::Blocking => negotiate(wire, machine, receive, send),
        Kind::Async => wait(negotiate_async(wire, machine, receive, send)),
    }
}

#[test]
fn the_transport_is_handed_to_any_tls_library() {
    let pki = Pki::default();
    for (kind, chunk) in [(Kind::Blocking, 1), (Kind::Async, 1), (Kind::Async, 1000)] {
        let mut far = far_server(pki.server());
        far.first = b"250 inside\r\n".to_vec();
        let faults = Faults { chunk, interrupted: chunk == 1, ..Faults::default() };
        let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
        let wire = Wire::new(far, faults);
        let negotiated = run(kind, wire, client(), &mut receive, &mut send).unwrap();
        // Here rustls again, as if it were another.
        let tls = ClientTls::new(Arc::new(pki.client(&TLS13)));
        let (transport, machine) = (negotiated.transport, Implicit::client(&SMTP));
        let mut buf = [0; 100];
        let n = match kind {
            Kind::Blocking => {
                let mut stream = connect(transport, machine, &tls, NAME, buffers()).unwrap();
                kind.read(&mut stream, &mut buf)
            }
            Kind::Async => {
                let stream = wait(connect_async(transport, machine, &tls, NAME, buffers()));
                kind.read(&mut stream.unwrap(), &mut buf)
            }
        };
        let decrypted = negotiated.tls.decrypted(&buf[..n.unwrap()]);
        assert_eq!(decrypted.octets(), b"250 inside\r\n");
    }
}

#[test]
fn first_records_are_read_first() {
    for kind in KINDS {
        // A request for TLS (protocol 10), and the ClientHello right behind it.
        let request =
            b"\x20\0\0\x01\x00\x8a\0\0\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let mut said = request.to_vec();
        said.extend(b"\x16\x03\x01and so on");
        let wire = Wire::new(Script([said, b"more".to_vec()].into()), Faults::default());
        let machine = mysql::Server::new("8.0.0", [7; 16]).unwrap();
        let (mut receive, mut send) = ([0; 4096], [0; 512]);
        let mut handed = run(kind, wire, machine, &mut receive, &mut send).unwrap().transport;
        assert!(embedded_io::ReadReady::read_ready(&mut handed).unwrap());
        let mut buf = [0; 8];
        let mut read = Vec::<u8>::new();
        for _ in 0..2 {
            let n = kind.read(&mut handed, &mut buf).unwrap();
            read.extend(&buf[..n]);
        }
        assert_eq!(read, b"\x16\x03\x01and so on");
        kind.write(&mut handed, b"ServerHello").unwrap();
        kind.flush(&mut handed).unwrap();
        let n = kind.read(&mut handed, &mut buf).unwrap();
        assert_eq!(&buf[..n], b"more");
    }
}

#[test]
fn refusals_and_misbehaviour_are_told_apart() {
    let cases: [(&[&str], starttls::Error, ErrorKind); 4] = [
        (
            &["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\ninjected"],
            Misbehaviour::BytesAfterUpgrade.into(),
            ErrorKind::InvalidData,
        ),
        (
            &["220 x\r\n\r\nNO CARRIER\r\n"],
            Misbehaviour::Unsolicited.into(),
            ErrorKind::InvalidData,
        ),
        (
            &["220 x\r\n", "\r\nNO CARRIER\r\n"],
            Misbehaviour::Malformed.into(),
            ErrorKind::InvalidData,
        ),
        (&["554 no\r\n"], refused(RefusalKind::Service, 554), ErrorKind::ConnectionRefused),
    ];
    for kind in KINDS {
        for (lines, expected, error_kind) in cases {
            let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
            let wire = Wire::new(Script::new(lines), Faults::default());
            let Err(error) = run(kind, wire, client(), &mut receive, &mut send) else {
                panic!("{lines:?}");
            };
            assert_eq!((error.session(), error.kind()), (Some(expected), error_kind), "{lines:?}");
        }
    }
}

fn refused(kind: RefusalKind, code: u16) -> starttls::Error {
    starttls::Error::PeerRefused(starttls::error::Refusal { kind, code, temporary: false })
}

#[test]
fn an_end_at_every_octet_and_a_silent_peer_are_errors() {
    let pki = Pki::default();
    for kind in KINDS {
        let (mut receive, mut send) = ([0; MAX_LINE], [0; 64]);
        let run = |faults, receive: &mut [u8], send: &mut [u8]| {
            let wire = Wire::new(far_server(pki.server()), faults);
            run(kind, wire, client(), receive, send)
                .map(|negotiated| negotiated.transport.get_ref().brought)
        };
        let all = run(Faults::default(), &mut receive, &mut send).unwrap();
        for end in 0..all {
            let faults = Faults { ends: Some(end), ..Faults::default() };
            let error = run(faults, &mut receive, &mut send).unwrap_err();
            assert_eq!(error.session(), Some(starttls::Error::Closed), "{end}");
        }

        let clock = Clock::default();
        let wire = Wire::new(Script::new(&["220 x\r\n"]), Faults::default());
        let result = match kind {
            Kind::Blocking => {
                negotiate_by(wire, client(), &mut receive, &mut send, clock.until(1000))
            }
            Kind::Async => {
                let timer = clock.timer(1000);
                wait(negotiate_async_by(wire, client(), &mut receive, &mut send, timer))
            }
        };
        assert!(matches!(result, Err(Error::TimedOut)));
    }
}

#[test]
fn buffers_that_are_too_small_are_the_callers_error() {
    for kind in KINDS {
        let wire = || Wire::new(Script::new(&["220 x\r\n"]), Faults::default());
        let Err(error) = run(kind, wire(), client(), &mut [0; 100], &mut [0; 64]) else {
            panic!("negotiated");
        };
        assert_eq!(error.session(), Some(Misuse::BufferTooSmall(MAX_LINE).into()));
        let Err(error) = run(kind, wire(), client(), &mut [0; MAX_LINE], &mut [0; 10]) else {
            panic!("negotiated");
        };
        assert_eq!(error.session(), Some(starttls::Error::OutputFull));
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    }
}
