//! The table of machines: one line a protocol and role. All dialogues, laws, attacks and fuzz
//! targets run over it.

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Residue, Server, Side};
use starttls::protocol::{self, Implicit, http, smtp, xmpp};

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
const HEADS: (usize, usize) = (0, 3);
const TAGS: (usize, usize) = (1, 0);
const PEER: Option<&str> = Some("peer");
const CLIENT: Option<&str> = Some("client");
const SERVER: Option<&str> = Some("server");

#[rustfmt::skip]
static CLIENTS: &[Entry<Client>] = &[
    Entry { name: "smtp", new: smtp_client, row: "smtp", named: CLIENT, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "lmtp", new: lmtp_client, row: "lmtp", named: CLIENT, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "xmpp-client", new: xmpp_client_client, row: "xmpp-client", named: PEER, dialogue: "xmpp-client-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_go_ahead, shape: exact },
    Entry { name: "xmpp-server", new: xmpp_server_client, row: "xmpp-server", named: PEER, dialogue: "xmpp-server-prosody", residue: Residue::Forbid, max_frame: 2048, max_state: 88, again: TAGS, go_ahead: xmpp_go_ahead, shape: exact },
    Entry { name: "http", new: http_client, row: "http", named: PEER, dialogue: "http-rfc2817", residue: Residue::Forbid, max_frame: 2048, max_state: 48, again: LINES, go_ahead: http_go_ahead, shape: exact },
    Entry { name: "implicit", new: implicit_client, row: "smtp", named: None, dialogue: "implicit", residue: Residue::Tls, max_frame: 0, max_state: 8, again: LINES, go_ahead: at_once, shape: exact },
];

#[rustfmt::skip]
static SERVERS: &[Entry<Server>] = &[
    Entry { name: "smtp", new: smtp_server, row: "smtp", named: SERVER, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "lmtp", new: lmtp_server, row: "lmtp", named: SERVER, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
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

/// The elements that matter, whatever their prefix, and in the header who speaks to whom.
fn xmpp_tags(octets: &[u8]) -> Vec<String> {
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
fn http_answer(octets: &[u8]) -> Vec<String> {
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
    fn shapes_tell_streams_apart() {
        let ours = xmpp_tags(b"<?xml version='1.0'?><a:stream to='x' from='y'><a:features/>");
        assert_eq!(ours, ["stream from='y' to='x'", "features "]);
        assert_eq!(ours, xmpp_tags(b"<stream\r\nfrom = \"y\" to='x' id='1'> <features><z/>"));
        assert_ne!(ours, xmpp_tags(b"<stream to='x' from='z'><features/>"));
        assert_ne!(ours, xmpp_tags(b"<stream to='x' from='y'>"));
    }
}
