//! From whom, to whom, and what the message is like.

use crate::error::{Error, Misuse};

/// The most recipients of one mail; RFC 5321 §4.5.3.1.8 has servers take 100 at least.
pub const MAX_RECIPIENTS: usize = 1024;

/// The longest address, in octets: a path of 256 without its angle brackets
/// (RFC 5321 §4.5.3.1.3).
const MAX_ADDRESS: usize = 254;

/// What a server is told about a mail before the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<'a> {
    /// The sender, to whom failures are reported; empty for none (`MAIL FROM:<>`).
    pub from: &'a str,
    /// The recipients, 1 to [`MAX_RECIPIENTS`].
    pub to: &'a [&'a str],
    /// The size of the message in octets as [`Measure`](super::Measure) counts it, if it is known:
    /// exact, or the mail fails with [`Misuse::DeclaredSize`].
    pub size: Option<u64>,
    /// What octets the message holds.
    pub content: Content,
    /// The message is internationalized (RFC 6532). Addresses that are not ASCII imply it.
    pub utf8: bool,
    /// How many recipients the server has to take.
    pub require: Require,
}

/// What octets a message holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Content {
    /// None above 127; one that turns up is [`Misuse::DeclaredSevenBit`].
    SevenBit,
    /// Octets above 127: the server has to offer 8BITMIME.
    EightBit,
    /// Nobody looked: any octets where the server offers 8BITMIME, else as [`SevenBit`](Self::SevenBit).
    #[default]
    Unknown,
}

/// How many recipients a server has to take for the message to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Require {
    /// All of them: the message waits for the replies, and is not sent if one is refused.
    All,
    /// One of them; the message need not wait.
    #[default]
    Any,
}

impl Envelope<'_> {
    /// # Errors
    /// [`Misuse::NoRecipients`], [`Misuse::TooManyRecipients`], [`Misuse::Address`].
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.to.len() {
            0 => return Err(Misuse::NoRecipients.into()),
            1..=MAX_RECIPIENTS => {}
            _ => return Err(Misuse::TooManyRecipients.into()),
        }
        if (self.from.is_empty() || address(self.from)) && self.to.iter().all(|to| address(to)) {
            Ok(())
        } else {
            Err(Misuse::Address.into())
        }
    }

    /// Whether SMTPUTF8 is needed.
    pub(super) fn needs_utf8(&self) -> bool {
        self.utf8 || !self.from.is_ascii() || !self.to.iter().all(|to| to.is_ascii())
    }
}

/// Whether a mailbox can stand between angle brackets: no control characters, spaces or angle
/// brackets, a local part, and a domain behind `@`. A local part alone is for the server to judge
/// (`postmaster`, RFC 5321 §4.1.1.3).
pub(super) fn address(address: &str) -> bool {
    let allowed = |c: char| !c.is_control() && !c.is_whitespace() && c != '<' && c != '>';
    let parts = match address.rsplit_once('@') {
        Some((local, domain)) => !local.is_empty() && !domain.is_empty(),
        None => !address.is_empty(),
    };
    parts && address.len() <= MAX_ADDRESS && address.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let longest = alloc::format!("{}@example.org", "x".repeat(MAX_ADDRESS - 12));
        for good in ["a@b", "\"a@b\"@c", "a@[192.0.2.1]", "postmaster", "ü@é.example", &longest] {
            assert!(address(good), "{good}");
        }
        let longer = alloc::format!("x{longest}");
        for bad in [
            "",
            "@",
            "@b",
            "a@",
            "a b@c",
            "<a@b>",
            "a@b>",
            "a\r@b",
            "a\n@b",
            "a\0@b",
            "a\t@b",
            "a\u{7f}@b",
            "a\u{85}@b",
            "a\u{2028}@b",
            &longer,
        ] {
            assert!(!address(bad), "{bad:?}");
        }
    }

    #[test]
    fn envelopes() {
        let envelope = |from, to| Envelope {
            from,
            to,
            size: None,
            content: Content::Unknown,
            utf8: false,
            require: Require::Any,
        };
        assert_eq!(envelope("", &["a@b"]).check(), Ok(()));
        assert_eq!(envelope("a@b", &[]).check(), Err(Misuse::NoRecipients.into()));
        assert_eq!(envelope("a@b", &["c@d", ""]).check(), Err(Misuse::Address.into()));
        assert_eq!(envelope(" ", &["c@d"]).check(), Err(Misuse::Address.into()));
        let many = ["a@b"; MAX_RECIPIENTS + 1];
        assert_eq!(envelope("", &many).check(), Err(Misuse::TooManyRecipients.into()));
        assert_eq!(envelope("", &many[1..]).check(), Ok(()));
        assert!(envelope("", &["a@b", "ü@b"]).needs_utf8());
        assert!(envelope("ü@b", &["a@b"]).needs_utf8());
        assert!(!envelope("a@b", &["a@b"]).needs_utf8());
    }
}
