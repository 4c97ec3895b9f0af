//! The table of machines: one line a protocol and role. All dialogues, laws, attacks and fuzz
//! targets run over it.

use std::sync::LazyLock;

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Residue, Server, Side};
use starttls::protocol::{
    self, Implicit, acap, ftp, http, imap, irc, ldap, managesieve, mysql, nntp, pop3, postgresql,
    smtp, telnet, xmpp,
};

use crate::dialogue::{Setting, Speaker};
use crate::inside;

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

impl<S: Side> Clone for Entry<S> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
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
        static ALL: LazyLock<Vec<Entry<Client>>> =
            LazyLock::new(|| [CLIENTS, inside::CLIENTS].concat());
        &ALL
    }
}

impl Role for Server {
    const SPEAKER: Speaker = Speaker::Server;
    const NAME: &'static str = "server";
    fn table() -> &'static [Entry<Self>] {
        static ALL: LazyLock<Vec<Entry<Server>>> =
            LazyLock::new(|| [SERVERS, inside::SERVERS].concat());
        &ALL
    }
}

pub(crate) const LINES: (usize, usize) = (0, 1);
/// Tag and length.
pub(crate) const BER: (usize, usize) = (6, 0);
/// Length.
pub(crate) const PACKET: (usize, usize) = (3, 0);
/// IAC, command, option.
pub(crate) const COMMAND: (usize, usize) = (3, 0);
pub(crate) const HEADS: (usize, usize) = (0, 3);
pub(crate) const TAGS: (usize, usize) = (1, 0);
pub(crate) const PEER: Option<&str> = Some("peer");
pub(crate) const CLIENT: Option<&str> = Some("client");
pub(crate) const SERVER: Option<&str> = Some("server");

