//! A server whose application is a script.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use starttls::negotiate::{Negotiate, Server};
use starttls::protocol::{
    Names, ServerMachine, http as http_machine, mysql as mysql_machine, scheme,
};
use starttls::tls::{ServerTls, Version};
use starttls_std::Stream;

use super::ftp::ftp;
use super::http::{http, upgraded};
use super::ldap::ldap;
use super::lines::{IMAP, IRC, MANAGESIEVE, NNTP, POP3, Script, TELNET, XMPP};
use super::mysql::mysql;
use super::postgresql::postgresql;
use super::{Door, Ended, OWN};
use crate::peers::Identity;

/// What the servers' tags, ids and nonces are made of.
pub const RANDOM: [u8; 16] = *b"known to a test!";

/// What its MySQL server calls its version.
const MYSQL_VERSION: &str = "8.0.0";

/// What happened inside TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The version of TLS, if it came to that.
    pub version: Option<Version>,
    /// What the client said, in the words of the application.
    pub heard: Vec<String>,
    /// How it ended.
    pub ended: Ended,
}

/// A server that listens until it is dropped.
#[derive(Debug)]
pub struct Scripted {
    /// The port on 127.0.0.1.
    pub port: u16,
    door: Door<Session>,
}

impl Scripted {
    /// A server for a URL scheme on a free port, which speaks both versions of TLS. Inside them it
    /// has for the protocol's client a login and something to read.
    ///
    /// # Panics
    /// If there is no script for the scheme.
    pub fn start(name: &str, identity: &Identity) -> Self {
        let lines = |script: &'static Script| {
            Self::of(name, identity, |upgraded, channel| script.play(upgraded, channel))
        };
        match name {
            "imap" | "imaps" => lines(&IMAP),
            "pop3" | "pop3s" => lines(&POP3),
            "nntp" | "nntps" => lines(&NNTP),
            "managesieve" => lines(&MANAGESIEVE),
            "irc" | "ircs" => lines(&IRC),
            "telnet" | "telnets" => lines(&TELNET),
            "xmpp-client" | "xmpp-clients" | "xmpp-server" | "xmpp-servers" => lines(&XMPP),
            "ftp" | "ftps" => Self::of(name, identity, ftp),
            "ldap" | "ldaps" => Self::of(name, identity, |_, channel| ldap(channel)),
            "postgresql" | "postgresqls" => {
                Self::of(name, identity, |_, channel| postgresql(channel))
            }
            "mysql" => {
                let machine = || mysql_machine::Server::new(MYSQL_VERSION, RANDOM);
                Self::by(identity, move || machine().expect("a version"), mysql)
            }
            "http" => Self::by(identity, http_machine::Server::new, upgraded),
            "https" => Self::of(name, identity, |_, channel| http(channel)),
            _ => panic!("no script for {name}"),
        }
    }

    /// By the machine of the table. The application is told whether the client upgraded, and says
    /// whether it took its leave.
    fn of<A>(name: &str, identity: &Identity, application: A) -> Self
    where
        A: Fn(bool, &mut Inside<'_>) -> io::Result<bool> + Send + Sync + 'static,
    {
        let scheme = scheme(name).expect("a scheme of the table");
        let names = Names { random: Some(RANDOM), ..Names::new(OWN) };
        let machine = move || scheme.server(names).expect("good names");
        Self::by(identity, machine, move |channel| application(!scheme.implicit, channel))
    }

    fn by<M, N, A>(identity: &Identity, machine: N, application: A) -> Self
    where
        M: Negotiate<Side = Server>,
        N: Fn() -> M + Send + Sync + 'static,
        A: Fn(&mut Channel<'_, M>) -> io::Result<bool> + Send + Sync + 'static,
    {
        let tls = super::tls(identity);
        let door = Door::open(0, move |transport| {
            let (mut version, mut heard) = (None, Vec::new());
            let ended = super::serve(transport, machine(), &tls, |stream| {
                version = stream.session().version();
                application(&mut Channel { stream, tls: &tls, heard: &mut heard })
            });
            Session { version, heard, ended }
        });
        Self { port: door.port, door }
    }

    /// Waits up to 30 seconds for `count` sessions to end, and returns all that have.
    ///
    /// # Panics
    /// If fewer do.
    pub fn sessions(&self, count: usize) -> Vec<Session> {
        self.door.sessions(count)
    }

    /// Checks that this is all that `count` clients said, each inside this version of TLS, before
    /// they took their leave.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn heard(&self, count: usize, version: Version, said: &[&str]) {
        let sessions = self.sessions(count);
        assert_eq!(sessions.len(), count, "{sessions:#?}");
        for session in sessions {
            assert_eq!(session.heard, said, "{session:#?}");
            assert_eq!(session.version, Some(version), "{session:#?}");
            assert!(matches!(session.ended, Ended::Quit { .. }), "{session:#?}");
        }
    }

    /// Checks that one client came, and said nothing inside TLS.
    ///
    /// # Panics
    /// If it did.
    #[track_caller]
    pub fn heard_nothing(&self) {
        let sessions = self.sessions(1);
        assert!(sessions.iter().all(|session| session.heard.is_empty()), "{sessions:#?}");
    }
}

/// The channel of a machine from the table.
pub(super) type Inside<'a> = Channel<'a, ServerMachine<'static>>;

/// A channel inside TLS, for an application.
#[derive(Debug)]
pub(super) struct Channel<'a, M> {
    stream: &'a mut Stream<TcpStream, M>,
    tls: &'a ServerTls,
    heard: &'a mut Vec<String>,
}

impl<M: Negotiate> Channel<'_, M> {
    /// The machine that negotiated.
    pub(super) fn machine(&self) -> &M {
        self.stream.session().machine().expect("an upgraded session")
    }

    /// The same configuration, for another connection.
    pub(super) fn tls(&self) -> &ServerTls {
        self.tls
    }

    /// Remembers what the client said.
    pub(super) fn hear(&mut self, words: impl Into<String>) {
        self.heard.push(words.into());
    }

    pub(super) fn say(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(octets.as_ref())
    }

    pub(super) fn octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets)?;
        Ok(octets)
    }

    pub(super) fn octet(&mut self) -> io::Result<u8> {
        Ok(self.octets(1)?[0])
    }

    /// The next line, without CRLF; none if the client said that nothing more comes.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        let (mut line, mut octet) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            match self.stream.read(&mut octet)? {
                0 if line.is_empty() => return Ok(None),
                0 => return Err(unknown(&String::from_utf8_lossy(&line))),
                _ => line.extend(octet),
            }
        }
        line.truncate(line.len() - 2);
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

/// The client said what the script does not know.
pub(super) fn unknown(words: &str) -> io::Error {
    io::Error::other(words)
}
