//! One mail on its way: what was agreed with the server about it so far.

use super::body::{Body, Framing};
use super::capabilities::Capabilities;
use super::envelope::{Content, Envelope, MAX_RECIPIENTS, Require};
use super::event::Feature;
use super::writer::Writer;

/// A mail, from MAIL to the last reply about it.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub(super) envelope: Envelope<'a>,
    pub(super) then_quit: bool,
    pub(super) body: Body,
    pub(super) sender_refused: bool,
    /// Recipients whose reply was read.
    pub(super) judged: usize,
    accepted: Recipients,
    /// LMTP: the recipients before this one have their reply about the message.
    replied: usize,
    /// The last octet of the message was given out.
    pub(super) sent: bool,
    /// The last reply about it was read.
    pub(super) answered: bool,
    /// It ended before the server got the message, so that RSET is needed.
    pub(super) stuck: bool,
    /// QUIT goes out behind the message, or did.
    pub(super) quit_follows: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(envelope: Envelope<'a>, then_quit: bool) -> Self {
        Self {
            envelope,
            then_quit,
            body: Body::new(Framing::Dots, None, true),
            sender_refused: false,
            judged: 0,
            accepted: Recipients::default(),
            replied: 0,
            sent: false,
            answered: false,
            stuck: false,
            quit_follows: false,
        }
    }

    /// Fits the mail to what the server offers.
    ///
    /// # Errors
    /// What it does not offer and the mail needs.
    pub(super) fn plan(&mut self, offered: Capabilities, max_chunk: u64) -> Result<(), Feature> {
        let Envelope { size, content, .. } = self.envelope;
        if self.envelope.needs_utf8() && !offered.smtp_utf8 {
            return Err(Feature::SmtpUtf8);
        }
        if content == Content::EightBit && !offered.eight_bit_mime {
            return Err(Feature::EightBitMime);
        }
        if let (Some(size), Some(limit @ 1..)) = (size, offered.size)
            && size > limit
        {
            return Err(Feature::Size(limit));
        }
        // `BDAT 0 LAST` would end the mail before its message is known to be empty.
        let chunk = offered.chunking && size.is_some_and(|size| (1..=max_chunk).contains(&size));
        let framing = if chunk { Framing::Chunk } else { Framing::Dots };
        let seven_bit = content == Content::SevenBit || !offered.eight_bit_mime;
        self.body = Body::new(framing, size, seven_bit);
        Ok(())
    }

    /// Records the reply to the next RCPT; its index.
    pub(super) fn judge(&mut self, accepted: bool) -> usize {
        let index = self.judged;
        self.judged += 1;
        if accepted {
            self.accepted.insert(index);
        }
        index
    }

    /// The recipients are all judged, or the sender is, and nobody is to get the message.
    pub(super) fn is_hopeless(&self) -> bool {
        let all = self.judged == self.envelope.to.len();
        self.sender_refused || (all && self.accepted.count == 0)
    }

    /// The same, or fewer recipients were accepted than the caller requires.
    pub(super) fn is_unwanted(&self) -> bool {
        let missing = self.accepted.count < self.judged;
        self.is_hopeless() || (missing && self.envelope.require == Require::All)
    }

    /// Whether DATA or BDAT may be sent before the recipients are judged.
    pub(super) fn may_ride(&self) -> bool {
        self.envelope.require == Require::Any && !self.sender_refused
    }

    /// LMTP: whose reply about the message comes next (RFC 2033 §4.2).
    pub(super) fn peek_accepted(&self) -> Option<usize> {
        (self.replied..self.judged).find(|&index| self.accepted.contains(index))
    }

    /// The same, when it has come.
    pub(super) fn next_accepted(&mut self) -> Option<usize> {
        let index = self.peek_accepted()?;
        self.replied = index + 1;
        Some(index)
    }

    pub(super) fn mail(&self, offered: Capabilities, writer: &mut Writer<'_, '_>) {
        writer.put(b"MAIL FROM:<");
        writer.put(self.envelope.from.as_bytes());
        writer.put(b">");
        if let (Some(size), Some(_)) = (self.envelope.size, offered.size) {
            writer.put(b" SIZE=");
            writer.decimal(size);
        }
        if self.envelope.content != Content::SevenBit && offered.eight_bit_mime {
            writer.put(b" BODY=8BITMIME");
        }
        if self.envelope.needs_utf8() {
            writer.put(b" SMTPUTF8");
        }
        writer.put(b"\r\n");
    }

    pub(super) fn rcpt(&self, index: usize, writer: &mut Writer<'_, '_>) {
        writer.put(b"RCPT TO:<");
        writer.put(self.envelope.to.get(index).unwrap_or(&"").as_bytes());
        writer.put(b">\r\n");
    }

    /// DATA, or BDAT with the size.
    pub(super) fn content(&self, writer: &mut Writer<'_, '_>) {
        match (self.body.framing(), self.envelope.size) {
            (Framing::Chunk, Some(size)) => {
                writer.put(b"BDAT ");
                writer.decimal(size);
                writer.put(b" LAST\r\n");
            }
            _ => writer.put(b"DATA\r\n"),
        }
    }

    pub(super) fn is_chunk(&self) -> bool {
        self.body.framing() == Framing::Chunk
    }
}

/// A set of recipients by index.
#[derive(Debug)]
struct Recipients {
    words: [u32; MAX_RECIPIENTS / 32],
    count: usize,
}

impl Default for Recipients {
    fn default() -> Self {
        Self { words: [0; MAX_RECIPIENTS / 32], count: 0 }
    }
}

impl Recipients {
    fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 32) {
            *word |= 1 << (index % 32);
            self.count += 1;
        }
    }

    fn contains(&self, index: usize) -> bool {
        self.words.get(index / 32).is_some_and(|word| word & (1 << (index % 32)) != 0)
    }
}