#[rustfmt::skip]
static CLIENTS: &[Entry<Client>] = &[
    Entry { name: "smtp", new: smtp_client, row: "smtp", named: CLIENT, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "lmtp", new: lmtp_client, row: "lmtp", named: CLIENT, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "pop3", new: pop3_client, row: "pop3", named: None, dialogue: "pop3-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: LINES, go_ahead: pop3_go_ahead, shape: exact },
    Entry { name: "nntp", new: nntp_client, row: "nntp", named: None, dialogue: "nntp-rfc4642", residue: Residue::Forbid, max_frame: 2048, max_state: 24, again: LINES, go_ahead: nntp_go_ahead, shape: exact },
    Entry { name: "nnsp", new: nnsp_client, row: "nnsp", named: None, dialogue: "nnsp-transit", residue: Residue::Forbid, max_frame: 2048, max_state: 24, again: LINES, go_ahead: nntp_go_ahead, shape: exact },
    Entry { name: "irc", new: irc_client, row: "irc", named: None, dialogue: "irc-inspircd", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: LINES, go_ahead: irc_go_ahead, shape: exact },
    Entry { name: "ftp", new: ftp_client, row: "ftp", named: None, dialogue: "ftp-rfc4217", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: LINES, go_ahead: ftp_go_ahead, shape: exact },
    Entry { name: "imap", new: imap_client, row: "imap", named: None, dialogue: "imap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: imap_go_ahead, shape: exact },
    Entry { name: "acap", new: acap_client, row: "acap", named: None, dialogue: "acap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: acap_go_ahead, shape: exact },
    Entry { name: "managesieve", new: managesieve_client, row: "managesieve", named: None, dialogue: "managesieve-dovecot", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: managesieve_go_ahead, shape: exact },
    Entry { name: "ldap", new: ldap_client, row: "ldap", named: None, dialogue: "ldap-slapd", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: BER, go_ahead: ldap_go_ahead, shape: exact },
    Entry { name: "postgresql", new: postgresql_client, row: "postgresql", named: None, dialogue: "postgresql-15", residue: Residue::Forbid, max_frame: 1, max_state: 8, again: (0, 0), go_ahead: postgresql_go_ahead, shape: exact },
    Entry { name: "mysql", new: mysql_client, row: "mysql", named: None, dialogue: "mysql-mariadb", residue: Residue::Forbid, max_frame: 1024, max_state: 32, again: PACKET, go_ahead: mysql_greeting, shape: exact },
    Entry { name: "telnet", new: telnet_client, row: "telnet", named: None, dialogue: "telnet-draft", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: COMMAND, go_ahead: telnet_go_ahead, shape: exact },
    Entry { name: "xmpp-client", new: xmpp_client_client, row: "xmpp-client", named: PEER, dialogue: "xmpp-client-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_go_ahead, shape: exact },
    Entry { name: "xmpp-server", new: xmpp_server_client, row: "xmpp-server", named: PEER, dialogue: "xmpp-server-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_go_ahead, shape: exact },
    Entry { name: "http", new: http_client, row: "http", named: PEER, dialogue: "http-rfc2817", residue: Residue::Forbid, max_frame: 2048, max_state: 56, again: LINES, go_ahead: http_go_ahead, shape: exact },
    Entry { name: "implicit", new: implicit_client, row: "smtp", named: None, dialogue: "implicit", residue: Residue::Tls, max_frame: 0, max_state: 8, again: LINES, go_ahead: at_once, shape: exact },
];

#[rustfmt::skip]
static SERVERS: &[Entry<Server>] = &[
    Entry { name: "smtp", new: smtp_server, row: "smtp", named: SERVER, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "lmtp", new: lmtp_server, row: "lmtp", named: SERVER, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "pop3", new: pop3_server, row: "pop3", named: SERVER, dialogue: "pop3-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 48, again: LINES, go_ahead: pop3_request, shape: pop3_replies },
    Entry { name: "nntp", new: nntp_server, row: "nntp", named: SERVER, dialogue: "nntp-rfc4642", residue: Residue::Forbid, max_frame: 2048, max_state: 56, again: LINES, go_ahead: nntp_request, shape: nntp_replies },
    Entry { name: "nnsp", new: nnsp_server, row: "nnsp", named: SERVER, dialogue: "nnsp-transit", residue: Residue::Forbid, max_frame: 2048, max_state: 56, again: LINES, go_ahead: nntp_request, shape: nntp_replies },
    Entry { name: "irc", new: irc_server, row: "irc", named: SERVER, dialogue: "irc-inspircd", residue: Residue::Forbid, max_frame: 2048, max_state: 48, again: LINES, go_ahead: irc_request, shape: irc_replies },
    Entry { name: "ftp", new: ftp_server, row: "ftp", named: SERVER, dialogue: "ftp-rfc4217", residue: Residue::Forbid, max_frame: 2048, max_state: 48, again: LINES, go_ahead: ftp_request, shape: ftp_replies },
    Entry { name: "imap", new: imap_server, row: "imap", named: None, dialogue: "imap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: imap_request, shape: tagged_lines },
    Entry { name: "acap", new: acap_server, row: "acap", named: None, dialogue: "acap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: acap_request, shape: tagged_lines },
    Entry { name: "managesieve", new: managesieve_server, row: "managesieve", named: None, dialogue: "managesieve-dovecot", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: managesieve_request, shape: managesieve_lines },
    Entry { name: "ldap", new: ldap_server, row: "ldap", named: None, dialogue: "ldap-slapd", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: BER, go_ahead: ldap_request, shape: ldap_codes },
    Entry { name: "postgresql", new: postgresql_server, row: "postgresql", named: None, dialogue: "postgresql-15", residue: Residue::Forbid, max_frame: 8, max_state: 8, again: (0, 0), go_ahead: postgresql_request, shape: exact },
    Entry { name: "mysql", new: mysql_server, row: "mysql", named: None, dialogue: "mysql-mariadb", residue: Residue::Tls, max_frame: 36, max_state: 48, again: PACKET, go_ahead: mysql_request, shape: mysql_flag },
    Entry { name: "telnet", new: telnet_server, row: "telnet", named: None, dialogue: "telnet-draft", residue: Residue::Forbid, max_frame: 2048, max_state: 8, again: COMMAND, go_ahead: telnet_request, shape: exact },
    Entry { name: "xmpp-client", new: xmpp_client_server, row: "xmpp-client", named: SERVER, dialogue: "xmpp-client-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_request, shape: xmpp_tags },
    Entry { name: "xmpp-server", new: xmpp_server_server, row: "xmpp-server", named: SERVER, dialogue: "xmpp-server-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_request, shape: xmpp_tags },
    Entry { name: "http", new: http_server, row: "http", named: None, dialogue: "http-rfc2817", residue: Residue::Forbid, max_frame: 8192, max_state: 72, again: HEADS, go_ahead: http_request, shape: http_answer },
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

fn pop3_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(pop3::Client::new()))
}

fn pop3_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(pop3::Server::new(setting.value("server"), setting.list("extensions"))?))
}

fn nntp_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(nntp::Client::new()))
}

fn nntp_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(nntp::Server::new(setting.value("server"), setting.list("extensions"))?))
}

fn nnsp_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(nntp::Client::transit()))
}

fn nnsp_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(nntp::Server::transit(setting.value("server"), setting.list("extensions"))?))
}

