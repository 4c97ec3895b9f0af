//! Peers that are slow or silent, by a clock that no test waits for.
#![cfg(feature = "rustls")]

mod common;

use std::sync::Arc;

use common::{
    Clock, Faults, Heaped, KINDS, Kind, NAME, Peer, Pki, Script, Wire, buffers, far_server, wait,
};
use embedded_io::{Error as _, ErrorKind};
use rustls::version::TLS13;
use starttls::negotiate::Negotiate;
use starttls::protocol::smtp;
use starttls::tls::{ClientTls, ServerTls};
use starttls_embedded_io::{
    Error, UntilRead, accept_async_by, accept_by, connect_async_by, connect_by,
};

fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

fn tls(pki: &Pki) -> ClientTls {
    ClientTls::new(Arc::new(pki.client(&TLS13)))
}

fn connect<P: Peer>(
    kind: Kind,
    wire: Wire<P>,
    tls: &ClientTls,
    clock: &Clock,
    end: u32,
) -> Result<Heaped<P, smtp::Client<'static>>, Error<ErrorKind>> {
    match kind {
        Kind::Blocking => connect_by(wire, client(), tls, NAME, buffers(), clock.until(end)),
        Kind::Async => {
            let timer = clock.timer(end);
            wait(connect_async_by(wire, client(), tls, NAME, buffers(), timer))
        }
    }
}

#[test]
fn a_silent_peer_is_given_up_wherever_it_falls_silent() {
    let pki = Pki::default();
    let lines = ["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"];
    for kind in KINDS {
        for said in 0..=lines.len() {
            let clock = Clock::default();
            let wire = Wire::new(Script::new(&lines[..said]), Faults::default());
            let error = connect(kind, wire, &tls(&pki), &clock, 1000).unwrap_err();
            assert!(matches!(error, Error::TimedOut), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(clock.now() >= 1000);
        }
        let clock = Clock::default();
        let (wire, machine) =
            (Wire::new(Script::new(&[]), Faults::default()), smtp::Server::new(NAME, &[]).unwrap());
        let server = ServerTls::new(Arc::new(pki.server())).unwrap();
        let result = match kind {
            Kind::Blocking => accept_by(wire, machine, &server, buffers(), clock.until(1000)),
            Kind::Async => {
                wait(accept_async_by(wire, machine, &server, buffers(), clock.timer(1000)))
            }
        };
        assert!(matches!(result, Err(Error::TimedOut)));
    }
}

#[test]
fn a_slow_peer_is_waited_for_until_the_deadline_and_no_longer() {
    let pki = Pki::default();
    let faults = Faults { chunk: 1, slow: 10, ..Faults::default() };
    for kind in KINDS {
        let clock = Clock::default();
        let wire = Wire::new(far_server(pki.server()), faults);
        let mut stream = connect(kind, wire, &tls(&pki), &clock, 1_000_000).unwrap();
        assert_eq!(kind.echo(&mut stream, b"still here").unwrap(), b"still here");
        let took = clock.now();
        assert!(took > 10_000, "{took}");

        let (clock, wire) = (Clock::default(), Wire::new(far_server(pki.server()), faults));
        let error = connect(kind, wire, &tls(&pki), &clock, took / 2).unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error:?}");
        // The peer always had another octet, and that did not help.
        assert!(clock.now() < took / 2 + 100);
    }
}

#[test]
fn a_transport_that_takes_nothing_is_given_up_too() {
    let pki = Pki::default();
    for kind in KINDS {
        let clock = Clock::default();
        let wire = Wire::new(far_server(pki.server()), Faults { stuck: true, ..Faults::default() });
        let error = connect(kind, wire, &tls(&pki), &clock, 1000).unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error:?}");
    }
}

