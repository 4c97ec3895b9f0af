//! Opportunistic TLS over tokio's `AsyncRead + AsyncWrite`.
//!
//! A transport, a protocol's machine and a TLS configuration become a [`Stream`], which is
//! `AsyncRead + AsyncWrite` itself:
//!
//! ```
//! use std::sync::Arc;
//!
//! use rustls::{ClientConfig, RootCertStore, ServerConfig};
//! use starttls::protocol::smtp;
//! use starttls::tls::{ClientTls, ServerTls};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issued = rcgen::generate_simple_self_signed(["mail.example.org".to_string()])?;
//! let mut roots = RootCertStore::empty();
//! roots.add(issued.cert.der().clone())?;
//! let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
//! let client_tls = ClientTls::new(Arc::new(config));
//! let config = ServerConfig::builder()
//!     .with_no_client_auth()
//!     .with_single_cert(vec![issued.cert.into()], issued.signing_key.into())?;
//! let server_tls = ServerTls::new(Arc::new(config))?;
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//!
//! let server = async {
//!     let (transport, _) = listener.accept().await?;
//!     let machine = smtp::Server::new("mail.example.org", &["8BITMIME"])?;
//!     let mut stream = starttls_tokio::accept(transport, machine, &server_tls).await?;
//!     let mut line = String::new();
//!     stream.read_to_string(&mut line).await?; // up to the client's close_notify
//!     stream.write_all(b"250 mail.example.org\r\n").await?;
//!     stream.shutdown().await?;
//!     Ok::<_, Box<dyn std::error::Error>>(line)
//! };
//! let client = async {
//!     let transport = TcpStream::connect(address).await?;
//!     let machine = smtp::Client::new("client.example.org")?;
//!     let name = "mail.example.org";
//!     let mut stream = starttls_tokio::connect(transport, machine, &client_tls, name).await?;
//!     stream.write_all(b"EHLO client.example.org\r\n").await?;
//!     stream.shutdown().await?;
//!     let mut reply = String::new();
//!     stream.read_to_string(&mut reply).await?;
//!     Ok(reply)
//! };
//! let (line, reply) = tokio::try_join!(server, client)?;
//! assert_eq!(line, "EHLO client.example.org\r\n");
//! assert_eq!(reply, "250 mail.example.org\r\n");
//! # Ok(())
//! # }
//! ```
//!
//! There is no protocol knowledge here: any machine of [`starttls::protocol`] will do, or one of
//! your own, and [`Implicit`](starttls::protocol::Implicit) for TLS from the first octet. There are
//! no time-outs here either: put `tokio::time::timeout` around what may not wait for ever.
//!
//! Each stream holds two buffers on the heap, of 18,437 octets for receiving and 16,448 for sending,
//! and is `Send` when its transport and its machine are.

mod channel;
mod stream;
mod submit;

use starttls::negotiate::{AllowPlaintext, Client, Negotiate, Server};
use starttls::session::Session;
use starttls::tls::{ClientTls, ServerTls};
use tokio::io::{AsyncRead, AsyncWrite};

pub use channel::{Channel, Plaintext};
pub use starttls::io::{Broken, Error};
pub use stream::{HeapSession, Stream};
pub use submit::submit;

use stream::{Role, buffers};

/// Negotiates TLS as a client and verifies the server as `name`, a DNS name or an IP address.
///
/// When it returns, nothing is left to be sent. Dropping the future drops the transport.
///
/// # Errors
/// [`Error::Transport`], or [`Error::Session`] with the reason. The peer is told, by an alert or
/// its protocol's goodbye, as far as the transport takes that without waiting.
pub async fn connect<S, N>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
) -> Result<Stream<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Client>,
{
    let (input, output) = buffers();
    secured(transport, Session::client(machine, tls, name, input, output)?, Role::Client).await
}

/// Negotiates TLS as a server.
///
/// When it returns, nothing is left to be sent, but for TLS 1.3 session tickets that the transport
/// had no room for: they go with the next write, flush or shutdown. Dropping the future drops the transport.
///
/// # Errors
/// As [`connect`].
pub async fn accept<S, N>(transport: S, machine: N, tls: &ServerTls) -> Result<Stream<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Server>,
{
    let (input, output) = buffers();
    secured(transport, Session::server(machine, tls, input, output)?, Role::Server).await
}

/// As [`connect`], and goes on in plaintext when the peer declines TLS: never after a go-ahead, a
/// failed handshake, or misbehaviour.
///
/// # Errors
/// As [`connect`].
pub async fn connect_or_plaintext<S, N>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    allow: AllowPlaintext,
) -> Result<Channel<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Client>,
{
    let (input, output) = buffers();
    let session = Session::client(machine, tls, name, input, output)?;
    either(transport, session.or_plaintext(allow), Role::Client).await
}

/// As [`accept`], and goes on in plaintext when the client does not ask for TLS. What it asked for
/// instead is the first thing read.
///
/// # Errors
/// As [`connect`].
pub async fn accept_or_plaintext<S, N>(
    transport: S,
    machine: N,
    tls: &ServerTls,
    allow: AllowPlaintext,
) -> Result<Channel<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Server>,
{
    let (input, output) = buffers();
    let session = Session::server(machine, tls, input, output)?;
    either(transport, session.or_plaintext(allow), Role::Server).await
}

async fn secured<S, N>(
    transport: S,
    session: HeapSession<N>,
    role: Role,
) -> Result<Stream<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate,
{
    match either(transport, session, role).await? {
        Channel::Secured(stream) => Ok(stream),
        // A session that was not told so never ends in plaintext.
        Channel::Plaintext(plaintext) => Err(starttls::Error::PeerRefused(plaintext.why()).into()),
    }
}

async fn either<S, N>(
    transport: S,
    session: HeapSession<N>,
    role: Role,
) -> Result<Channel<S, N>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate,
{
    let mut stream = Stream::new(transport, session);
    if stream.establish(role).await? {
        return Ok(Channel::Secured(stream));
    }
    let (transport, session) = stream.into_parts();
    let untrusted = session.untrusted_text().map(|text| text.untrusted_octets().into());
    let channel = session.into_plaintext()?;
    Ok(Channel::Plaintext(Plaintext::new(transport, channel, untrusted.unwrap_or_default())))
}
