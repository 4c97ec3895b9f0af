//! The table of machines: one line a protocol and role. All dialogues, laws, attacks and fuzz
//! targets run over it.

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Residue, Server, Side};
use starttls::protocol::{self, Implicit, ldap, mysql, postgresql, smtp, telnet};

use crate::dialogue::{Setting, Speaker};

/// A machine of either kind on the heap.
pub type Machine<S> = Box<dyn Negotiate<Side = S>>;

/// What the tests know of one protocol in one role, written down and not asked of the machine.
#[derive(Debug)]
pub struct Entry<S: Side + 'static> {
    /// The name its dialogues and attacks have in their `protocol` header.
    pub name: &'static str,
    /// The machine for a dialogue, or the error its names deserve.
    pub new: fn(&'static Setting) -> Result<Machine<S>, Error>,
    /// The name of its row.
    pub row: &'static str,
    /// The setting that names our side, where it says its name.
    pub named: Option<&'static str>,
    /// The one dialogue that the slow laws play.
    pub dialogue: &'static str,
    /// What may stand behind the last plaintext frame.
    pub residue: Residue,
    /// The longest frame, in octets.
    pub max_frame: usize,
    /// The most octets of state.
    pub max_state: usize,
    /// How many octets, at the front of a frame and before the first new one, framing looks at
    /// again.
    pub again: (usize, usize),
    /// Whether TLS may begin after the peer's last frame, given all that our side has said.
    pub go_ahead: fn(last: &[u8], sent: &[u8]) -> bool,
    /// What must agree between two servers' words for one turn.
    pub shape: fn(&[u8]) -> Vec<String>,
}

/// A role whose machines stand in the table.
pub trait Role: Side + Sized + 'static {
    /// Who our side is in a dialogue.
    const SPEAKER: Speaker;
    /// Its name in the tables of counts.
    const NAME: &'static str;
    /// Its half of the table.
    fn table() -> &'static [Entry<Self>];

    /// The entry of `name`.
    fn entry(name: &str) -> Option<&'static Entry<Self>> {
        Self::table().iter().find(|entry| entry.name == name)
    }
}

impl Role for Client {
    const SPEAKER: Speaker = Speaker::Client;
    const NAME: &'static str = "client";
    fn table() -> &'static [Entry<Self>] {
        CLIENTS
    }
}

impl Role for Server {
    const SPEAKER: Speaker = Speaker::Server;
    const NAME: &'static str = "server";
    fn table() -> &'static [Entry<Self>] {
        SERVERS
    }
}

const LINES: (usize, usize) = (0, 1);
/// Tag and length.
const BER: (usize, usize) = (6, 0);
/// Length.
const PACKET: (usize, usize) = (3, 0);
/// IAC, command, option.
const COMMAND: (usize, usize) = (3, 0);
const CLIENT: Option<&str> = Some("client");
const SERVER: Option<&str> = Some("server");

#[rustfmt::skip]
static CLIENTS: &[Entry<Client>] = &[
    Entry { name: "smtp", new: smtp_client, row: "smtp", named: CLIENT, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "lmtp", new: lmtp_client, row: "lmtp", named: CLIENT, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "ldap", new: ldap_client, row: "ldap", named: None, dialogue: "ldap-slapd", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: BER, go_ahead: ldap_go_ahead, shape: exact },
    Entry { name: "postgresql", new: postgresql_client, row: "postgresql", named: None, dialogue: "postgresql-15", residue: Residue::Forbid, max_frame: 1, max_state: 8, again: (0, 0), go_ahead: postgresql_go_ahead, shape: exact },
    Entry { name: "mysql", new: mysql_client, row: "mysql", named: None, dialogue: "mysql-mariadb", residue: Residue::Forbid, max_frame: 1024, max_state: 32, again: PACKET, go_ahead: mysql_greeting, shape: exact },
    Entry { name: "telnet", new: telnet_client, row: "telnet", named: None, dialogue: "telnet-draft", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: COMMAND, go_ahead: telnet_go_ahead, shape: exact },
    Entry { name: "implicit", new: implicit_client, row: "smtp", named: None, dialogue: "implicit", residue: Residue::Tls, max_frame: 0, max_state: 8, again: LINES, go_ahead: at_once, shape: exact },
];

#[rustfmt::skip]
static SERVERS: &[Entry<Server>] = &[
    Entry { name: "smtp", new: smtp_server, row: "smtp", named: SERVER, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "lmtp", new: lmtp_server, row: "lmtp", named: SERVER, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "ldap", new: ldap_server, row: "ldap", named: None, dialogue: "ldap-slapd", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: BER, go_ahead: ldap_request, shape: ldap_codes },
    Entry { name: "postgresql", new: postgresql_server, row: "postgresql", named: None, dialogue: "postgresql-15", residue: Residue::Forbid, max_frame: 8, max_state: 8, again: (0, 0), go_ahead: postgresql_request, shape: exact },
    Entry { name: "mysql", new: mysql_server, row: "mysql", named: None, dialogue: "mysql-mariadb", residue: Residue::Tls, max_frame: 36, max_state: 48, again: PACKET, go_ahead: mysql_request, shape: mysql_flag },
    Entry { name: "telnet", new: telnet_server, row: "telnet", named: None, dialogue: "telnet-draft", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: COMMAND, go_ahead: telnet_request, shape: exact },
    Entry { name: "implicit", new: implicit_server, row: "smtp", named: None, dialogue: "implicit", residue: Residue::Tls, max_frame: 0, max_state: 8, again: LINES, go_ahead: at_once, shape: exact },
];

// Constructors.

fn smtp_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(smtp::Client::new(setting.value("client"))?))
}

