//! The names that are said before TLS, and the one that is verified.

use starttls::error::Misuse;
use starttls::protocol::{Names, Row};

use crate::exit::Failure;

/// What this side calls itself unless it is told.
const OWN: &str = "localhost";

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
    random(&mut octets).map_err(|error| Failure::session(error, None, None))?;
    let own: &'static str = own(domain).to_owned().leak();
    let peer: &'static str = domain.unwrap_or(host).to_owned().leak();
    Ok(Names { peer, random: Some(octets), ..Names::new(own) })
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
