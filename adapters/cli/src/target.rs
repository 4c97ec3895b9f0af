//! URLs: `PROTO://HOST[:PORT]`.

use std::fmt;
use std::str::FromStr;

use starttls::protocol::{self, Scheme};

/// Where to go, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The scheme as it was written, in lower case.
    pub(crate) proto: String,
    pub(crate) scheme: Scheme,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (proto, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("{url:?} is no URL; write PROTO://HOST[:PORT]"))?;
        let proto = proto.to_ascii_lowercase();
        let scheme = protocol::scheme(&proto)
            .ok_or_else(|| format!("unknown scheme {proto:?}; known are {}", schemes()))?;
        if let Some(place) = rest.find(['/', '?', '#', '@']) {
            let more = rest.get(place..).unwrap_or_default();
            return Err(format!("{more:?} is too much in {url:?}; write PROTO://HOST[:PORT]"));
        }
        let (host, port) = split(rest).ok_or_else(|| format!("{url:?} has a bad host"))?;
        if host.is_empty() || !host.bytes().all(host_octet) {
            return Err(format!("{url:?} has no valid host"));
        }
        let port = match port {
            None => scheme.port,
            Some(digits) => {
                port_number(digits).ok_or_else(|| format!("{digits:?} is no port (0 to 65535)"))?
            }
        };
        Ok(Self { proto, scheme, host: host.to_owned(), port })
    }
}

/// Separates the port: `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        return match port {
            "" => Some((host, None)),
            port => Some((host, Some(port.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        // An IPv6 address needs brackets.
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

/// Digits only: a sign is none.
fn port_number(digits: &str) -> Option<u16> {
    digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What a host may hold; what it means is for the resolver and for TLS to say.
fn host_octet(octet: u8) -> bool {
    octet > 0x7f || octet.is_ascii_alphanumeric() || b"-._:*".contains(&octet)
}

/// Every scheme of the table.
pub(crate) fn schemes() -> String {
    let rows = protocol::TABLE.iter();
    let names = rows.flat_map(|row| {
        let others = row.aliases.iter().chain(row.implicit).map(|&(name, _)| name);
        std::iter::once(row.name).chain(others)
    });
    names.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.proto, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.proto, self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let shown = |url: &str| url.parse::<Target>().map(|target| target.to_string());
        for (url, target) in [
            ("smtp://localhost", "smtp://localhost:25"),
            ("SMTP://localhost", "smtp://localhost:25"),
            ("submission://a.example:2525", "submission://a.example:2525"),
            ("smtps://[::1]", "smtps://[::1]:465"),
            ("lmtp://[::1]:0", "lmtp://[::1]:0"),
        ] {
            assert_eq!(shown(url).as_deref(), Ok(target), "{url}");
        }
        for url in [
            "localhost",
            "gopher://localhost",
            "smtp://",
            "smtp://:25",
            "smtp://::1",
            "smtp://[::1",
            "smtp://[localhost]",
            "smtp://a:b",
            "smtp://a:65536",
            "smtp://a:",
            "smtp://a:+25",
            "smtp://a:25/path",
            "smtp://a/",
            "smtp://user@host",
            "smtp://a b",
        ] {
            assert!(shown(url).is_err(), "{url}");
        }
    }

    #[test]
    fn unknown_schemes_name_the_known() {
        let error = "gopher://x".parse::<Target>().unwrap_err();
        assert!(error.contains("smtp") && error.contains("submissions"), "{error}");
    }
}
