//! Over real sockets, against the adapter for `std`.
#![cfg(feature = "rustls")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use common::{NAME, Pki, buffers};
use embedded_io::{Read as _, Write as _};
use embedded_io_adapters::std::FromStd;
use rustls::version::{TLS12, TLS13};
use starttls::protocol::smtp;
use starttls::tls::{ClientTls, ServerTls};

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn megabytes_to_and_from_the_adapter_for_std() {
    let data: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
    for version in [&TLS12, &TLS13] {
        let pki = Pki::default();
        let client_tls = ClientTls::new(Arc::new(pki.client(version)));
        let server_tls = ServerTls::new(Arc::new(pki.server())).unwrap();
        let client = || smtp::Client::new("client.example.org").unwrap();
        let server = || smtp::Server::new(NAME, &[]).unwrap();

        let (near, far) = pair();
        let tls = server_tls.clone();
        let serving = thread::spawn(move || {
            let mut stream = starttls_std::accept(far, server(), &tls).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
            stream.close().unwrap();
        });
        let near = FromStd::new(near);
        let mut stream =
            starttls_embedded_io::connect(near, client(), &client_tls, NAME, buffers()).unwrap();
        stream.write_all(&data).unwrap();
        stream.close_write().unwrap();
        let mut back = vec![0; data.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == data);
        stream.close().unwrap();
        serving.join().unwrap();

        let (near, far) = pair();
        let tls = client_tls.clone();
        let sent = data.clone();
        let connecting = thread::spawn(move || {
            let mut stream = starttls_std::connect(far, client(), &tls, NAME).unwrap();
            stream.write_all(&sent).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            stream.close().unwrap();
            reply
        });
        let near = FromStd::new(near);
        let mut stream =
            starttls_embedded_io::accept(near, server(), &server_tls, buffers()).unwrap();
        let mut back = vec![0; data.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == data);
        stream.write_all(b"250 took it\r\n").unwrap();
        stream.close().unwrap();
        assert_eq!(connecting.join().unwrap(), "250 took it\r\n");
    }
}
