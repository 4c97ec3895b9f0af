//! Lines that lose octets, hang up, or end.
#![cfg(feature = "rustls")]

mod common;

use std::sync::Arc;

use common::{Faults, KINDS, Kind, Pki, Wire, buffers, far_client, far_server};
use embedded_io::{Error as _, ErrorKind};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use starttls::protocol::smtp;
use starttls::tls::{ClientTls, ServerTls};
use starttls::wire::MAX_LINE;
use starttls_embedded_io::{Error, negotiate};

const HELLO: &[u8] = b"250 hello, what can I do for you?\r\n";

/// Connects to a server that says [`HELLO`] and reads up to its end: how many octets the server
/// sent up to an established channel and in all, and what was read.
fn talk(
    kind: Kind,
    pki: &Pki,
    version: &'static SupportedProtocolVersion,
    faults: Faults,
) -> (usize, usize, Vec<u8>, Result<(), Error<ErrorKind>>) {
    let mut far = far_server(pki.server());
    far.first = HELLO.to_vec();
    let wire = Wire::new(far, faults);
    let tls = ClientTls::new(Arc::new(pki.client(version)));
    let machine = smtp::Client::new("client.example.org").unwrap();
    let mut stream = match kind.connect(wire, machine, &tls, buffers()) {
        Ok(stream) => stream,
        Err(error) => return (0, 0, vec![], Err(error)),
    };
    let up = stream.get_ref().brought;
    let (mut data, mut piece) = (vec![], [0; 10]);
    let result = loop {
        match kind.read(&mut stream, &mut piece) {
            Ok(0) => break Ok(()),
            Ok(n) => data.extend(&piece[..n]),
            Err(error) => break Err(error),
        }
        if data.len() == HELLO.len() && stream.session().is_established() {
            // The server answers this with its close_notify.
            if let Err(error) = match kind {
                Kind::Blocking => stream.close_write(),
                Kind::Async => common::wait(stream.close_write_async()),
            } {
                break Err(error);
            }
        }
    };
    (up, stream.get_ref().brought, data, result)
}

#[test]
fn an_end_at_every_octet_is_an_error() {
    let pki = Pki::default();
    for (version, kind) in [(&TLS12, Kind::Blocking), (&TLS13, Kind::Async)] {
        let (_, all, data, result) = talk(kind, &pki, version, Faults::default());
        assert_eq!(data, HELLO);
        result.unwrap();
        // Signatures and session tickets vary by a few octets.
        for end in 0..all - 30 {
            let faults = Faults { ends: Some(end), ..Faults::default() };
            let (_, _, data, result) = talk(kind, &pki, version, faults);
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{end}: {error:?}");
            assert!(HELLO.starts_with(&data));
        }
    }
}

#[test]
fn a_server_sees_the_end_of_its_client_too() {
    let pki = Pki::default();
    let tls = ServerTls::new(Arc::new(pki.server())).unwrap();
    let accept = |kind: Kind, faults| {
        let wire = Wire::new(far_client(pki.client(&TLS13)), faults);
        let machine = smtp::Server::new("mail.example.org", &[]).unwrap();
        kind.accept(wire, machine, &tls, buffers())
    };
    for kind in KINDS {
        let all = accept(kind, Faults::default()).unwrap().get_ref().brought;
        for end in (0..all - 1).step_by(3) {
            let error = accept(kind, Faults { ends: Some(end), ..Faults::default() }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{end}: {error:?}");
        }
    }
}

/// A modem says so in the middle of everything, and what it says never counts as data.
#[test]
fn no_carrier_at_every_octet_is_an_error() {
    let pki = Pki::default();
    let (_, all, ..) = talk(Kind::Blocking, &pki, &TLS13, Faults::default());
    for kind in KINDS {
        for at in (0..all - 30).step_by(if kind == Kind::Async { 7 } else { 1 }) {
            let faults = Faults { hangs_up: Some(at), ..Faults::default() };
            let (_, _, data, result) = talk(kind, &pki, &TLS13, faults);
            let kind = result.unwrap_err().kind();
            assert!(
                matches!(kind, ErrorKind::InvalidData | ErrorKind::ConnectionAborted),
                "{at}: {kind:?}"
            );
            assert!(HELLO.starts_with(&data));
        }
    }
}

/// The line is a blocking one with a time-out: an octet fewer may leave us waiting. In plaintext
/// it may be one of a text that nobody reads.
#[test]
fn a_lost_octet_is_never_a_success() {
    let pki = Pki::default();
    for version in [&TLS12, &TLS13] {
        let (up, ..) = talk(Kind::Blocking, &pki, version, Faults::default());
        let wire = Wire::new(far_server(pki.server()), Faults::default());
        let machine = smtp::Client::new("client.example.org").unwrap();
        let mut receive = [0; MAX_LINE];
        let negotiated = negotiate(wire, machine, &mut receive, &mut [0; 64]).unwrap();
        let plain = negotiated.transport.get_ref().brought;
        let mut kinds = Vec::new();
        for at in plain..up - 30 {
            let faults = Faults { loses: Some(at), ..Faults::default() };
            let (_, _, data, result) = talk(Kind::Blocking, &pki, version, faults);
            assert!(HELLO.starts_with(&data));
            let kind = result.expect_err(&at.to_string()).kind();
            assert!(matches!(kind, ErrorKind::InvalidData | ErrorKind::TimedOut), "{at}: {kind:?}");
            kinds.push(kind);
        }
        assert!(kinds.contains(&ErrorKind::InvalidData) && kinds.contains(&ErrorKind::TimedOut));
    }
}

#[test]
fn a_transport_that_takes_no_octet_is_an_error() {
    for kind in KINDS {
        let faults = Faults { takes_nothing: true, ..Faults::default() };
        let (_, _, _, result) = talk(kind, &Pki::default(), &TLS13, faults);
        let error = result.unwrap_err();
        assert!(matches!(error, Error::WriteZero), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
}
