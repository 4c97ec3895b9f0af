//! The message, composed as it is sent: a text, and what the device is provisioned to attach.

use core::convert::Infallible;

use heapless::{CapacityError, String};
use starttls::submission::mime::{Attachment, Composer, Date, Mailbox, Message};
use starttls_embedded_io::Composed;

use crate::config::{self, Config};
use crate::entropy::Source;
use crate::failure::Failure;
use crate::{info, time};

/// Octets of the message that are held at a time: a line of base64.
pub const HELD: usize = 78;

/// Octets of the device's name in a Message-ID, at most.
pub const NAME: usize = 64;

/// Random octets of a Message-ID.
const UNIQUE: usize = 12;

/// Gives the octets of an attachment.
pub type Attached<'a> = &'a mut dyn FnMut(usize, &mut [u8]) -> Result<usize, Infallible>;

/// A message that is read, which begins when the server has taken sender and recipient.
pub struct Mail<'a> {
    composed: Composed<'a, Attached<'a>, [u8; HELD]>,
    /// The work of the processor before the session, until the message is begun.
    before: Option<u32>,
}

impl<'a> Mail<'a> {
    /// A message of a session that begins now.
    pub fn new(composer: Composer<'a>, attached: Attached<'a>) -> Self {
        let composed = Composed::new(composer, attached, [0; HELD]);
        Self { composed, before: Some(time::worked()) }
    }
}

impl embedded_io::ErrorType for Mail<'_> {
    type Error = Infallible;
}

impl embedded_io::Read for Mail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embedded_io::Read::read(&mut self.composed, buffer)
    }
}

impl embedded_io::BufRead for Mail<'_> {
    fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
        if let Some(before) = self.before.take() {
            info!("cycles up to the message", time::worked().wrapping_sub(before));
        }
        embedded_io::BufRead::fill_buf(&mut self.composed)
    }

    fn consume(&mut self, n: usize) {
        embedded_io::BufRead::consume(&mut self.composed, n);
    }
}

impl embedded_io_async::Read for Mail<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        embedded_io::Read::read(self, buffer)
    }
}

impl embedded_io_async::BufRead for Mail<'_> {
    async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
        embedded_io::BufRead::fill_buf(self)
    }

    fn consume(&mut self, n: usize) {
        embedded_io::BufRead::consume(self, n);
    }
}

/// What a message holds beside what the device is provisioned with.
#[derive(Debug)]
pub struct Facts<'a> {
    date: Date,
    id: String<{ 2 * UNIQUE + 1 + NAME }>,
    from: Mailbox<'a>,
    to: [Mailbox<'a>; 1],
}

impl<'a> Facts<'a> {
    /// Those of a message that is written now, which is `seconds` since 1970.
    ///
    /// # Errors
    /// Without randomness there is no id, nor with a name of more than [`NAME`] octets.
    pub fn new(config: &Config<'a>, seconds: u64) -> Result<Self, Failure> {
        let mut unique = [0; UNIQUE];
        Source::fill(&mut unique).map_err(|_| Failure::Randomness)?;
        let id = id(unique, config.name).map_err(|_| config::Error::Malformed)?;
        let mailbox = |name, address| Mailbox { name, address };
        Ok(Self {
            date: Date::new(seconds, 0)?,
            id,
            from: mailbox("The device", config.from),
            to: [mailbox("", config.to)],
        })
    }

    /// The message.
    pub fn message(&self, config: &Config<'a>) -> Message<'_> {
        const ATTACHMENT: &[Attachment<'_>] =
            &[Attachment { name: "readings.bin", media_type: "application/octet-stream" }];
        Message {
            date: self.date,
            id: &self.id,
            from: self.from,
            to: &self.to,
            subject: "Readings",
            fields: &[("Auto-Submitted", "auto-generated")],
            text: "Hello from a microcontroller.\n",
            attachments: if config.attachment.is_empty() { &[] } else { ATTACHMENT },
        }
    }
}

fn id<const N: usize>(unique: [u8; UNIQUE], name: &str) -> Result<String<N>, CapacityError> {
    let mut id = String::new();
    for octet in unique {
        for nibble in [octet >> 4, octet & 15] {
            id.push(char::from(b"0123456789abcdef"[usize::from(nibble)]))?;
        }
    }
    id.push('@')?;
    id.push_str(name)?;
    Ok(id)
}