fn irc_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(irc::Client::new()))
}

fn irc_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(irc::Server::new(setting.value("server"), setting.list("extensions"))?))
}

fn ftp_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(ftp::Client::new()))
}

fn ftp_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(ftp::Server::new(setting.value("server"), setting.list("extensions"))?))
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

/// Whether a line is `head` alone or `head` and text.
pub(crate) fn says(line: &[u8], head: &str) -> bool {
    let rest = line.strip_prefix(head.as_bytes());
    rest.is_some_and(|rest| rest == b"\r\n" || rest.starts_with(b" "))
}

fn pop3_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    says(last, "+OK") && sent == b"CAPA\r\nSTLS\r\n"
}

fn pop3_request(last: &[u8], sent: &[u8]) -> bool {
    last.trim_ascii().eq_ignore_ascii_case(b"STLS")
        && sent.ends_with(b"+OK Begin TLS negotiation\r\n")
}

fn nntp_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    says(last, "382") && sent == b"CAPABILITIES\r\nSTARTTLS\r\n"
}

fn nntp_request(last: &[u8], sent: &[u8]) -> bool {
    let continues = sent.ends_with(b"\r\n382 Continue with TLS negotiation\r\n");
    last.trim_ascii().eq_ignore_ascii_case(b"STARTTLS") && continues
}

fn ftp_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    says(last, "234") && sent == b"FEAT\r\nAUTH TLS\r\n"
}

fn ftp_request(last: &[u8], sent: &[u8]) -> bool {
    let words: Vec<_> =
        last.trim_ascii().split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).collect();
    words.join(&b' ').eq_ignore_ascii_case(b"AUTH TLS")
        && sent.ends_with(b"\r\n234 Proceed with TLS negotiation\r\n")
}

/// The first word behind tags and source.
pub(crate) fn irc_command(line: &str) -> Option<&str> {
    let line = line.trim_ascii_end();
    let line = if line.starts_with('@') { line.split_once(' ')?.1.trim_start() } else { line };
    let line = if line.starts_with(':') { line.split_once(' ')?.1.trim_start() } else { line };
    line.split(' ').next()
}

fn irc_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    irc_command(&String::from_utf8_lossy(last)) == Some("670") && sent.starts_with(b"STARTTLS\r\n")
}

fn irc_request(last: &[u8], sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(last);
    let asked = irc_command(&text).is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS"));
    asked && sent.ends_with(b" 670 * :STARTTLS successful, proceed with TLS handshake\r\n")
}

// What two peers' words have in common.

pub(crate) fn exact(octets: &[u8]) -> Vec<String> {
    vec![octets.escape_ascii().to_string()]
}

