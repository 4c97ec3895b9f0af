//! `starttls` over anything that is [`Read`] and [`Write`].
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//! use std::sync::Arc;
//!
//! use starttls::protocol::smtp;
//! use starttls::tls::{ClientTls, ServerTls};
//!
//! # let key = rcgen::generate_simple_self_signed(vec!["localhost".into()])?;
//! # let chain = vec![key.cert.der().clone()];
//! # let mut roots = rustls::RootCertStore::empty();
//! # roots.add(key.cert.der().clone())?;
//! # let key = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der())?;
//! # let server = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
//! # let client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
//! // `client` and `server` are rustls configurations of yours.
//! let (client, server) = (ClientTls::new(Arc::new(client)), ServerTls::new(Arc::new(server))?);
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//!
//! let accepting = std::thread::spawn(move || -> Result<(), starttls_std::Error> {
//!     let (transport, _) = listener.accept()?;
//!     let machine = smtp::Server::new("mail.example.org", &[])?;
//!     let mut stream = starttls_std::accept(transport, machine, &server)?;
//!     stream.write_all(b"250 inside TLS\r\n")?;
//!     stream.close()?;
//!     Ok(())
//! });
//!
//! let machine = smtp::Client::new("client.example.org")?;
//! let mut stream =
//!     starttls_std::connect(TcpStream::connect(address)?, machine, &client, "localhost")?;
//! let mut reply = String::new();
//! stream.read_to_string(&mut reply)?; // fails if the connection is cut short
//! assert_eq!(reply, "250 inside TLS\r\n");
//! stream.close()?;
//! accepting.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`connect_by`] and [`accept_by`] take a deadline for the whole way to a working channel, over
//! transports that can keep one: [`TcpStream`](std::net::TcpStream),
//! [`UnixStream`](std::os::unix::net::UnixStream), and whatever implements [`Timeouts`].

mod deadline;
mod plaintext;
mod stream;
mod submit;

use std::io::{Read, Write};
use std::time::Instant;

use starttls::negotiate::{AllowPlaintext, Client, Negotiate, Server};
use starttls::session::{Event, RECEIVE_BUFFER, Session};
use starttls::tls::{ClientTls, ServerTls};

pub use deadline::Timeouts;
pub use plaintext::Plaintext;
pub use starttls::io::{Broken, Error};
pub use stream::Stream;
pub use submit::{submit, submit_by};

use deadline::{Forever, Limit, Until};

/// The buffers of a stream: any record in, one full record and its overhead out.
pub(crate) type HeapSession<N> = Session<N, Box<[u8]>, Box<[u8]>>;

/// Octets of a stream's send buffer.
const SEND_BUFFER: usize = (16 << 10) + 64;

fn buffers() -> (Box<[u8]>, Box<[u8]>) {
    (vec![0; RECEIVE_BUFFER].into(), vec![0; SEND_BUFFER].into())
}

/// Negotiates TLS as the client and returns the encrypted stream.
///
/// `name` is what the server's certificate has to be for.
///
/// # Errors
/// [`Error::Session`] if the server refuses, misbehaves or fails verification;
/// [`Error::Transport`] if the transport fails. Nothing but the negotiation was sent.
pub fn connect<S: Read + Write, N: Negotiate<Side = Client>>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
) -> Result<Stream<S, N>, Error> {
    secured(transport, client(machine, tls, name)?, &Forever)
}

/// [`connect`], done before `deadline` or failed with [`std::io::ErrorKind::TimedOut`].
///
/// # Errors
/// As [`connect`].
pub fn connect_by<S: Read + Write + Timeouts, N: Negotiate<Side = Client>>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    deadline: Instant,
) -> Result<Stream<S, N>, Error> {
    secured(transport, client(machine, tls, name)?, &Until(deadline))
}

/// [`connect`] for a caller that accepts a server without TLS.
///
/// # Errors
/// As [`connect`], but for a refusal, which is [`Channel::Plaintext`].
pub fn connect_or_plaintext<S: Read + Write, N: Negotiate<Side = Client>>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    allow: AllowPlaintext,
) -> Result<Channel<S, N>, Error> {
    establish(transport, client(machine, tls, name)?.or_plaintext(allow), &Forever)
}

/// Negotiates TLS as the server and returns the encrypted stream.
///
/// # Errors
/// [`Error::Session`] if the client does not ask for TLS, misbehaves or fails the handshake;
/// [`Error::Transport`] if the transport fails.
pub fn accept<S: Read + Write, N: Negotiate<Side = Server>>(
    transport: S,
    machine: N,
    tls: &ServerTls,
) -> Result<Stream<S, N>, Error> {
    secured(transport, server(machine, tls)?, &Forever)
}

/// [`accept`], done before `deadline` or failed with [`std::io::ErrorKind::TimedOut`].
///
/// # Errors
/// As [`accept`].
pub fn accept_by<S: Read + Write + Timeouts, N: Negotiate<Side = Server>>(
    transport: S,
    machine: N,
    tls: &ServerTls,
    deadline: Instant,
) -> Result<Stream<S, N>, Error> {
    secured(transport, server(machine, tls)?, &Until(deadline))
}

/// [`accept`] for a caller that serves clients without TLS too.
///
/// # Errors
/// As [`accept`], but for a client that does not ask, which is [`Channel::Plaintext`].
pub fn accept_or_plaintext<S: Read + Write, N: Negotiate<Side = Server>>(
    transport: S,
    machine: N,
    tls: &ServerTls,
    allow: AllowPlaintext,
) -> Result<Channel<S, N>, Error> {
    establish(transport, server(machine, tls)?.or_plaintext(allow), &Forever)
}

/// What a negotiation that may end in plaintext ended in.
#[derive(Debug)]
pub enum Channel<S, N> {
    /// TLS.
    Secured(Stream<S, N>),
    /// No TLS, because the peer declined it and the caller allowed that.
    Plaintext(Plaintext<S, N>),
}

fn client<N: Negotiate<Side = Client>>(
    machine: N,
    tls: &ClientTls,
    name: &str,
) -> Result<HeapSession<N>, Error> {
    let (input, output) = buffers();
    Ok(Session::client(machine, tls, name, input, output)?)
}

fn server<N: Negotiate<Side = Server>>(
    machine: N,
    tls: &ServerTls,
) -> Result<HeapSession<N>, Error> {
    let (input, output) = buffers();
    Ok(Session::server(machine, tls, input, output)?)
}

fn secured<S: Read + Write, N: Negotiate>(
    transport: S,
    session: HeapSession<N>,
    limit: &dyn Limit<S>,
) -> Result<Stream<S, N>, Error> {
    match establish(transport, session, limit)? {
        Channel::Secured(stream) => Ok(stream),
        // A session that was not told to allow plaintext reports the refusal as an error.
        Channel::Plaintext(plain) => Err(starttls::Error::PeerRefused(plain.why()).into()),
    }
}

fn establish<S: Read + Write, N: Negotiate>(
    transport: S,
    session: HeapSession<N>,
    limit: &dyn Limit<S>,
) -> Result<Channel<S, N>, Error> {
    let mut stream = Stream::new(session, transport);
    match stream.establish(limit)? {
        Event::Plaintext(_) => Ok(Channel::Plaintext(stream.into_plaintext()?)),
        _ => {
            stream.send(limit)?;
            limit.lift(stream.get_ref())?;
            Ok(Channel::Secured(stream))
        }
    }
}
