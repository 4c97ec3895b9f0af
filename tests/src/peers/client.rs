//! Our client at a real server, by either adapter.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use starttls::error::{Misuse, TlsError};
use starttls::negotiate::{self, Negotiate};
use starttls::protocol::{ClientMachine, Names, scheme};
use starttls::submission::{Report, Submission};
use starttls::tls::{ClientTls, Version};
use starttls_tokio::Error;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::Ca;
use super::channel::{Blocking, Channel, Stream};

/// How long an upgrade, or a read inside TLS, may take unless said.
const LIMIT: Duration = Duration::from_secs(30);

/// How long a mail may take.
const MAIL_LIMIT: Duration = Duration::from_secs(120);

/// What the machine is driven by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// [`starttls_std`].
    Std,
    /// [`starttls_tokio`].
    Tokio,
}

/// A client that trusts one authority. What it calls the server, and wants proved, is `localhost`
/// unless said; it calls itself client.test.
///
/// Its connections share a session cache.
#[derive(Clone, Debug)]
pub struct Client {
    adapter: Adapter,
    tls: ClientTls,
    /// What the server is called before TLS.
    peer: &'static str,
    /// What its certificate has to be for.
    name: &'static str,
    limit: Duration,
}

impl Client {
    /// A client by this adapter.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn new(adapter: Adapter, ca: &Ca) -> Self {
        let (peer, name) = ("localhost", "localhost");
        Self { adapter, tls: tls(ca), peer, name, limit: LIMIT }
    }

    /// One client by each adapter: every test of a server is a loop over them.
    pub fn both(ca: &Ca) -> [Self; 2] {
        [Adapter::Std, Adapter::Tokio].map(|adapter| Self::new(adapter, ca))
    }

    /// Calls the server by another name, which it has to prove.
    #[must_use]
    pub fn calling(self, peer: &'static str) -> Self {
        Self { peer, name: peer, ..self }
    }

    /// Waits no longer than this.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Upgrades a connection to a port of this machine by the machine of a URL scheme.
    ///
    /// # Panics
    ///
    /// If it does not come to TLS 1.3.
    pub fn connect(&self, scheme: &str, port: u16) -> Channel {
        self.connect_by(self.machine(scheme), port)
    }

    /// As [`connect`](Client::connect), by any machine.
    ///
    /// # Panics
    ///
    /// If it does not come to TLS 1.3.
    pub fn connect_by<N: Negotiate<Side = negotiate::Client>>(
        &self,
        machine: N,
        port: u16,
    ) -> Channel<N> {
        match self.try_connect_by(machine, port) {
            Ok(channel) => {
                assert_eq!(channel.session().version(), Some(Version::Tls13));
                channel
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    /// As [`connect`](Client::connect), and does not have to come to TLS.
    ///
    /// # Errors
    ///
    /// Those of the adapters; [`io::ErrorKind::TimedOut`] behind the limit.
    ///
    /// # Panics
    ///
    /// If nothing listens there.
    pub fn try_connect(&self, scheme: &str, port: u16) -> Result<Channel, Error> {
        self.try_connect_by(self.machine(scheme), port)
    }

    fn try_connect_by<N: Negotiate<Side = negotiate::Client>>(
        &self,
        machine: N,
        port: u16,
    ) -> Result<Channel<N>, Error> {
        // Shown where the test fails.
        eprintln!("{:?} connects to port {port}", self.adapter);
        let Self { adapter, tls, name, limit, .. } = self;
        let stream = match adapter {
            Adapter::Std => {
                let (transport, deadline) = (transport(port), Instant::now() + *limit);
                let stream = starttls_std::connect_by(transport, machine, tls, name, deadline)?;
                stream.get_ref().set_read_timeout(Some(*limit))?;
                Stream::Std(stream)
            }
            Adapter::Tokio => {
                let runtime = runtime();
                let connecting = async {
                    starttls_tokio::connect(async_transport(port)?, machine, tls, name).await
                };
                let connected = runtime.block_on(async { timeout(*limit, connecting).await });
                Stream::Tokio(connected.map_err(io::Error::from)??, runtime)
            }
        };
        Ok(Channel::new(stream, *limit))
    }

    /// Delivers a mail to a port of this machine by the machine of a URL scheme.
    ///
    /// # Panics
    ///
    /// If the connection breaks.
    pub fn submit(
        &self,
        scheme: &str,
        port: u16,
        submission: Submission<'_>,
        message: impl Read + Unpin,
    ) -> Report {
        eprintln!("{:?} submits to port {port}", self.adapter);
        let (machine, Self { tls, name, .. }) = (self.machine(scheme), self);
        let report = match self.adapter {
            Adapter::Std => starttls_std::submit_by(
                transport(port),
                machine,
                tls,
                name,
                submission,
                message,
                Instant::now() + MAIL_LIMIT,
            ),
            Adapter::Tokio => runtime().block_on(async {
                let (transport, message) = (async_transport(port).unwrap(), Blocking(message));
                let submit = starttls_tokio::submit(
                    transport, machine, tls, name, submission, message, None,
                );
                timeout(MAIL_LIMIT, submit).await.expect("a mail in time")
            }),
        };
        report.unwrap_or_else(|broken| panic!("{broken:?}"))
    }

    /// Checks that it talks to this server only under its name, and only by its authority: one of
    /// the same name with another key does not do.
    ///
    /// # Panics
    ///
    /// If it talks to it otherwise, or fails for another reason.
    pub fn takes_for_no_other(&self, scheme: &str, port: u16) {
        for (client, wrong) in [
            (Self { name: "other.example", ..self.clone() }, TlsError::WrongName),
            (Self { tls: tls(&Ca::new()), ..self.clone() }, TlsError::Certificate),
        ] {
            match client.try_connect(scheme, port) {
                Err(Error::Session { error, .. }) => assert_eq!(error, wrong.into(), "{scheme}"),
                Err(error) => panic!("{scheme}: {error:?}"),
                Ok(_) => panic!("{scheme}: taken, not {wrong:?}"),
            }
        }
    }

    fn machine(&self, name: &str) -> ClientMachine<'static> {
        let mut octets = [0; 16];
        random(&mut octets).expect("randomness");
        let names = Names { peer: self.peer, random: Some(octets), ..Names::new("client.test") };
        scheme(name).expect("a scheme").client(names).expect("names that fit")
    }
}

/// Fills octets with what nobody can guess.
///
/// # Errors
///
/// [`Misuse::Randomness`] if there is no `/dev/urandom`.
pub fn random(octets: &mut [u8]) -> Result<(), starttls::Error> {
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(octets));
    read.map_err(|_| Misuse::Randomness.into())
}

fn tls(ca: &Ca) -> ClientTls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.root_der.clone())).expect("a certificate");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    ClientTls::new(Arc::new(config))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn transport(port: u16) -> std::net::TcpStream {
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("a server")
}

fn async_transport(port: u16) -> io::Result<TcpStream> {
    let transport = transport(port);
    transport.set_nonblocking(true)?;
    TcpStream::from_std(transport)
}
