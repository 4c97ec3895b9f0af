//! What is said first inside TLS, in the same table as the negotiations: a dialogue with a line
//! `A:` behind `<TLS>` is two, and the second is of the protocol `NAME-inside`. So the laws, the
//! attacks and the fuzz targets hold for these machines without more ado.

use starttls::Error;
use starttls::error::Misbehaviour;
use starttls::inside::{Inside, Step};
use starttls::negotiate::{Client, Negotiate, Next, Residue, Server};
use starttls::protocol::{ClientMachine, Names, Row, ServerMachine, scheme};
use starttls::wire::{Frame, Out};

use crate::dialogue::Setting;
use crate::table::{
    BER, CLIENT, COMMAND, Entry, LINES, Machine, PACKET, PEER, SERVER, TAGS, exact, ftp_replies,
    http_answer, irc_replies, managesieve_lines, nntp_replies, pop3_replies, random, smtp_replies,
    tagged_lines, xmpp_tags,
};

// The paths are for a crate that takes this file from another folder.
#[path = "inside/mail.rs"]
mod mail;
#[path = "inside/news.rs"]
mod news;
#[path = "inside/streams.rs"]
mod streams;

/// An opening, dressed as a negotiation for the player. The hand-over is where the application
/// takes the channel; a client's says `application` there, which is a server's last frame.
#[derive(Debug)]
struct Within<M> {
    machine: M,
    application: &'static [u8],
    /// The machine is done behind a frame of this length, and only the application's words did not
    /// fit.
    done: Option<usize>,
    frames: u16,
}

impl<M: Inside> Within<M> {
    fn new(machine: M, application: &'static [u8]) -> Self {
        Self { machine, application, done: None, frames: 0 }
    }

    fn next(&mut self, step: Step, frame: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        if step == Step::Frame {
            return Ok(Next::Frame);
        }
        self.done = Some(frame.len());
        out.put(&[self.application])?;
        Ok(Next::Tls)
    }
}

impl<M: Inside> Negotiate for Within<M> {
    type Side = M::Side;

    fn row(&self) -> &'static Row {
        self.machine.row()
    }

    fn max_frame(&self) -> usize {
        self.machine.max_frame()
    }

    fn residue(&self) -> Residue {
        // Behind a server's last frame, its application reads on.
        let forbid = !self.machine.goes_on() && !self.application.is_empty();
        if forbid { Residue::Forbid } else { Residue::Tls }
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        let step = match self.done {
            Some(_) => Step::Ready,
            None => self.machine.start(&[], out)?,
        };
        self.next(step, &[], out)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        match self.done {
            Some(length) => Ok(Frame::Whole(length)),
            None => self.machine.frame(input, scanned),
        }
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        // The driver of an opening counts.
        if self.frames == 512 {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let before = out.len();
        let step = match self.done {
            Some(_) => Step::Ready,
            None => self.machine.process(frame, behind, out)?,
        };
        assert!(
            step == Step::Frame || out.len() == before,
            "nothing is said behind the last frame"
        );
        let next = self.next(step, frame, out)?;
        self.frames += 1;
        Ok(next)
    }
}

/// A client's machine and a server's for a URL scheme, each with what it says first inside TLS.
///
/// # Panics
/// If the setting does not have the names they need.
pub fn opening(
    name: &str,
    setting: &'static Setting,
) -> (ClientMachine<'static>, ServerMachine<'static>) {
    let (scheme, random) = (scheme(name).expect(name), Some([7; 16]));
    let [client, server] = ["client", "server"].map(|own| names(setting, own));
    let [client, server] =
        [client, server].map(|names| Names { random: names.random.or(random), ..names });
    let make = || -> Result<_, Error> {
        let inside = (scheme.inside_client(client)?, scheme.inside_server(server)?);
        let client: ClientMachine<'static> = Box::new(scheme.client(client)?.then(inside.0));
        let server: ServerMachine<'static> = Box::new(scheme.server(server)?.then(inside.1));
        Ok((client, server))
    };
    make().expect("good names")
}

