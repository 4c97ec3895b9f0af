//! The protocols: one file each, and the table that names them all.

mod implicit;
#[cfg(feature = "alloc")]
mod machines;
pub mod smtp;

pub use implicit::Implicit;
#[cfg(feature = "alloc")]
pub use machines::{ClientMachine, Names, ServerMachine};

/// One protocol, as the world knows it.
#[derive(Debug, PartialEq, Eq)]
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
    /// What a submission client has to know.
    pub mail: Option<Mail>,
}

/// How a mail protocol differs from SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// RFC 5321.
    Smtp,
    /// RFC 2033: LHLO, and a reply for each recipient behind the message.
    Lmtp,
}

/// SMTP and message submission.
pub static SMTP: Row = Row {
    name: "smtp",
    aliases: &[("submission", 587)],
    port: 25,
    implicit: &[("smtps", 465), ("submissions", 465)],
    alpn: None,
    specification: "RFC 3207",
    mail: Some(Mail::Smtp),
};

/// Local mail transfer.
pub static LMTP: Row = Row {
    name: "lmtp",
    aliases: &[],
    port: 24,
    implicit: &[],
    alpn: None,
    specification: "RFC 2033, RFC 3207",
    mail: Some(Mail::Lmtp),
};

/// Every protocol this crate speaks.
pub static TABLE: &[&Row] = &[&SMTP, &LMTP];

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