#[test]
fn once_a_deadline_passed_the_stream_is_dead() {
    let pki = Pki::default();
    for kind in KINDS {
        let clock = Clock::default();
        let wire = Wire::new(far_server(pki.server()), Faults::default());
        let faults = wire.faults.clone();
        let mut stream = kind.connect(wire, client(), &tls(&pki), buffers()).unwrap();
        assert_eq!(kind.echo(&mut stream, b"alive").unwrap(), b"alive");
        let error = kind.read_by(&mut stream, &clock, 1000).unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error:?}");

        // Even with the peer back and time enough.
        faults.set(Faults::default());
        for _ in 0..2 {
            assert!(matches!(kind.write(&mut stream, b"x"), Err(Error::TimedOut)));
            assert!(matches!(kind.flush(&mut stream), Err(Error::TimedOut)));
            assert!(matches!(kind.read(&mut stream, &mut [0; 9]), Err(Error::TimedOut)));
            let error = kind.read_by(&mut stream, &clock, u32::MAX).unwrap_err();
            assert!(matches!(error, Error::TimedOut), "{error:?}");
        }
        assert!(matches!(kind.close(stream), Err(Error::TimedOut)));
    }
}

#[test]
fn a_call_that_ends_in_time_leaves_the_stream_alive() {
    let pki = Pki::default();
    for kind in KINDS {
        let clock = Clock::default();
        let mut far = far_server(pki.server());
        far.first = b"hello".to_vec();
        let wire = Wire::new(far, Faults::default());
        let mut stream = kind.connect(wire, client(), &tls(&pki), buffers()).unwrap();
        assert_eq!(kind.read_by(&mut stream, &clock, 1_000_000).unwrap(), 5);
        assert_eq!(kind.echo(&mut stream, b"alive").unwrap(), b"alive");
        match kind {
            Kind::Blocking => stream.close_by(clock.until(1_000_000)).map(|_| ()),
            Kind::Async => wait(stream.close_async_by(clock.timer(1_000_000))).map(|_| ()),
        }
        .unwrap();
    }
}

#[test]
fn a_time_out_of_the_transports_own_is_its_error_and_no_end() {
    let pki = Pki::default();
    let lines = ["220 x\r\n"];
    let wire = Wire::new(Script::new(&lines), Faults::default());
    let kind = Kind::Blocking;
    let error = kind.connect(wire, client(), &tls(&pki), buffers()).unwrap_err();
    assert!(matches!(error, Error::Transport(ErrorKind::TimedOut)), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);

    let wire = Wire::new(far_server(pki.server()), Faults::default());
    let mut stream = kind.connect(wire, client(), &tls(&pki), buffers()).unwrap();
    let error = kind.read(&mut stream, &mut [0; 9]).unwrap_err();
    assert!(matches!(error, Error::Transport(ErrorKind::TimedOut)), "{error:?}");
    assert_eq!(kind.echo(&mut stream, b"and on").unwrap(), b"and on");

    // What a transport did not take before is sent first, and once.
    let faults = stream.get_ref().faults.clone();
    assert_eq!(kind.write(&mut stream, b"one").unwrap(), 3);
    faults.set(Faults { stuck: true, ..faults.get() });
    assert!(kind.flush(&mut stream).is_err());
    faults.set(Faults::default());
    assert_eq!(kind.echo(&mut stream, b"two").unwrap(), b"one");
}

/// Without `WriteReady`: it compiles, and keeps the deadline of its reads.
#[test]
fn a_transport_that_only_tells_of_reads() {
    struct Uart(Wire<Script>);
    impl embedded_io::ErrorType for Uart {
        type Error = ErrorKind;
    }
    impl embedded_io::Read for Uart {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
            embedded_io::Read::read(&mut self.0, buf)
        }
    }
    impl embedded_io::ReadReady for Uart {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            self.0.read_ready()
        }
    }
    impl embedded_io::Write for Uart {
        fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
            embedded_io::Write::write(&mut self.0, buf)
        }
        fn flush(&mut self) -> Result<(), ErrorKind> {
            embedded_io::Write::flush(&mut self.0)
        }
    }
    fn run<N: Negotiate<Side = starttls::negotiate::Client>>(machine: N, tls: &ClientTls) {
        let clock = Clock::default();
        let uart = Uart(Wire::new(Script::new(&["220 x\r\n"]), Faults::default()));
        let deadline = UntilRead(|| clock.now() >= 1000);
        let result = connect_by(uart, machine, tls, NAME, buffers(), deadline);
        assert!(matches!(result, Err(Error::TimedOut)));
    }
    run(client(), &tls(&Pki::default()));
}