/// The code of each reply, and for 250 the lines behind the first: extensions, in any order.
pub(crate) fn smtp_replies(octets: &[u8]) -> Vec<String> {
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

/// Heads of replies, as `head` finds them in a line, each with the other lines up to the next,
/// in any order.
fn replies(octets: &[u8], head: fn(&str) -> Option<&str>) -> Vec<String> {
    let text = String::from_utf8_lossy(octets);
    let mut replies: Vec<Vec<&str>> = Vec::new();
    for line in text.split_inclusive("\r\n") {
        match (head(line), replies.last_mut()) {
            (None, Some(reply)) => reply.push(line.trim_end()),
            (head, _) => replies.push(vec![head.unwrap_or(line)]),
        }
    }
    let shape = |mut reply: Vec<&str>| {
        reply[1..].sort_unstable();
        reply.join("/")
    };
    replies.into_iter().map(shape).collect()
}

pub(crate) fn pop3_replies(octets: &[u8]) -> Vec<String> {
    replies(octets, |line| ["+OK", "-ERR"].into_iter().find(|head| says(line.as_bytes(), head)))
}

pub(crate) fn nntp_replies(octets: &[u8]) -> Vec<String> {
    replies(octets, |line| line.get(..3).filter(|code| code.bytes().all(|o| o.is_ascii_digit())))
}

/// The codes; what stands between is free text but for 211.
pub(crate) fn ftp_replies(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets);
    let (mut shape, mut open) = (Vec::new(), None);
    for line in text.split_inclusive("\r\n") {
        match open {
            None => {
                shape.push(line[..3].to_owned());
                open = line[3..].starts_with('-').then(|| &line[..3]);
            }
            Some(code) if says(line.as_bytes(), code) => open = None,
            Some("211") => shape.push(line.to_owned()),
            Some(_) => {}
        }
    }
    shape.sort_unstable();
    shape
}

/// Commands and numerics but for those that may come at any time.
pub(crate) fn irc_replies(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets);
    let heads = text.split_inclusive("\r\n").filter_map(irc_command);
    heads.filter(|head| !["NOTICE", "020", ""].contains(head)).map(str::to_owned).collect()
}

fn imap_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(imap::Client::new(random(setting))))
}

fn imap_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(imap::Server::new(setting.list("extensions"))?))
}

fn acap_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(acap::Client::new(random(setting))))
}

fn acap_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(acap::Server::new(setting.list("extensions"))?))
}

fn managesieve_client(_: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(managesieve::Client::new()))
}

fn managesieve_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(managesieve::Server::new(setting.list("extensions"))?))
}

/// Octets nobody can guess, but for those who read the file: `# random:` in hexadecimal digits.
pub(crate) fn random(setting: &'static Setting) -> [u8; 16] {
    u128::from_str_radix(setting.value("random"), 16).expect("sixteen octets").to_be_bytes()
}

/// A tagged OK, and the last that was sent is STARTTLS with that tag.
fn imap_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let tag = last.get(..17).unwrap_or_default();
    let answer = last.get(17..19).is_some_and(|word| word.eq_ignore_ascii_case(b"OK"));
    let end = matches!(last.get(19), Some(b' ' | b'\r'));
    answer && end && sent.ends_with(&[b"\r\n", tag, b"STARTTLS\r\n"].concat())
}

/// The same, or the end of a text that was begun behind it.
fn acap_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let tagged = sent.strip_suffix(b" STARTTLS\r\n").is_some_and(|tag| tag.len() == 16);
    let begun = last.get(..19).is_none_or(|front| front[..16] != sent[..16]);
    tagged && last.ends_with(b"\r\n") && (begun || last[17..19].eq_ignore_ascii_case(b"OK"))
}

fn managesieve_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let no = last.len() > 2 && last[..2].eq_ignore_ascii_case(b"NO");
    sent == b"STARTTLS\r\n" && last.ends_with(b"\r\n") && !no
}

