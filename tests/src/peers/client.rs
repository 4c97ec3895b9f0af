//! Our client at a real server, inside TLS.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use starttls::error::TlsError;
use starttls::negotiate::{Client, Negotiate};
use starttls::protocol::{ClientMachine, Names, scheme};
use starttls::tls::{ClientTls, Version};
use starttls_std::{Error, Stream};

use super::Ca;

/// How long an upgrade, or a read inside TLS, may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection that our client upgraded to TLS 1.3.
#[derive(Debug)]
pub struct Upgraded<N> {
    stream: Stream<TcpStream, N>,
}

impl Upgraded<ClientMachine<'static>> {
    /// Upgrades a connection to a port of this machine by the machine of a URL scheme. The server
    /// has to prove to be `localhost`.
    ///
    /// # Panics
    ///
    /// If it does not come to TLS.
    pub fn new(name: &str, port: u16, ca: &Ca) -> Self {
        Self::by(machine(name), port, ca)
    }
}

impl<N: Negotiate<Side = Client>> Upgraded<N> {
    /// As [`new`](Upgraded::new), by any machine.
    ///
    /// # Panics
    ///
    /// If it does not come to TLS.
    pub fn by(machine: N, port: u16, ca: &Ca) -> Self {
        match upgrade(machine, port, ca, "localhost") {
            Ok(stream) => {
                assert_eq!(stream.session().version(), Some(Version::Tls13));
                Self { stream }
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The machine that negotiated.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn machine(&self) -> &N {
        self.stream.session().machine().expect("an upgraded session")
    }

    /// Sends octets.
    ///
    /// # Panics
    ///
    /// If they cannot be sent.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).expect("a connection");
        self.stream.flush().expect("a connection");
    }

    /// The next octets, as many as asked for.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).expect("octets of the server");
        octets
    }

    /// The next line, without CRLF.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.octets(1));
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).expect("a line of text")
    }

    /// The lines up to the one that begins with `last`, which is among them.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub fn lines_to(&mut self, last: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.starts_with(last)) {
            lines.push(self.line());
        }
        lines
    }

    /// Whether the server closes by close_notify, and says nothing before.
    pub fn ends(mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

/// Checks that our client talks to this server only under its name, and only by its authority:
/// one of the same name with another key does not do.
///
/// # Panics
///
/// If it talks to it otherwise, or fails for another reason.
pub fn taken_for_no_other(name: &str, port: u16, ca: &Ca) {
    for (ca, host, wrong) in [
        (ca, "other.example", TlsError::WrongName),
        (&Ca::new(), "localhost", TlsError::Certificate),
    ] {
        match upgrade(machine(name), port, ca, host) {
            Err(Error::Session { error, .. }) => assert_eq!(error, wrong.into(), "{name}"),
            Err(error) => panic!("{name}: {error:?}"),
            Ok(_) => panic!("{name}: taken for {host}"),
        }
    }
}

fn machine(name: &str) -> ClientMachine<'static> {
    let mut random = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .expect("randomness");
    let names = Names { random: Some(random), ..Names::new("client.test") };
    scheme(name).expect("a scheme").client(names).expect("names that fit")
}

fn upgrade<N: Negotiate<Side = Client>>(
    machine: N,
    port: u16,
    ca: &Ca,
    host: &str,
) -> Result<Stream<TcpStream, N>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.root_der.clone())).expect("a certificate");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = ClientTls::new(Arc::new(config));
    let transport = TcpStream::connect(("127.0.0.1", port)).expect("a server");
    let stream = starttls_std::connect_by(transport, machine, &tls, host, Instant::now() + LIMIT)?;
    stream.get_ref().set_read_timeout(Some(LIMIT)).expect("a connection");
    Ok(stream)
}
