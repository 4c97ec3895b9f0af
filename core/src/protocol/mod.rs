//! The protocols: one file each, and the table that names them all.

pub mod acap;
pub mod ftp;
pub mod http;
pub mod imap;
mod implicit;
pub mod irc;
pub mod ldap;
mod lines;
#[cfg(feature = "alloc")]
mod machines;
pub mod managesieve;
pub mod mysql;
pub mod nntp;
pub mod pop3;
pub mod postgresql;
pub mod smtp;
pub mod telnet;
#[cfg(test)]
mod vectors;
pub mod xmpp;

pub use acap::ACAP;
pub use ftp::FTP;
pub use http::HTTP;
pub use imap::IMAP;
pub use implicit::Implicit;
pub use irc::IRC;
pub use ldap::LDAP;
#[cfg(feature = "alloc")]
pub(crate) use machines::Machines;
#[cfg(feature = "alloc")]
pub use machines::{ClientMachine, InsideClient, InsideServer, ServerMachine};
pub use managesieve::MANAGESIEVE;
pub use mysql::MYSQL;
pub use nntp::{NNSP, NNTP};
pub use pop3::POP3;
pub use postgresql::POSTGRESQL;
pub use smtp::{LMTP, SMTP};
pub use telnet::TELNET;
pub use xmpp::{XMPP_CLIENT, XMPP_SERVER};

/// One protocol, as the world knows it. Its name tells it from the others.
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// Name, and URL scheme of the in-band upgrade.
    pub name: &'static str,
    /// Other URL schemes for the same protocol, with the port each implies.
    pub aliases: &'static [(&'static str, u16)],
    /// The port on which the upgrade is negotiated.
    pub port: u16,
    /// URL schemes of implicit TLS, with the port each implies.
    pub implicit: &'static [(&'static str, u16)],
    /// The protocol's name in TLS (ALPN, RFC 7301), where one is registered.
    pub alpn: Option<&'static str>,
    /// The specification of the upgrade.
    pub specification: &'static str,
    /// The client says the service's domain before TLS, and that is what the certificate has to be
    /// for, whatever the host is called (RFC 6120 §13.7.2).
    pub by_domain: bool,
    /// What a submission client has to know.
    pub mail: Option<Mail>,
}

impl Row {
    /// The row of a protocol that this crate does not have, for a
    /// [`Negotiate`](crate::negotiate::Negotiate) of the caller's.
    ///
    /// ```
    /// use starttls::protocol::Row;
    /// static GOPHER: Row = Row::foreign("gopher", 70, None, "none yet");
    /// assert_eq!(GOPHER.name, "gopher");
    /// ```
    pub const fn foreign(
        name: &'static str,
        port: u16,
        alpn: Option<&'static str>,
        specification: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            port,
            implicit: &[],
            alpn,
            specification,
            by_domain: false,
            mail: None,
        }
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Row {}

/// The names and choices that protocols exchange before TLS. Each takes what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// What this side calls itself: the domain of EHLO, or of a server's greeting.
    pub own: &'a str,
    /// What the client calls the server, where that is said before TLS.
    pub peer: &'a str,
    /// A server's extension lines, where its protocol has them.
    pub extensions: &'a [&'a str],
    /// Octets nobody can guess, for the tags and ids that some protocols have chosen:
    /// [`Misuse::Randomness`](crate::error::Misuse::Randomness) where they are needed and missing.
    pub random: Option<[u8; 16]>,
}

impl<'a> Names<'a> {
    /// Names for a client or server that calls itself `own`, and nothing else.
    pub fn new(own: &'a str) -> Self {
        Self { own, peer: "localhost", extensions: &[], random: None }
    }
}

/// How a mail protocol differs from SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mail {
    /// RFC 5321.
    Smtp,
    /// RFC 2033: LHLO, and a reply for each recipient behind the message.
    Lmtp,
}

macro_rules! table {
    ($($module:ident: $row:ident, $machines:ident;)*) => {
        /// Every protocol this crate speaks.
        pub static TABLE: &[&Row] = &[$(&$row),*];

        /// The machines of each. Not in the rows, for whoever names one would link all its machines.
        #[cfg(feature = "alloc")]
        static MACHINES: &[&Machines] = &[$(&$module::$machines),*];
    };
}

table! {
    smtp: SMTP, SMTP_MACHINES;
    smtp: LMTP, LMTP_MACHINES;
    imap: IMAP, IMAP_MACHINES;
    pop3: POP3, POP3_MACHINES;
    acap: ACAP, ACAP_MACHINES;
    xmpp: XMPP_CLIENT, XMPP_CLIENT_MACHINES;
    xmpp: XMPP_SERVER, XMPP_SERVER_MACHINES;
    nntp: NNTP, NNTP_MACHINES;
    nntp: NNSP, NNSP_MACHINES;
    irc: IRC, IRC_MACHINES;
    ftp: FTP, FTP_MACHINES;
    ldap: LDAP, LDAP_MACHINES;
    http: HTTP, HTTP_MACHINES;
    managesieve: MANAGESIEVE, MANAGESIEVE_MACHINES;
    postgresql: POSTGRESQL, POSTGRESQL_MACHINES;
    mysql: MYSQL, MYSQL_MACHINES;
    telnet: TELNET, TELNET_MACHINES;
}

/// What a URL scheme means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The protocol.
    pub row: &'static Row,
    /// TLS from the first octet.
    pub implicit: bool,
    /// The port it implies.
    pub port: u16,
}

/// Looks a URL scheme up in the table; schemes are written in lower case.
pub fn scheme(name: &str) -> Option<Scheme> {
    TABLE.iter().find_map(|&row| {
        let named = |&(scheme, _): &&(&str, u16)| *scheme == name;
        if row.name == name {
            Some(Scheme { row, implicit: false, port: row.port })
        } else if let Some(&(_, port)) = row.aliases.iter().find(named) {
            Some(Scheme { row, implicit: false, port })
        } else {
            let &(_, port) = row.implicit.iter().find(named)?;
            Some(Scheme { row, implicit: true, port })
        }
    })
}
