//! A message as it is submitted (RFC 5322, MIME: RFC 2045 to 2047 and 2231), written piece by piece
//! through outputs of any size: nothing of it is held but 57 octets of an attachment.
//!
//! ```
//! use starttls::submission::mime::{Attachment, Composer, Date, Mailbox, Message, Status};
//! use starttls::wire::Out;
//!
//! let message = Message {
//!     date: Date::new(1_795_887_062, 0)?,
//!     id: "1795887062.7@device.example.org",
//!     from: Mailbox { name: "Boiler", address: "device@example.org" },
//!     to: &[Mailbox { name: "", address: "owner@example.org" }],
//!     subject: "Still warm: 61 °C",
//!     fields: &[("Auto-Submitted", "auto-generated")], // RFC 3834
//!     text: "The log is attached.\n",
//!     attachments: &[Attachment { name: "log.bin", media_type: "application/octet-stream" }],
//! };
//! # let mut log = &[7_u8; 1000][..];
//! # let mut sent = Vec::new();
//! let mut composer = Composer::new(&message)?;
//! loop {
//!     let mut storage = [0; 64];
//!     let mut out = Out::new(&mut storage);
//!     let status = composer.process(&mut out);
//!     // … send what `out` holds …
//! #   sent.extend_from_slice(out.octets());
//!     match status {
//!         Status::Full => {}
//!         Status::Attachment(_) => {
//!             let spare = composer.spare_mut();
//!             let n = spare.len().min(log.len());
//!             spare[..n].copy_from_slice(&log[..n]);
//!             log = &log[n..];
//!             composer.received(n)?; // 0 ends the attachment
//!         }
//!         Status::Done => break,
//!     }
//! }
//! # assert!(sent.starts_with(b"Date: Sat, 28 Nov 2026"));
//! # Ok::<(), starttls::Error>(())
//! ```
//!
//! Everything is written in ASCII ([`Content::SevenBit`](super::Content::SevenBit)) unless an address
//! is not, and no line is longer than 78 octets unless an address or an id is (RFC 5322 §2.1.1).

mod date;
mod header;
#[cfg(test)]
mod tests;
mod text;

use core::mem;

pub use self::date::Date;
use self::header::Field;
use super::writer::Writer;
use crate::error::{Error, Misuse};
use crate::wire::Out;

/// The delimiter of parts, which no part holds: neither base64 nor quoted-printable has `=_`
/// (RFC 2045 §6.7), and a text with it is not written as it is.
const BOUNDARY: &[u8] = b"=_part";

/// What makes 76 octets of base64, the longest line of it (RFC 2045 §6.8).
const GROUP: usize = 57;

/// A message. Its lines may end in LF, CR LF or CR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    /// When it was written.
    pub date: Date,
    /// The message's id, without angle brackets: `LEFT@RIGHT`, like no other message's in the
    /// world, at most 250 octets (RFC 5322 §3.6.4).
    pub id: &'a str,
    /// Who wrote it.
    pub from: Mailbox<'a>,
    /// To whom; none leaves the field out.
    pub to: &'a [Mailbox<'a>],
    /// What it is about: any characters but control characters.
    pub subject: &'a str,
    /// More fields, name and text, such as `("Auto-Submitted", "auto-generated")` (RFC 3834): not
    /// those that the others make, nor `Content-`.
    pub fields: &'a [(&'a str, &'a str)],
    /// The text.
    pub text: &'a str,
    /// What is attached; its octets are asked for when their time comes.
    pub attachments: &'a [Attachment<'a>],
}

/// Whom a message is from, or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mailbox<'a> {
    /// The display name: any characters but control characters, and may be empty.
    pub name: &'a str,
    /// The address, as in the [`Envelope`](super::Envelope), but with a domain and without quotes.
    pub address: &'a str,
}

/// What is attached to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attachment<'a> {
    /// The name of the file: 1 to 255 octets, any characters but control characters.
    pub name: &'a str,
    /// What it is, `type/subtype` (RFC 2045 §5.1) without parameters, at most 60 octets.
    pub media_type: &'a str,
}

/// Why [`Composer::process`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Status {
    /// The output is full: send it, and call again.
    Full,
    /// The next octets of this attachment, counted from 0, are wanted
    /// ([`spare_mut`](Composer::spare_mut), [`received`](Composer::received)).
    Attachment(usize),
    /// The message is written.
    Done,
}

/// Writes a [`Message`].
#[derive(Debug)]
pub struct Composer<'a> {
    message: &'a Message<'a>,
    unit: Unit,
    /// Octets of the unit that were put out.
    written: usize,
    quoted: bool,
    group: [u8; GROUP],
    held: usize,
}

