//! The table of machines: one line a protocol and role. All dialogues, laws, attacks and fuzz
//! targets run over it.

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Residue, Server, Side};
use starttls::protocol::{self, Implicit, acap, imap, managesieve, smtp};

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
const CLIENT: Option<&str> = Some("client");
const SERVER: Option<&str> = Some("server");

#[rustfmt::skip]
static CLIENTS: &[Entry<Client>] = &[
    Entry { name: "smtp", new: smtp_client, row: "smtp", named: CLIENT, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "lmtp", new: lmtp_client, row: "lmtp", named: CLIENT, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_go_ahead, shape: exact },
    Entry { name: "imap", new: imap_client, row: "imap", named: None, dialogue: "imap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: imap_go_ahead, shape: exact },
    Entry { name: "acap", new: acap_client, row: "acap", named: None, dialogue: "acap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: acap_go_ahead, shape: exact },
    Entry { name: "managesieve", new: managesieve_client, row: "managesieve", named: None, dialogue: "managesieve-dovecot", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: managesieve_go_ahead, shape: exact },
    Entry { name: "implicit", new: implicit_client, row: "smtp", named: None, dialogue: "implicit", residue: Residue::Tls, max_frame: 0, max_state: 8, again: LINES, go_ahead: at_once, shape: exact },
];

#[rustfmt::skip]
static SERVERS: &[Entry<Server>] = &[
    Entry { name: "smtp", new: smtp_server, row: "smtp", named: SERVER, dialogue: "smtp-rfc3207", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "lmtp", new: lmtp_server, row: "lmtp", named: SERVER, dialogue: "lmtp-rfc2033", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: smtp_request, shape: smtp_replies },
    Entry { name: "imap", new: imap_server, row: "imap", named: None, dialogue: "imap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: imap_request, shape: tagged_lines },
    Entry { name: "acap", new: acap_server, row: "acap", named: None, dialogue: "acap-rfc2595", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: acap_request, shape: tagged_lines },
    Entry { name: "managesieve", new: managesieve_server, row: "managesieve", named: None, dialogue: "managesieve-dovecot", residue: Residue::Forbid, max_frame: 2048, max_state: 64, again: LINES, go_ahead: managesieve_request, shape: managesieve_lines },
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
fn random(setting: &'static Setting) -> [u8; 16] {
    u128::from_str_radix(setting.value("random"), 16).expect("sixteen octets").to_be_bytes()
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

/// Tag and status of each line, and the capabilities, in any order. LOGINDISABLED is as the server
/// likes.
fn tagged_lines(octets: &[u8]) -> Vec<String> {
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
fn managesieve_lines(octets: &[u8]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn shapes_tell_replies_apart() {
        let ours = smtp_replies(b"220 x\r\n250-a\r\n250-B\r\n250 A\r\n");
        assert_eq!(ours, ["220 ", "250 A/B"]);
        assert_eq!(ours, smtp_replies(b"220-y\r\n220 z\r\n250-q\r\n250-A\r\n250 B\r\n"));
        assert_ne!(ours, smtp_replies(b"220 x\r\n250-a\r\n250 B\r\n"));
        assert_ne!(ours, smtp_replies(b"220 x\r\n"));
    }
}
