//! Our servers on loopback, for the clients of others: `starttls_std::accept` with an application
//! inside TLS, a thread each connection. For mail that is a [`Receiver`](starttls::receiver::Receiver)
//! ([`Serving`]); for all else a script that knows what one client will ask ([`Scripted`]).

mod ftp;
mod http;
pub mod ldap;
mod lines;
mod mail;
pub mod mysql;
pub mod postgresql;
mod script;

pub use mail::{Serving, Taken};
pub use script::{RANDOM, Scripted, Session};

use std::fmt::Debug;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use starttls::negotiate::{Negotiate, Server};
use starttls::tls::ServerTls;
use starttls_std::Stream;

use crate::peers::Identity;

/// What the servers call themselves.
pub const OWN: &str = "mail.test";

/// How long a client may take for a handshake, and for each of its turns.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There was no channel.
    NoChannel(Option<starttls::Error>),
    /// The client said QUIT, and then close_notify or not.
    Quit {
        /// Whether it did.
        close_notify: bool,
    },
    /// The client left in another way, after close_notify or not.
    Left {
        /// Whether it did.
        close_notify: bool,
    },
    /// The client broke the protocol inside TLS.
    Inside(starttls::Error),
    /// The client said what the application does not know.
    Unknown(String),
}

/// A port that is open until it is dropped, and what became of those who came.
#[derive(Debug)]
struct Door<T: Debug> {
    port: u16,
    shared: Arc<Shared<T>>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<T> {
    over: AtomicBool,
    sessions: Mutex<Vec<T>>,
}

impl<T: Clone + Debug + Send + 'static> Door<T> {
    /// Opens a port, any one for 0, and has each who comes there served.
    fn open(port: u16, serve: impl Fn(TcpStream) -> T + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared { over: AtomicBool::new(false), sessions: Mutex::default() });
        let listening = thread::spawn({
            let (shared, serve) = (shared.clone(), Arc::new(serve));
            move || shared.listen(&listener, &serve)
        });
        Self { port, shared, listening: Some(listening) }
    }

    /// Waits up to 30 seconds for `count` sessions to end, and says what all did that have.
    fn sessions(&self, count: usize) -> Vec<T> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let sessions = self.shared.sessions.lock().expect("no panic").clone();
            if sessions.len() >= count {
                return sessions;
            }
            assert!(Instant::now() < deadline, "{count} sessions: {sessions:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl<T: Debug> Drop for Door<T> {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes it up.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let listening = self.listening.take().map(JoinHandle::join);
        if thread::panicking() {
            eprintln!("---- the server, {listening:?}: {:?}", self.shared.sessions);
        }
    }
}

impl<T: Send + 'static> Shared<T> {
    fn listen<F>(self: &Arc<Self>, listener: &TcpListener, serve: &Arc<F>)
    where
        F: Fn(TcpStream) -> T + Send + Sync + 'static,
    {
        for transport in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(transport) = transport else { continue };
            let (shared, serve) = (self.clone(), serve.clone());
            thread::spawn(move || {
                let session = serve(transport);
                shared.sessions.lock().expect("no panic").push(session);
            });
        }
    }
}

/// Both versions of TLS, with this certificate.
fn tls(identity: &Identity) -> ServerTls {
    let chain = identity.chain_der.iter().map(|der| der.clone().into()).collect();
    let key = PrivateKeyDer::try_from(identity.key_der.clone()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
        .expect("a key and its certificate");
    ServerTls::new(Arc::new(config)).expect("no early data")
}

/// Accepts a client, and talks to it inside TLS: `false` if the client just leaves.
fn serve<M: Negotiate<Side = Server>>(
    transport: TcpStream,
    machine: M,
    tls: &ServerTls,
    converse: impl FnOnce(&mut Stream<TcpStream, M>) -> io::Result<bool>,
) -> Ended {
    let mut stream = match accept(transport, machine, tls) {
        Ok(stream) => stream,
        Err(error) => return Ended::NoChannel(error.session()),
    };
    match converse(&mut stream) {
        Ok(true) => Ended::Quit { close_notify: stream.close().is_ok() },
        Ok(false) => Ended::Left { close_notify: true },
        Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(&error) if error != starttls::Error::Truncated => Ended::Inside(error),
            None if error.kind() == io::ErrorKind::Other => Ended::Unknown(error.to_string()),
            _ => Ended::Left { close_notify: false },
        },
    }
}

/// The way into TLS, of whoever has patience for no more than that.
fn accept<M: Negotiate<Side = Server>>(
    transport: TcpStream,
    machine: M,
    tls: &ServerTls,
) -> Result<Stream<TcpStream, M>, starttls_std::Error> {
    let stream = starttls_std::accept_by(transport, machine, tls, Instant::now() + PATIENCE)?;
    stream.get_ref().set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.get_ref().set_write_timeout(Some(PATIENCE)).expect("a socket");
    Ok(stream)
}
