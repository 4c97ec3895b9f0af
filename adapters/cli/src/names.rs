//! The names that are said before TLS, and the one that is verified.

use starttls::error::Misuse;
use starttls::protocol::{Names, Row};

use crate::exit::Failure;

/// What this side calls itself unless it is told.
const OWN: &str = "localhost";

/// What this side calls itself to a server that is called by its own domain: no server's domain
/// (RFC 2606 §2).
const NOBODY: &str = "starttls.invalid";

/// This side's own name.
pub(crate) fn own(domain: Option<&str>) -> &str {
    domain.unwrap_or(OWN)
}

/// The names for a machine, which outlives the call that makes it; a process has few of them.
///
/// # Errors
/// No source of randomness.
pub(crate) fn names(domain: Option<&str>, host: &str) -> Result<Names<'static>, Failure> {
    let mut octets = [0; 16];
    random(&mut octets).map_err(Failure::machine)?;
    let own: &'static str = own(domain).to_owned().leak();
    let peer: &'static str = domain.unwrap_or(host).to_owned().leak();
    Ok(Names { peer, random: Some(octets), ..Names::new(own) })
}

/// The names for a client's machine.
///
/// # Errors
/// As [`names`].
pub(crate) fn client_names(
    row: &Row,
    domain: Option<&str>,
    host: &str,
) -> Result<Names<'static>, Failure> {
    let names = names(domain, host)?;
    // There `domain` is the server's, and a server refuses whoever claims a domain of its own.
    Ok(if row.by_domain { Names { own: NOBODY, ..names } } else { names })
}

/// What the server's certificate has to be for.
pub(crate) fn verified<'a>(
    row: &Row,
    name: Option<&'a str>,
    domain: Option<&'a str>,
    host: &'a str,
) -> &'a str {
    name.or(domain.filter(|_| row.by_domain)).unwrap_or(host)
}

/// Octets that nobody can guess.
pub(crate) fn random(octets: &mut [u8]) -> Result<(), starttls::Error> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(octets).map_err(|_| Misuse::Randomness.into())
}

#[cfg(test)]
mod tests {
    use starttls::protocol::{SMTP, XMPP_SERVER};

    use super::*;

    #[test]
    fn a_client_never_claims_the_domain_of_an_xmpp_server() {
        for domain in [Some("localhost"), None] {
            let names = client_names(&XMPP_SERVER, domain, "localhost").expect("names");
            assert_eq!((names.own, names.peer), ("starttls.invalid", "localhost"));
        }
        let names = client_names(&SMTP, Some("client.test"), "mail.test").expect("names");
        assert_eq!(names.own, "client.test");
    }
}
