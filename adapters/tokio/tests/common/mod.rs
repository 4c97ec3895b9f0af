//! A certificate, both configurations, and a pair of secured streams.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use starttls::protocol::smtp;
use starttls::tls::{ClientTls, ServerTls};
use starttls_tokio::Stream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

pub const NAME: &str = "mail.example.org";
pub const SMALL_TO_LARGE: [usize; 5] = [1, 7, 64, 1024, 1 << 16];
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

pub struct Tls {
    pub client: ClientTls,
    pub server: ServerTls,
}

impl Tls {
    pub fn new(version: &'static SupportedProtocolVersion) -> Self {
        let issued = rcgen::generate_simple_self_signed([NAME.to_string()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.into()], issued.signing_key.into())
            .unwrap();
        Self {
            client: ClientTls::new(Arc::new(client)),
            server: ServerTls::new(Arc::new(server)).unwrap(),
        }
    }
}

pub fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

pub fn server() -> smtp::Server<'static> {
    smtp::Server::new(NAME, &["8BITMIME"]).unwrap()
}

pub type Secured<S, M> = Stream<S, M>;

/// A client and a server at the two ends of a pipe of `width` octets.
pub async fn pair(
    tls: &Tls,
    width: usize,
) -> (Secured<DuplexStream, smtp::Client<'static>>, Secured<DuplexStream, smtp::Server<'static>>) {
    let (here, there) = duplex(width);
    pair_over(tls, here, there).await
}

/// A client on `here` and a server on `there`.
pub async fn pair_over<C, S>(
    tls: &Tls,
    here: C,
    there: S,
) -> (Secured<C, smtp::Client<'static>>, Secured<S, smtp::Server<'static>>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (client, server) = tokio::join!(
        starttls_tokio::connect(here, client(), &tls.client, NAME),
        starttls_tokio::accept(there, server(), &tls.server),
    );
    (client.unwrap(), server.unwrap())
}
