//! Each machine alone, driven from what only the caller knows, so that nothing of it is left out
//! or computed beforehand. `./tests/run panics` compiles this by itself and searches what comes
//! out for calls of a panic: there must be none.
#![cfg_attr(feature = "alone", no_std)]

use starttls::Error;
use starttls::negotiate::{AllowPlaintext, Negotiate, Negotiation, Status};
use starttls::protocol::{
    Implicit, Row, acap, ftp, http, imap, irc, ldap, managesieve, mysql, nntp, pop3, postgresql,
    smtp, telnet, xmpp,
};
use starttls::wire::{Out, RecvBuf};

#[cfg(feature = "alone")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// What a caller brings.
#[derive(Debug)]
pub struct Caller<'a> {
    /// Its own name.
    pub own: &'a str,
    /// The server's.
    pub peer: &'a str,
    /// A server's extension lines.
    pub extensions: &'a [&'a str],
    /// Octets that nobody can guess.
    pub random: [u8; 16],
    /// For implicit TLS.
    pub row: &'static Row,
    /// The policy.
    pub plaintext: bool,
    /// A receive buffer.
    pub storage: &'a mut [u8],
    /// An output buffer.
    pub output: &'a mut [u8],
    /// The transport: reads octets, and takes those that are sent.
    pub transport: fn(sent: &[u8], room: &mut [u8]) -> usize,
}

/// Makes a machine and negotiates to the end.
pub type Drive = fn(Caller<'_>) -> Result<(), Error>;

/// The machines: a protocol's name, its client and its server.
#[used]
pub static MACHINES: [(&str, Drive, Drive); 18] = [
    (
        "smtp",
        |c| drive(smtp::Client::new(c.own)?, c),
        |c| drive(smtp::Server::new(c.own, c.extensions)?, c),
    ),
    (
        "lmtp",
        |c| drive(smtp::Client::lmtp(c.own)?, c),
        |c| drive(smtp::Server::lmtp(c.own, c.extensions)?, c),
    ),
    (
        "imap",
        |c| drive(imap::Client::new(c.random), c),
        |c| drive(imap::Server::new(c.extensions)?, c),
    ),
    (
        "pop3",
        |c| drive(pop3::Client::new(), c),
        |c| drive(pop3::Server::new(c.own, c.extensions)?, c),
    ),
    (
        "acap",
        |c| drive(acap::Client::new(c.random), c),
        |c| drive(acap::Server::new(c.extensions)?, c),
    ),
    (
        "xmpp-client",
        |c| drive(xmpp::Client::to_server(c.peer)?, c),
        |c| drive(xmpp::Server::to_client(c.own, c.random)?, c),
    ),
    (
        "xmpp-server",
        |c| drive(xmpp::Client::server_to_server(c.own, c.peer)?, c),
        |c| drive(xmpp::Server::server_to_server(c.own, c.random)?, c),
    ),
    (
        "nntp",
        |c| drive(nntp::Client::new(), c),
        |c| drive(nntp::Server::new(c.own, c.extensions)?, c),
    ),
    (
        "nnsp",
        |c| drive(nntp::Client::transit(), c),
        |c| drive(nntp::Server::transit(c.own, c.extensions)?, c),
    ),
    ("irc", |c| drive(irc::Client::new(), c), |c| drive(irc::Server::new(c.own, c.extensions)?, c)),
    ("ftp", |c| drive(ftp::Client::new(), c), |c| drive(ftp::Server::new(c.own, c.extensions)?, c)),
    ("ldap", |c| drive(ldap::Client::new(), c), |c| drive(ldap::Server::new(), c)),
    ("http", |c| drive(http::Client::new(c.peer)?, c), |c| drive(http::Server::new(), c)),
    (
        "managesieve",
        |c| drive(managesieve::Client::new(), c),
        |c| drive(managesieve::Server::new(c.extensions)?, c),
    ),
    (
        "postgresql",
        |c| drive(postgresql::Client::new(), c),
        |c| drive(postgresql::Server::new(), c),
    ),
    (
        "mysql",
        |c| drive(mysql::Client::new(), c),
        |c| drive(mysql::Server::new(c.own, c.random)?, c),
    ),
    ("telnet", |c| drive(telnet::Client::new(), c), |c| drive(telnet::Server::new(), c)),
    ("implicit", |c| drive(Implicit::client(c.row), c), |c| drive(Implicit::server(c.row), c)),
];

/// The loop of the crate's first page, and every way in which a negotiation can end.
fn drive<M: Negotiate>(machine: M, caller: Caller<'_>) -> Result<(), Error> {
    let mut recv = RecvBuf::new(caller.storage);
    let mut negotiation = match caller.plaintext {
        true => Negotiation::or_plaintext(machine, AllowPlaintext),
        false => Negotiation::new(machine),
    };
    loop {
        let mut out = Out::new(caller.output);
        let status = negotiation.process(&mut recv, &mut out);
        let room = match status {
            Ok(Status::NeedInput) => recv.spare_mut(),
            _ => &mut [],
        };
        let n = (caller.transport)(out.octets(), room);
        match status {
            Ok(Status::Progress) | Err(Error::OutputFull) => {}
            Ok(Status::NeedInput) if n == 0 => return Err(negotiation.close_received()),
            Ok(Status::NeedInput) => recv.received(n)?,
            Ok(Status::Ready) => {
                let (upgrade, _) = negotiation.upgrade(recv)?;
                let (records, tls) = upgrade.into_foreign_tls();
                (caller.transport)(tls.decrypted(records.octets()).octets(), &mut []);
                return Ok(());
            }
            Err(_) => {
                if let Some(text) = negotiation.untrusted_text(&recv) {
                    (caller.transport)(text.untrusted_octets(), &mut []);
                }
                let plaintext = negotiation.into_plaintext(recv)?;
                (caller.transport)(plaintext.octets, &mut []);
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_protocol_is_missing() {
        for row in starttls::protocol::TABLE {
            assert!(MACHINES.iter().any(|(name, ..)| *name == row.name), "{}", row.name);
        }
    }
}
