//! Our server on loopback, for the clients of others: `starttls_std::accept` with a [`Receiver`]
//! inside TLS, a thread each connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use starttls::protocol::{Mail, Names, Scheme, ServerMachine, scheme};
use starttls::receiver::{Account, Received, Receiver};
use starttls::tls::{ServerTls, Version};
use starttls::wire::Out;
use starttls_std::Stream;

use crate::mail::decrypted;
use crate::peers::{Identity, PASSWORD, USER};

/// What the server calls itself.
pub const OWN: &str = "mail.test";

/// How long a client may take for a handshake, and for each of its turns.
const PATIENCE: Duration = Duration::from_secs(20);

/// One mail, as the server got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Whether the client had logged in.
    pub login: bool,
    /// The message.
    pub message: Vec<u8>,
    /// The version of TLS it came through.
    pub version: Version,
}

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
}

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Serving {
    /// The port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    scheme: Scheme,
    tls: ServerTls,
    login: bool,
    over: AtomicBool,
    mails: Mutex<Vec<Taken>>,
    ends: Mutex<Vec<Ended>>,
}

impl Serving {
    /// A server for a URL scheme on a free port, which speaks both versions of TLS.
    pub fn start(scheme: &str, identity: &Identity) -> Self {
        Self::listen(scheme, identity, 0, false)
    }

    /// The same for those who log in as [`USER`] with [`PASSWORD`].
    pub fn with_login(scheme: &str, identity: &Identity) -> Self {
        Self::listen(scheme, identity, 0, true)
    }

    /// The same for everybody, on a port that is known before.
    ///
    /// # Panics
    /// If it cannot listen there.
    pub fn on_port(scheme: &str, identity: &Identity, port: u16) -> Self {
        Self::listen(scheme, identity, port, false)
    }

    fn listen(name: &str, identity: &Identity, port: u16, login: bool) -> Self {
        let chain = identity.chain_der.iter().map(|der| der.clone().into()).collect();
        let key = PrivateKeyDer::try_from(identity.key_der.clone()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .expect("a key and its certificate");
        let shared = Arc::new(Shared {
            scheme: scheme(name).expect("a scheme of the table"),
            tls: ServerTls::new(Arc::new(config)).expect("no early data"),
            login,
            over: AtomicBool::new(false),
            mails: Mutex::default(),
            ends: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let listening = thread::spawn({
            let shared = shared.clone();
            move || shared.listen(&listener)
        });
        Self { port, shared, listening: Some(listening) }
    }

    /// The mails so far.
    pub fn mails(&self) -> Vec<Taken> {
        self.shared.mails.lock().expect("no panic").clone()
    }

    /// Waits up to 30 seconds for `count` sessions to end, and says how all did that have.
    ///
    /// # Panics
    /// If fewer do.
    pub fn ends(&self, count: usize) -> Vec<Ended> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let ends = self.shared.ends.lock().expect("no panic").clone();
            if ends.len() >= count {
                return ends;
            }
            assert!(Instant::now() < deadline, "{count} sessions: {ends:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes it up.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        let listening = self.listening.take().map(JoinHandle::join);
        if thread::panicking() {
            let (mails, ends) = (&self.shared.mails, &self.shared.ends);
            eprintln!("---- the server, {listening:?}: {mails:?} {ends:?}");
        }
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for transport in listener.incoming() {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let Ok(transport) = transport else { continue };
            let shared = self.clone();
            thread::spawn(move || {
                let ended = shared.serve(transport);
                shared.ends.lock().expect("no panic").push(ended);
            });
        }
    }

    fn machine(&self) -> ServerMachine<'static> {
        let extensions = &["PIPELINING", "8BITMIME"];
        self.scheme.server(Names { extensions, ..Names::new(OWN) }).expect("good names")
    }

    fn serve(&self, transport: TcpStream) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let accepted = starttls_std::accept_by(transport, self.machine(), &self.tls, deadline);
        let mut stream = match accepted {
            Ok(stream) => stream,
            Err(error) => return Ended::NoChannel(error.session()),
        };
        stream.get_ref().set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.get_ref().set_write_timeout(Some(PATIENCE)).expect("a socket");
        match self.converse(&mut stream) {
            Ok(true) => Ended::Quit { close_notify: stream.close().is_ok() },
            Ok(false) => Ended::Left { close_notify: true },
            Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(&error) if error != starttls::Error::Truncated => Ended::Inside(error),
                _ => Ended::Left { close_notify: false },
            },
        }
    }

    /// Answers until the session is over; `false` if the client just leaves.
    fn converse(&self, stream: &mut Stream<TcpStream, ServerMachine<'static>>) -> io::Result<bool> {
        let mail = self.scheme.row.mail.unwrap_or(Mail::Smtp);
        let mut receiver = Receiver::new(mail, OWN, self.scheme.implicit)?.with_size(10_000_000);
        if self.login {
            receiver = receiver.with_account(Account { user: USER, password: PASSWORD });
        }
        let version = stream.session().version().expect("a channel");
        let fresh =
            || Taken { from: String::new(), to: vec![], login: false, message: vec![], version };
        let (mut taken, mut login) = (fresh(), false);
        let (mut data, mut room, mut filled) = ([0; 8192], [0; 4096], 0);
        loop {
            let mut rest = decrypted(&data[..filled]);
            loop {
                let mut out = Out::new(&mut room);
                let (used, received) = match receiver.process(rest, &mut out) {
                    Ok(done) => done,
                    Err(error) => {
                        stream.write_all(out.octets())?;
                        return Err(io::Error::other(error));
                    }
                };
                stream.write_all(out.octets())?;
                let text = |octets| String::from_utf8_lossy(octets).into_owned();
                match received {
                    Received::NeedInput => break,
                    Received::Closed => return Ok(true),
                    Received::Send => {}
                    Received::Authenticated => login = true,
                    Received::Sender(from) => taken = Taken { from: text(from), login, ..fresh() },
                    Received::Recipient(to) => taken.to.push(text(to)),
                    Received::Body(piece) => taken.message.extend_from_slice(piece),
                    Received::MessageEnd => {
                        let whole = std::mem::replace(&mut taken, fresh());
                        self.mails.lock().expect("no panic").push(whole);
                    }
                    Received::Reset => taken = fresh(),
                }
                rest = rest.skip(used);
            }
            filled = stream.read(&mut data)?;
            if filled == 0 {
                return Ok(false);
            }
        }
    }
}