/// The request, and an answer with its tag.
fn imap_request(last: &[u8], sent: &[u8]) -> bool {
    let Some((tag, command)) = last.iter().position(|o| *o == b' ').map(|at| last.split_at(at))
    else {
        return false;
    };
    let answer = [b"\r\n", tag, b" OK Begin TLS negotiation now\r\n"].concat();
    command.eq_ignore_ascii_case(b" STARTTLS\r\n") && sent.ends_with(&answer)
}

fn acap_request(last: &[u8], sent: &[u8]) -> bool {
    let Some((tag, command)) = last.iter().position(|o| *o == b' ').map(|at| last.split_at(at))
    else {
        return false;
    };
    let answer = [b"\r\n", tag, b" OK \"Begin TLS negotiation now\"\r\n"].concat();
    command.eq_ignore_ascii_case(b" STARTTLS\r\n") && sent.ends_with(&answer)
}

fn managesieve_request(last: &[u8], sent: &[u8]) -> bool {
    last.eq_ignore_ascii_case(b"STARTTLS\r\n")
        && sent.ends_with(b"\r\nOK \"Begin TLS negotiation now\"\r\n")
}

/// Tag and status of each line, and the capabilities, in any order. LOGINDISABLED is as the server
/// likes.
pub(crate) fn tagged_lines(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut words: Vec<_> = line.split(' ').collect();
        let rest = words.split_off(words.len().min(2));
        let mut capabilities = match (words[1], rest.first()) {
            ("CAPABILITY", _) => rest,
            ("ACAP", _) => line[6..].split(" (").collect(),
            (_, Some(&"[CAPABILITY")) => {
                line.split_once(']').map_or("", |(front, _)| front).split(' ').skip(3).collect()
            }
            _ => Vec::new(),
        };
        capabilities.retain(|capability| *capability != "LOGINDISABLED");
        capabilities.sort_unstable();
        lines.push(format!("{} {}", words.join(" "), capabilities.join("/")));
    }
    lines
}

/// The names of the capabilities, in any order, and the status. What the implementation calls itself
/// and its mechanisms are as the server likes, as is NOTIFY.
pub(crate) fn managesieve_lines(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let (mut names, mut status) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with("\"NOTIFY\"")) {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "\"SIEVE\"" | "\"VERSION\"" | "\"STARTTLS\"" => names.push(format!("{name} {value}")),
            name if name.starts_with('"') => names.push(name.to_owned()),
            name => status.push(name.to_ascii_uppercase()),
        }
    }
    names.sort_unstable();
    [names, status].concat()
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

const START_TLS: &[u8] = b"\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// The resultCode is 0, with its length in any form (X.690 §8.1.3).
fn ldap_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let zero = |octets: &[u8]| {
        let Some(rest) = octets.strip_prefix(b"\x0a") else { return false };
        let long = rest.first().map_or(0, |form| usize::from(form.saturating_sub(0x80)));
        let Some([length, code @ ..]) = rest.get(long..) else { return false };
        let code = code.get(..usize::from(*length)).unwrap_or_default();
        !code.is_empty() && code.iter().all(|&octet| octet == 0)
    };
    let operation = last.iter().position(|&octet| octet == 0x78);
    operation.is_some_and(|at| (at..last.len()).any(|at| zero(&last[at..])))
        && sent == [b"\x30\x1d\x02\x01\x01", START_TLS].concat()
}

fn ldap_request(last: &[u8], sent: &[u8]) -> bool {
    let asked = last.windows(START_TLS.len() - 4).any(|w| w == &START_TLS[4..]);
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

fn xmpp_client_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(xmpp::Client::to_server(setting.value("peer"))?))
}

fn xmpp_server_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    let (from, to) = (setting.value("client"), setting.value("peer"));
    Ok(Box::new(xmpp::Client::server_to_server(from, to)?))
}

fn xmpp_client_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(xmpp::Server::to_client(setting.value("server"), *b"0123456789abcdef")?))
}

fn xmpp_server_server(setting: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(xmpp::Server::server_to_server(setting.value("server"), *b"0123456789abcdef")?))
}

fn http_client(setting: &'static Setting) -> Result<Machine<Client>, Error> {
    Ok(Box::new(http::Client::new(setting.value("peer"))?))
}

