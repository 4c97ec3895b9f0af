//! A server for mail.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use starttls::protocol::{Mail, Names, Scheme, ServerMachine, scheme};
use starttls::receiver::{Account, Received, Receiver};
use starttls::tls::{ServerTls, Version};
use starttls::wire::Out;
use starttls_std::Stream;

use super::{Door, Ended, OWN};
use crate::mail::decrypted;
use crate::peers::{Identity, PASSWORD, USER};

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

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Serving {
    /// The port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    door: Door<Ended>,
}

#[derive(Debug)]
struct Shared {
    scheme: Scheme,
    tls: ServerTls,
    login: bool,
    mails: Mutex<Vec<Taken>>,
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
        let shared = Arc::new(Shared {
            scheme: scheme(name).expect("a scheme of the table"),
            tls: super::tls(identity),
            login,
            mails: Mutex::default(),
        });
        let door = Door::open(port, {
            let shared = shared.clone();
            move |transport| {
                let machine = shared.machine();
                super::serve(transport, machine, &shared.tls, |stream| shared.converse(stream))
            }
        });
        Self { port: door.port, shared, door }
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
        self.door.sessions(count)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- the server has {:?}", self.shared.mails);
        }
    }
}

impl Shared {
    fn machine(&self) -> ServerMachine<'static> {
        let extensions = &["PIPELINING", "8BITMIME"];
        self.scheme.server(Names { extensions, ..Names::new(OWN) }).expect("good names")
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
