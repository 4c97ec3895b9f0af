//! The blocking stream over real sockets.

mod common;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::tls;
use starttls::error::{RefusalKind, TlsError};
use starttls::negotiate::AllowPlaintext;
use starttls::protocol::smtp;
use starttls_std::{Channel, Error, Stream};

fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

fn server() -> smtp::Server<'static> {
    smtp::Server::new("mail.example.org", &[]).unwrap()
}

type ServerStream = Stream<TcpStream, smtp::Server<'static>>;

/// A client's stream, against `serve` on the server's.
fn with<T: Send + 'static>(
    serve: impl FnOnce(ServerStream) -> T + Send + 'static,
) -> (Stream<TcpStream, smtp::Client<'static>>, thread::JoinHandle<T>) {
    let (client_tls, server_tls) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (transport, _) = listener.accept().unwrap();
        serve(starttls_std::accept(transport, server(), &server_tls).unwrap())
    });
    let transport = TcpStream::connect(address).unwrap();
    let stream = starttls_std::connect(transport, client(), &client_tls, "localhost").unwrap();
    (stream, server)
}

/// A peer that reads nothing and says `lines`, one for each read.
fn fake(lines: &'static [&'static str]) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut transport, _) = listener.accept().unwrap();
        for line in lines {
            transport.write_all(line.as_bytes()).unwrap();
            let _ = transport.read(&mut [0; 1000]);
        }
        // Holds the connection until the client has gone.
        let _ = transport.read_to_end(&mut Vec::new());
    });
    TcpStream::connect(address).unwrap()
}

#[test]
fn megabytes_and_a_clean_end() {
    let (mut stream, server) = with(|mut stream| {
        let mut data = Vec::new();
        stream.read_to_end(&mut data).unwrap();
        stream.write_all(&data).unwrap();
        stream.close().unwrap();
    });
    let data: Vec<u8> = (0..3_000_000).map(|at| (at % 251) as u8).collect();
    stream.write_all(&data).unwrap();
    stream.close_write().unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert!(back == data);
    stream.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_cut_is_not_an_end() {
    let (mut stream, server) = with(|mut stream| {
        stream.write_all(b"half of").unwrap();
        stream.get_ref().shutdown(Shutdown::Both).unwrap();
    });
    let mut data = Vec::new();
    let error = stream.read_to_end(&mut data).unwrap_err();
    assert_eq!((error.kind(), &data[..]), (io::ErrorKind::UnexpectedEof, &b"half of"[..]));
    assert_eq!(Error::from(error).session(), Some(starttls::Error::Truncated));
    server.join().unwrap();
}

#[test]
fn a_deadline_ends_the_wait() {
    let transport = fake(&["220 mail.example.org\r\n", "250 mail.example.org\r\n", "220 go\r\n"]);
    let (tls, _) = tls();
    let start = Instant::now();
    let deadline = start + Duration::from_millis(200);
    let error = starttls_std::connect_by(transport, client(), &tls, "localhost", deadline);
    let Err(Error::Transport(error)) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn a_refusal_brings_the_untrusted_text() {
    let transport = fake(&["220 x\r\n", "250 x\r\n", "454 4.7.0 not today\r\n"]);
    let error = starttls_std::connect(transport, client(), &tls().0, "localhost").unwrap_err();
    let Error::Session { error: starttls::Error::PeerRefused(why), untrusted, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((why.kind, why.code, why.temporary), (RefusalKind::Upgrade, 454, true));
    assert_eq!(untrusted.as_deref(), Some(&b"454 4.7.0 not today\r\n"[..]));
}

#[test]
fn plaintext_is_another_type() {
    let transport = fake(&["220 x\r\n", "250 x\r\n", "502 x\r\n", "250 in the clear\r\n"]);
    let channel = starttls_std::connect_or_plaintext(
        transport,
        client(),
        &tls().0,
        "localhost",
        AllowPlaintext,
    );
    let Ok(Channel::Plaintext(mut plain)) = channel else { panic!("{channel:?}") };
    assert_eq!(plain.why().code, 502);
    plain.write_all(b"NOOP\r\n").unwrap();
    let mut reply = [0; 18];
    plain.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"250 in the clear\r\n");
}

#[test]
fn a_wrong_name_is_told_to_both() {
    let (client_tls, server_tls) = tls();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (transport, _) = listener.accept().unwrap();
        starttls_std::accept(transport, server(), &server_tls).map(|_| ())
    });
    let transport = TcpStream::connect(address).unwrap();
    let error = starttls_std::connect(transport, client(), &client_tls, "example.com").unwrap_err();
    let Error::Session { error, tls: Some(_), .. } = error else { panic!("{error:?}") };
    assert_eq!(error, TlsError::WrongName.into());
    let error = server.join().unwrap().unwrap_err().session();
    assert_eq!(error, Some(TlsError::AlertReceived(42).into()));
}