fn names(setting: &'static Setting, own: &str) -> Names<'static> {
    Names {
        own: setting.value(own),
        peer: setting.value("peer"),
        extensions: setting.list("extensions"),
        random: (!setting.value("random").is_empty()).then(|| random(setting)),
    }
}

/// The most octets of state of a machine.
const MAX_STATE: usize = 128;

fn client(name: &str, setting: &'static Setting) -> Result<Machine<Client>, Error> {
    let machine = scheme(name).expect(name).inside_client(names(setting, "client"))?;
    assert!(size_of_val(&*machine) <= MAX_STATE, "{name}: {}", size_of_val(&*machine));
    Ok(Box::new(Within::new(machine, setting.octets("application"))))
}

fn server(name: &str, setting: &'static Setting) -> Result<Machine<Server>, Error> {
    let machine = scheme(name).expect(name).inside_server(names(setting, "server"))?;
    assert!(size_of_val(&*machine) <= MAX_STATE, "{name}: {}", size_of_val(&*machine));
    Ok(Box::new(Within::new(machine, b"")))
}

/// A client's entry. `residue` is forbidden where the server must not go on unasked, and the
/// octets of state are those of its dress.
macro_rules! client {
    ($scheme:literal, $row:literal, $named:expr, $dialogue:literal, $residue:ident, $max_frame:expr, $again:expr, $ready:expr) => {
        Entry {
            name: concat!($scheme, "-inside"),
            new: |setting| client($scheme, setting),
            row: $row,
            named: $named,
            dialogue: concat!($dialogue, "-inside"),
            residue: Residue::$residue,
            max_frame: $max_frame,
            max_state: size_of::<Within<Box<dyn Inside<Side = Client>>>>(),
            again: $again,
            go_ahead: $ready,
            shape: exact,
        }
    };
}

/// A server's entry.
macro_rules! server {
    ($scheme:literal, $row:literal, $named:expr, $dialogue:literal, $max_frame:expr, $again:expr, $ready:expr, $shape:expr) => {
        Entry {
            name: concat!($scheme, "-inside"),
            new: |setting| server($scheme, setting),
            row: $row,
            named: $named,
            dialogue: concat!($dialogue, "-inside"),
            residue: Residue::Tls,
            max_frame: $max_frame,
            max_state: size_of::<Within<Box<dyn Inside<Side = Server>>>>(),
            again: $again,
            go_ahead: $ready,
            shape: $shape,
        }
    };
}

#[rustfmt::skip]
pub(crate) static CLIENTS: &[Entry<Client>] = &[
    client!("smtp", "smtp", CLIENT, "smtp-postfix", Forbid, 2048, LINES, smtp_hello),
    client!("smtps", "smtp", CLIENT, "smtps-postfix", Forbid, 2048, LINES, smtp_hello),
    client!("lmtp", "lmtp", CLIENT, "lmtp-dovecot", Forbid, 2048, LINES, smtp_hello),
    client!("postgresql", "postgresql", None, "postgresql-15", Forbid, 0, (0, 0), streams::first),
    client!("postgresqls", "postgresql", None, "postgresqls-17", Forbid, 0, (0, 0), streams::first),
    client!("mysql", "mysql", None, "mysql-mariadb", Forbid, 0, (0, 0), streams::first),
    client!("telnet", "telnet", None, "telnet-draft", Tls, 0, (0, 0), streams::first),
    client!("telnets", "telnet", None, "telnets-rfc858", Tls, 0, (0, 0), streams::first),
    client!("xmpp-client", "xmpp-client", PEER, "xmpp-client-prosody", Tls, 2048, TAGS, streams::xmpp_features),
    client!("xmpp-clients", "xmpp-client", PEER, "xmpp-clients-xep0368", Tls, 2048, TAGS, streams::xmpp_features),
    client!("xmpp-server", "xmpp-server", PEER, "xmpp-server-prosody", Tls, 2048, TAGS, streams::xmpp_features),
    client!("xmpp-servers", "xmpp-server", PEER, "xmpp-servers-xep0368", Tls, 2048, TAGS, streams::xmpp_features),
    client!("http", "http", None, "http-chunked", Forbid, 2048, LINES, streams::http_end),
    client!("https", "http", None, "https-rfc9110", Forbid, 0, (0, 0), streams::first),
    client!("imap", "imap", None, "imap-rfc2595", Tls, 2048, LINES, mail::imap_capabilities),
    client!("imaps", "imap", None, "imaps-dovecot", Tls, 2048, LINES, mail::imap_capabilities),
    client!("pop3", "pop3", None, "pop3-dovecot", Forbid, 2048, LINES, mail::pop3_capabilities),
    client!("pop3s", "pop3", None, "pop3s-dovecot", Forbid, 2048, LINES, mail::pop3_capabilities),
    client!("acap", "acap", None, "acap-rfc2595", Tls, 2048, LINES, mail::unasked),
    client!("managesieve", "managesieve", None, "managesieve-rfc5804", Forbid, 2048, LINES, mail::unasked),
    client!("nntp", "nntp", None, "nntp-rfc4642", Forbid, 2048, LINES, news::nntp_answer),
    client!("nntps", "nntp", None, "nntps-nnrpd", Forbid, 2048, LINES, news::nntp_answer),
    client!("nnsp", "nnsp", None, "nnsp-transit", Forbid, 2048, LINES, news::nntp_answer),
    client!("ftp", "ftp", None, "ftp-vsftpd", Forbid, 2048, LINES, news::ftp_answer),
    client!("ftps", "ftp", None, "ftps-vsftpd", Forbid, 2048, LINES, news::ftp_answer),
    client!("irc", "irc", None, "irc-short", Tls, 0, (0, 0), streams::first),
    client!("ircs", "irc", None, "ircs-inspircd", Tls, 0, (0, 0), streams::first),
    client!("ldap", "ldap", None, "ldap-slapd", Forbid, 0, (0, 0), streams::first),
    client!("ldaps", "ldap", None, "ldaps-slapd", Forbid, 0, (0, 0), streams::first),
];

#[rustfmt::skip]
pub(crate) static SERVERS: &[Entry<Server>] = &[
    server!("smtp", "smtp", SERVER, "smtp-postfix", 2048, LINES, smtp_application, smtp_replies),
    server!("smtps", "smtp", SERVER, "smtps-postfix", 2048, LINES, smtp_application, smtp_replies),
    server!("lmtp", "lmtp", SERVER, "lmtp-dovecot", 2048, LINES, smtp_application, smtp_replies),
    server!("postgresql", "postgresql", None, "postgresql-15", 8, (0, 0), streams::postgresql_packet, exact),
    server!("postgresqls", "postgresql", None, "postgresqls-17", 8, (0, 0), streams::postgresql_packet, exact),
    server!("mysql", "mysql", None, "mysql-mariadb", 6, PACKET, streams::mysql_packet, exact),
    server!("telnet", "telnet", None, "telnet-draft", 3, COMMAND, streams::telnet_element, exact),
    server!("telnets", "telnet", None, "telnets-rfc858", 3, COMMAND, streams::telnet_element, exact),
    server!("xmpp-client", "xmpp-client", SERVER, "xmpp-client-prosody", 2048, TAGS, streams::xmpp_element, xmpp_tags),
    server!("xmpp-clients", "xmpp-client", SERVER, "xmpp-clients-xep0368", 2048, TAGS, streams::xmpp_element, xmpp_tags),
    server!("xmpp-server", "xmpp-server", SERVER, "xmpp-server-prosody", 2048, TAGS, streams::xmpp_element, xmpp_tags),
    server!("xmpp-servers", "xmpp-server", SERVER, "xmpp-servers-xep0368", 2048, TAGS, streams::xmpp_element, xmpp_tags),
    server!("http", "http", None, "http-rfc2817", 1, (0, 0), streams::http_request, http_answer),
    server!("https", "http", None, "https-rfc9110", 1, (0, 0), streams::https_request, exact),
    server!("imap", "imap", None, "imap-rfc2595", 2048, LINES, mail::imap_application, tagged_lines),
    server!("imaps", "imap", None, "imaps-dovecot", 2048, LINES, mail::imap_application, tagged_lines),
    server!("pop3", "pop3", SERVER, "pop3-dovecot", 2048, LINES, mail::pop3_application, pop3_replies),
    server!("pop3s", "pop3", SERVER, "pop3s-dovecot", 2048, LINES, mail::pop3_application, pop3_replies),
    server!("acap", "acap", None, "acap-rfc2595", 2048, LINES, mail::acap_application, tagged_lines),
    server!("managesieve", "managesieve", None, "managesieve-rfc5804", 2048, LINES, mail::managesieve_application, managesieve_lines),
    server!("nntp", "nntp", SERVER, "nntp-rfc4642", 2048, LINES, news::nntp_application, nntp_replies),
    server!("nntps", "nntp", SERVER, "nntps-nnrpd", 2048, LINES, news::nntp_application, nntp_replies),
    server!("nnsp", "nnsp", SERVER, "nnsp-transit", 2048, LINES, news::nntp_application, nntp_replies),
    server!("ftp", "ftp", SERVER, "ftp-vsftpd", 2048, LINES, news::ftp_application, ftp_replies),
    server!("ftps", "ftp", SERVER, "ftps-vsftpd", 2048, LINES, news::ftp_application, ftp_replies),
    server!("irc", "irc", SERVER, "irc-short", 2048, LINES, news::irc_application, irc_replies),
    server!("ircs", "irc", SERVER, "ircs-inspircd", 2048, LINES, news::irc_application, irc_replies),
    server!("ldap", "ldap", None, "ldap-slapd", 2048, BER, news::ldap_application, exact),
    server!("ldaps", "ldap", None, "ldaps-slapd", 2048, BER, news::ldap_application, exact),
];

// When the application takes the channel, in words other than the machine's: the last frame it did
// not see, and all that our side said, a client's application included.

fn smtp_hello(last: &[u8], sent: &[u8]) -> bool {
    (last.starts_with(b"250 ") || last == b"250\r\n")
        && (sent.starts_with(b"EHLO ") || sent.starts_with(b"LHLO "))
}

fn smtp_application(last: &[u8], _: &[u8]) -> bool {
    let verb = last.split(|&octet| octet == b' ').next().unwrap_or_default();
    !verb.trim_ascii_end().eq_ignore_ascii_case(b"STARTTLS")
}
