//! What a server offers in its reply to EHLO.

use super::sasl::Mechanism;
use crate::wire::ReplyLine;

/// What a server offers, as it said inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Capabilities {
    /// PIPELINING (RFC 2920): several commands may go out before the first reply.
    pub pipelining: bool,
    /// CHUNKING (RFC 3030): BDAT.
    pub chunking: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtp_utf8: bool,
    /// SIZE (RFC 1870): the largest message the server takes, in octets; 0 if it names none.
    pub size: Option<u64>,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// AUTH (RFC 4954): the mechanisms of it that this crate speaks.
    pub auth: Mechanisms,
}

/// A set of [`Mechanism`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mechanisms(u8);

impl Mechanisms {
    /// Whether `mechanism` is in the set.
    pub fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & Self::bit(mechanism) != 0
    }

    /// Whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(mechanism: Mechanism) -> u8 {
        1 << mechanism as u8
    }
}

impl Capabilities {
    /// Takes in one line of the reply, but not the first, which names the server.
    pub(super) fn line(&mut self, line: &ReplyLine<'_>) {
        let keyword = line.keyword();
        let arguments = line.text.get(keyword.len()..).unwrap_or_default().trim_ascii();
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        if is("PIPELINING") {
            self.pipelining = true;
        } else if is("CHUNKING") {
            self.chunking = true;
        } else if is("8BITMIME") {
            self.eight_bit_mime = true;
        } else if is("SMTPUTF8") {
            self.smtp_utf8 = true;
        } else if is("ENHANCEDSTATUSCODES") {
            self.enhanced_status_codes = true;
        } else if is("SIZE") {
            self.size = Some(number(arguments));
        } else if is("AUTH") {
            for name in arguments.split(|&octet| octet == b' ') {
                if let Some(mechanism) = Mechanism::named(name) {
                    self.auth.0 |= Mechanisms::bit(mechanism);
                }
            }
        }
    }
}

/// A decimal number; 0, which limits nothing, for what is none.
fn number(digits: &[u8]) -> u64 {
    if !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    digits
        .iter()
        .fold(0, |sum: u64, &digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn parse(lines: &[&str]) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for text in lines {
            capabilities.line(&ReplyLine { code: 250, last: false, text: text.as_bytes() });
        }
        capabilities
    }

    #[test]
    fn keywords_in_any_case() {
        let all = parse(&[
            "pipelining",
            "Chunking",
            "8BITMIME",
            "smtputf8",
            "ENHANCEDSTATUSCODES",
            "SIZE 35882577",
            "AUTH plain  DIGEST-MD5 SCRAM-SHA-256",
            "AUTH XOAUTH2",
            "X-PIPELINING",
        ]);
        let auth = Mechanisms(
            Mechanisms::bit(Mechanism::Plain)
                | Mechanisms::bit(Mechanism::ScramSha256)
                | Mechanisms::bit(Mechanism::XOAuth2),
        );
        let expected = Capabilities {
            pipelining: true,
            chunking: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            size: Some(35_882_577),
            enhanced_status_codes: true,
            auth,
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn nothing_is_taken_for_something() {
        assert_eq!(parse(&["", "PIPELININGS", "HELP", "SCRAM-SHA-256"]), Capabilities::default());
        assert_eq!(parse(&["AUTH SCRAM-SHA-256-PLUS PLAINER"]), Capabilities::default());
    }

    #[test]
    fn sizes() {
        for (line, size) in [
            ("SIZE", 0),
            ("SIZE 0", 0),
            ("SIZE 12", 12),
            ("SIZE x", 0),
            ("SIZE 99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(parse(&[line]).size, Some(size), "{line}");
        }
    }
}
