//! Our client on a connection to a real server.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use starttls::protocol::{ClientMachine, Names, scheme};
use starttls::tls::ClientTls;

use super::Ca;

/// How long the way to the channel may take, and a read inside it.
const LIMIT: Duration = Duration::from_secs(30);

/// A channel of [`starttls_std`] to a server of this module.
pub struct Conversation(starttls_std::Stream<TcpStream, ClientMachine<'static>>);

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").finish_non_exhaustive()
    }
}

impl Conversation {
    /// Connects to a port of 127.0.0.1 by the protocol of a URL scheme, with a certificate of
    /// the authority that has to be for `peer`, the name the server is called by; this side
    /// calls itself client.test.
    ///
    /// # Errors
    ///
    /// Those of [`starttls_std::connect_by`].
    ///
    /// # Panics
    ///
    /// If nothing listens there, or the machine cannot be made.
    pub fn connect(
        name: &str,
        port: u16,
        peer: &'static str,
        ca: &Ca,
    ) -> Result<Self, starttls_std::Error> {
        let mut random = [0; 16];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
        read.expect("randomness");
        let names = Names { peer, random: Some(random), ..Names::new("client.test") };
        let machine = scheme(name).expect("a scheme").client(names).expect("a machine");

        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.root_der.clone())).expect("a root");
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tls = ClientTls::new(Arc::new(config));

        let transport = TcpStream::connect(("127.0.0.1", port)).expect("a server");
        let deadline = Instant::now() + LIMIT;
        let stream = starttls_std::connect_by(transport, machine, &tls, peer, deadline)?;
        stream.get_ref().set_read_timeout(Some(LIMIT)).expect("a socket");
        Ok(Self(stream))
    }

    /// Sends octets inside TLS.
    ///
    /// # Panics
    ///
    /// If they cannot be sent.
    pub fn send(&mut self, octets: &str) {
        self.0.write_all(octets.as_bytes()).and_then(|()| self.0.flush()).expect("a channel");
    }

    /// What arrives inside TLS, up to and including `end`.
    ///
    /// # Panics
    ///
    /// If the channel ends or is quiet for long before that.
    pub fn until(&mut self, end: &str) -> String {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            let mut octet = [0];
            let read = self.0.read_exact(&mut octet);
            read.unwrap_or_else(|error| panic!("{error} behind {:?}", text(&said)));
            said.push(octet[0]);
        }
        text(&said)
    }

    /// What arrives inside TLS up to its end, and how that comes.
    pub fn rest(&mut self) -> (String, io::Result<()>) {
        let mut said = Vec::new();
        let end = self.0.read_to_end(&mut said).map(|_| ());
        (text(&said), end)
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