fn http_server(_: &'static Setting) -> Result<Machine<Server>, Error> {
    Ok(Box::new(http::Server::new()))
}

fn xmpp_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    let tag = last.strip_prefix(b"</").or(last.strip_prefix(b"<")).unwrap_or_default();
    let name = tag.split(|octet| b" \t\r\n/>".contains(octet)).next().unwrap_or_default();
    let proceed = name == b"proceed" || name.ends_with(b":proceed");
    proceed && sent.ends_with(b"'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
}

fn xmpp_request(last: &[u8], sent: &[u8]) -> bool {
    let starttls = last.windows(8).any(|octets| octets == b"starttls") && last.ends_with(b">");
    starttls && sent.ends_with(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
}

fn http_go_ahead(last: &[u8], sent: &[u8]) -> bool {
    last == b"\r\n" && sent.ends_with(b"\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n")
}

fn http_request(last: &[u8], sent: &[u8]) -> bool {
    let request = String::from_utf8_lossy(last).to_ascii_lowercase();
    let asks = |text: &str| request.contains(text);
    let (_, answer) = sent.split_at(sent.len().saturating_sub(85));
    let go_ahead = answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\n");
    go_ahead && asks("upgrade") && asks("tls/1.") && asks("host") && asks("connection")
}

/// The elements that matter, whatever their prefix, and in the header who speaks to whom.
pub(crate) fn xmpp_tags(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).replace('"', "'").replace(" = ", "=");
    let mut shape = Vec::new();
    for tag in text.split('<').skip(1).filter(|tag| !tag.starts_with('/')) {
        let words: Vec<&str> = tag.split([' ', '\r', '\n', '>']).collect();
        let (_, name) = words[0].split_once(':').unwrap_or(("", words[0]));
        let name = name.trim_end_matches('/');
        let keys = ["from='", "to='", "version='", "xmlns='"];
        let mut said: Vec<&str> = match name {
            "stream" => words[1..].to_vec(),
            "features" | "starttls" | "proceed" => Vec::new(),
            _ => continue,
        };
        said.retain(|word| keys.iter().any(|key| word.starts_with(key)));
        said.sort_unstable();
        shape.push(format!("{name} {}", said.join(" ")));
    }
    shape
}

/// The first line, and whether it names TLS/1.0.
pub(crate) fn http_answer(octets: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let upgrade =
        text.lines().any(|line| line.starts_with("Upgrade: ") && line.contains("TLS/1.0"));
    text.lines().take(1).map(|line| format!("{line} {upgrade}")).collect()
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

    #[test]
    fn tagged_shapes_tell_lines_apart() {
        let ours = tagged_lines(b"* CAPABILITY A B LOGINDISABLED\r\na OK x\r\n");
        assert_eq!(ours, ["* CAPABILITY A/B", "a OK "]);
        assert_eq!(tagged_lines(b"* OK [CAPABILITY B A] x\r\n"), ["* OK A/B"]);
        assert_eq!(tagged_lines(b"* ACAP (B) (A \"x\")\r\n"), ["* ACAP /A \"x\")/B)"]);
        let ours = managesieve_lines(b"\"SIEVE\" \"a b\"\r\n\"SASL\" \"X\"\r\noK\r\n");
        assert_eq!(ours, ["\"SASL\"", "\"SIEVE\" \"a b\"", "OK"]);
    }

    #[test]
    fn shapes_tell_streams_apart() {
        let ours = xmpp_tags(b"<?xml version='1.0'?><a:stream to='x' from='y'><a:features/>");
        assert_eq!(ours, ["stream from='y' to='x'", "features "]);
        assert_eq!(ours, xmpp_tags(b"<stream\r\nfrom = \"y\" to='x' id='1'> <features><z/>"));
        assert_ne!(ours, xmpp_tags(b"<stream to='x' from='z'><features/>"));
        assert_ne!(ours, xmpp_tags(b"<stream to='x' from='y'>"));
    }
}