/// What is written in one go: from its beginning at each call, without what was put out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Header,
    /// The line of the text at this octet.
    Text(usize),
    /// The header of this attachment.
    Begin(usize),
    /// Octets of this attachment are to come.
    Wanted(usize),
    /// A line of this attachment; another may follow.
    Line(usize, bool),
    End,
    Over,
}

impl<'a> Composer<'a> {
    /// # Errors
    /// [`Misuse::Address`] for an address that cannot stand in a header; [`Misuse::Name`] for an
    /// id, a name of a file or a media type that cannot be used; [`Misuse::Line`] for a field with
    /// a control character in it, or whose name is none or is written by this crate.
    pub fn new(message: &'a Message<'a>) -> Result<Self, Error> {
        header::check(message)?;
        let quoted = !text::is_plain(message.text);
        Ok(Self { message, unit: Unit::Header, written: 0, quoted, group: [0; GROUP], held: 0 })
    }

    /// Writes on, until `out` is full or something else is needed.
    pub fn process(&mut self, out: &mut Out<'_>) -> Status {
        loop {
            match self.unit {
                Unit::Over => return Status::Done,
                Unit::Wanted(index) => return Status::Attachment(index),
                _ => {}
            }
            let mut writer = Writer::new(out, self.written);
            let next = self.render(&mut writer);
            let (written, whole) = writer.finish();
            if !whole {
                self.written = written;
                return Status::Full;
            }
            self.written = 0;
            if let Unit::Line(..) = mem::replace(&mut self.unit, next) {
                self.held = 0;
            }
        }
    }

    /// Renders the unit that is due, and says what follows it.
    fn render(&self, writer: &mut Writer<'_, '_>) -> Unit {
        let parts = !self.message.attachments.is_empty();
        match self.unit {
            Unit::Header => {
                header::message(writer, self.message);
                if parts {
                    writer.put(b"Content-Type: multipart/mixed; boundary=\"");
                    writer.put(BOUNDARY);
                    writer.put(b"\"\r\n");
                    delimit(writer, b"\r\n");
                }
                text::header(writer, self.message.text, self.quoted);
                Unit::Text(0)
            }
            Unit::Text(at) => {
                let rest = self.message.text.as_bytes().get(at..).unwrap_or_default();
                match text::line(writer, rest, self.quoted) {
                    0 if parts => Unit::Begin(0),
                    0 => Unit::Over,
                    n => Unit::Text(at + n),
                }
            }
            Unit::Begin(index) => {
                let Some(attachment) = self.message.attachments.get(index) else {
                    return Unit::End;
                };
                delimit(writer, b"\r\n");
                let mut field = Field::new(writer, b"Content-Type");
                field.word(attachment.media_type.as_bytes());
                field.end();
                let mut field = Field::new(writer, b"Content-Disposition");
                field.word(b"attachment;");
                field.filename(attachment.name);
                field.end();
                writer.put(b"Content-Transfer-Encoding: base64\r\n\r\n");
                Unit::Wanted(index)
            }
            Unit::Line(index, more) => {
                if let Some(group) = self.group.get(..self.held)
                    && !group.is_empty()
                {
                    writer.base64(|encoder| encoder.put(group));
                    writer.put(b"\r\n");
                }
                if more { Unit::Wanted(index) } else { Unit::Begin(index + 1) }
            }
            Unit::End => {
                delimit(writer, b"--\r\n");
                Unit::Over
            }
            unit @ (Unit::Wanted(_) | Unit::Over) => unit,
        }
    }

    /// Where the next octets of the attachment go that [`Status::Attachment`] asks for: 1 to 57
    /// octets, and none at other times.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        match self.unit {
            Unit::Wanted(_) => self.group.get_mut(self.held..).unwrap_or_default(),
            _ => &mut [],
        }
    }

    /// So many octets were put into [`spare_mut`](Self::spare_mut); 0 says that the attachment has
    /// no more.
    ///
    /// # Errors
    /// [`Misuse::Count`] for more than it holds; [`Misuse::Phase`] when none are asked for. Neither
    /// changes anything.
    pub fn received(&mut self, n: usize) -> Result<(), Error> {
        let Unit::Wanted(index) = self.unit else { return Err(Misuse::Phase.into()) };
        if n > GROUP - self.held {
            return Err(Misuse::Count.into());
        }
        self.held += n;
        if n == 0 || self.held == GROUP {
            self.unit = Unit::Line(index, n > 0);
        }
        Ok(())
    }
}

/// The line between two parts (RFC 2046 §5.1.1), which begins with the end of the line before.
fn delimit(writer: &mut Writer<'_, '_>, end: &[u8]) {
    writer.put(b"\r\n--");
    writer.put(BOUNDARY);
    writer.put(end);
}