fn lmtp_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(smtp::Client::lmtp(setting.value("client"))?))
}

fn smtp_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(smtp::Server::new(setting.value("server"), setting.list("extensions"))?))
}

fn lmtp_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(smtp::Server::lmtp(setting.value("server"), setting.list("extensions"))?))
}

fn ldap_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(ldap::Client::new()))
}

fn ldap_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(ldap::Server::new()))
}

fn postgresql_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(postgresql::Client::new()))
}

fn postgresql_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(postgresql::Server::new()))
}

fn mysql_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(mysql::Client::new()))
}

fn mysql_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(mysql::Server::new("8.0.36", *b"0123456789abcdef")?))
}

fn telnet_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(telnet::Client::new()))
}

fn telnet_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(telnet::Server::new()))
}

fn implicit_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(Implicit::client(&protocol::SMTP)))
}

fn implicit_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(Implicit::server(&protocol::SMTP)))
}

// When TLS may begin, in words other than the machine's.

fn at_once(last: &[u8], sent: &[u8]) -> bool {
    last.is_empty() && sent.is_empty()
}

fn smtp_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    (last.starts_with(b"220 ") || last == b"220\r\n") && sent.ends_with(b"\r\nSTARTTLS\r\n")
}

fn smtp_request(last: &[u8], sent: &[u8]) -> bool {
    last.trim_ascii().eq_ignore_ascii_case(b"STARTTLS") && sent.ends_with(b"\r\n220 Go ahead\r\n")
}

const START_TLS: &[u8] = b"\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

fn ldap_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let operation = last.iter().position(|&octet| octet == 0x78);
    let code = |at: usize| last[at..].windows(3).any(|w| w == b"\x0a\x01\x00");
    operation.is_some_and(code) && sent == [b"\x30\x1d\x02\x01\x01", START_TLS].concat()
}

fn ldap_request(last: &[u8], sent: &[u8]) -> bool {
    let asked = last.windows(START_TLS.len() - 2).any(|w| w == &START_TLS[2..]);
    asked && sent.ends_with(b"\x78\x07\x0a\x01\x00\x04\x00\x04\x00")
}

const SSL_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

fn postgresql_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    last == b"S" && sent == SSL_REQUEST
}

fn postgresql_request(last: &[u8], sent: &[u8]) -> bool {
    last == SSL_REQUEST && matches!(sent, b"S" | b"NS")
}

/// The greeting itself, which offers CLIENT_SSL behind the version and 15 octets more; and the
/// request that was sent on it.
fn mysql_greeting(last: &[u8], sent: &[u8]) -> bool {
    let end = last[5..].iter().position(|&octet| octet == 0).expect("a version") + 5;
    let ssl = last[..5].ends_with(b"\x00\x0a") && last[end + 15] & 8 != 0;
    ssl && sent.len() == 36 && sent.starts_with(b"\x20\x00\x00\x01") && sent[5] & 8 != 0
}

fn mysql_request(last: &[u8], sent: &[u8]) -> bool {
    let asked = last.len() == 36 && last.starts_with(b"\x20\x00\x00\x01") && last[5] & 8 != 0;
    asked && usize::from(sent[0]) + 4 == sent.len() && sent[4..].starts_with(b"\x0a8.0.36\x00")
}

const FOLLOWS: &[u8] = b"\xff\xfa\x2e\x01\xff\xf0";

/// FOLLOWS comes in three elements, the last of which is IAC SE.
fn telnet_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    last == &FOLLOWS[4..] && sent.starts_with(b"\xff\xfb\x2e") && sent.ends_with(FOLLOWS)
}

fn telnet_request(last: &[u8], sent: &[u8]) -> bool {
    last == &FOLLOWS[4..] && sent.starts_with(b"\xff\xfd\x2e") && sent.ends_with(FOLLOWS)
}

// What two peers' words have in common.

fn exact(octets: &[u8]) -> Vec<String> {
    vec![octets.escape_ascii().to_string()]
}

/// The code of each reply, and for 250 the lines behind the first: extensions, in any order.
fn smtp_replies(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let (mut replies, mut tail) = (Vec::new(), Vec::new());
    let mut first = true;
    for line in text.split_inclusive("\r\n") {
        let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
        if !first && code == "250" {
            tail.push(rest[1..].trim_end());
        }
        first = !rest.starts_with('-');
        if first {
            tail.sort_unstable();
            replies.push(format!("{code} {}", std::mem::take(&mut tail).join("/")));
        }
    }
    replies
}

/// The resultCode.
fn ldap_codes(octets: &[u8]) -> Vec<String> {
    let codes = octets.windows(3).filter(|window| window.starts_with(b"\x0a\x01"));
    codes.map(|window| format!("code {}", window[2])).collect()
}

/// Sequence and protocol of a greeting, and whether it offers TLS.
fn mysql_flag(octets: &[u8]) -> Vec<String> {
    let Some([_, _, _, sequence, protocol, rest @ ..]) = octets.get(..) else { return vec![] };
    let ssl = rest.iter().position(|&octet| octet == 0).map(|end| rest[end + 15] & 8);
    vec![format!("{sequence} {protocol} {ssl:?}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_tell_replies_apart() {
        let ours = smtp_replies(b"220 x\r\n250-a\r\n250-B\r\n250 A\r\n");
        assert_eq!(ours, ["220 ", "250 A/B"]);
        assert_eq!(ours, smtp_replies(b"220-y\r\n220 z\r\n250-q\r\n250-A\r\n250 B\r\n"));
        assert_ne!(ours, smtp_replies(b"220 x\r\n250-a\r\n250 B\r\n"));
        assert_ne!(ours, smtp_replies(b"220 x\r\n"));
    }
}
