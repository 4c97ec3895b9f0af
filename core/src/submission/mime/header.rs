//! The header: fields, folded.

use super::{Attachment, Mailbox, Message};
use crate::error::{Error, Misuse};
use crate::submission::envelope;
use crate::submission::writer::Writer;

/// The longest line that is not one long word: what one with an encoded word may have
/// (RFC 2047 §2), two less than others (RFC 5322 §2.1.1).
const LINE: usize = 76;

/// Octets in an encoded word, which makes 64 of them, so that one has room behind a name like
/// Subject.
const ENCODED: usize = 39;

/// Octets in a piece of a parameter, each of which takes three at most.
const PIECE: usize = 18;

/// The longest name that stands in quotes, in octets.
const QUOTED: usize = 60;

pub(super) fn check(message: &Message<'_>) -> Result<(), Error> {
    if !is_id(message.id) {
        return Err(Misuse::Name.into());
    }
    for mailbox in [&message.from].into_iter().chain(message.to) {
        check_text(mailbox.name)?;
        if !is_address(mailbox.address) {
            return Err(Misuse::Address.into());
        }
    }
    check_text(message.subject)?;
    for (name, text) in message.fields {
        check_text(text)?;
        let printable = name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
        if name.is_empty() || name.len() > QUOTED || !printable || is_ours(name) {
            return Err(Misuse::Line.into());
        }
    }
    for &Attachment { name, media_type } in message.attachments {
        check_text(name)?;
        if name.is_empty() || name.len() > 255 || !is_media_type(media_type) {
            return Err(Misuse::Name.into());
        }
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), Error> {
    if text.chars().any(char::is_control) { Err(Misuse::Line.into()) } else { Ok(()) }
}

/// The names of fields that are written from the rest of the message.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 6] = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version"];
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-"));
    content || NAMES.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// `atext` (RFC 5322 §3.2.3) with dots.
fn is_dotted(text: &str) -> bool {
    let atext =
        |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet);
    !text.is_empty() && text.bytes().all(atext)
}

fn is_id(id: &str) -> bool {
    let parts = id.split_once('@');
    id.len() <= 250 && parts.is_some_and(|(left, right)| is_dotted(left) && is_dotted(right))
}

/// What an envelope takes, but with a domain, and with nothing that begins something else here.
fn is_address(address: &str) -> bool {
    envelope::address(address)
        && address.bytes().any(|octet| octet == b'@')
        && !address.bytes().any(|octet| b"\"\\(),;".contains(&octet))
}

fn is_media_type(text: &str) -> bool {
    let token = |token: &str| {
        let octet = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet);
        !token.is_empty() && token.bytes().all(octet)
    };
    let parts = text.split_once('/');
    text.len() <= QUOTED && parts.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// All fields but those of the content.
pub(super) fn message(writer: &mut Writer<'_, '_>, message: &Message<'_>) {
    writer.put(b"Date: ");
    message.date.write(writer);
    writer.put(b"\r\n");
    mailboxes(writer, b"From", &[message.from]);
    if !message.to.is_empty() {
        mailboxes(writer, b"To", message.to);
    }
    unstructured(writer, b"Subject", message.subject);
    let mut field = Field::new(writer, b"Message-ID");
    field.bracketed(message.id, b">");
    field.end();
    for (name, text) in message.fields {
        unstructured(writer, name.as_bytes(), text);
    }
    writer.put(b"MIME-Version: 1.0\r\n");
}

fn mailboxes(writer: &mut Writer<'_, '_>, name: &[u8], mailboxes: &[Mailbox<'_>]) {
    let mut field = Field::new(writer, name);
    for (at, mailbox) in mailboxes.iter().enumerate() {
        match mailbox.name {
            "" => {}
            name => {
                if !field.quoted(b"", name) {
                    field.encoded(name);
                }
            }
        }
        let last = at + 1 == mailboxes.len();
        field.bracketed(mailbox.address, if last { b">" } else { b">," });
    }
    field.end();
}

/// Text (RFC 5322 §2.2.1), with encoded words (RFC 2047) where it could not be read back otherwise.
fn unstructured(writer: &mut Writer<'_, '_>, name: &[u8], text: &str) {
    let word = |word: &str| {
        !word.is_empty()
            && word.len() <= QUOTED
            && !word.as_bytes().windows(2).any(|pair| pair == b"=?")
    };
    let mut field = Field::new(writer, name);
    if is_printable(text) && (text.is_empty() || text.split(' ').all(word)) {
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            field.word(word.as_bytes());
        }
    } else {
        field.encoded(text);
    }
    field.end();
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// As many characters as fit in so many octets.
fn split_at_most(text: &str, octets: usize) -> (&str, &str) {
    let ends = (0..=octets).rev();
    ends.filter_map(|end| text.split_at_checked(end))
        .find(|_| text.len() > octets)
        .unwrap_or((text, ""))
}

/// One field, whose words go where the line has room for them.
pub(super) struct Field<'f, 'w, 'b> {
    writer: &'f mut Writer<'w, 'b>,
    column: usize,
}

impl<'f, 'w, 'b> Field<'f, 'w, 'b> {
    pub(super) fn new(writer: &'f mut Writer<'w, 'b>, name: &[u8]) -> Self {
        writer.put(name);
        writer.put(b":");
        Self { writer, column: name.len() + 1 }
    }

    /// The white space before a word of so many octets: a new line, if it has no room on this one.
    fn begin(&mut self, length: usize) {
        if self.column + 1 + length > LINE {
            self.writer.put(b"\r\n");
            self.column = 0;
        }
        self.writer.put(b" ");
        self.column += 1 + length;
    }

    pub(super) fn word(&mut self, word: &[u8]) {
        self.begin(word.len());
        self.writer.put(word);
    }

    fn bracketed(&mut self, text: &str, end: &[u8]) {
        self.begin(1 + text.len() + end.len());
        self.writer.put(b"<");
        self.writer.put(text.as_bytes());
        self.writer.put(end);
    }

    /// A quoted string (RFC 5322 §3.2.4) behind `before`, if it can be one and is short.
    fn quoted(&mut self, before: &[u8], text: &str) -> bool {
        let escaped = |octet: &u8| matches!(octet, b'"' | b'\\');
        let length = 2 + text.len() + text.as_bytes().iter().filter(|octet| escaped(octet)).count();
        if !is_printable(text) || length > QUOTED {
            return false;
        }
        self.begin(before.len() + length);
        self.writer.put(before);
        self.writer.put(b"\"");
        for octet in text.as_bytes() {
            if escaped(octet) {
                self.writer.put(b"\\");
            }
            self.writer.put(&[*octet]);
        }
        self.writer.put(b"\"");
        true
    }

    /// Encoded words (RFC 2047), each of whole characters.
    fn encoded(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (piece, rest) = split_at_most(text, ENCODED);
            self.begin(12 + piece.len().div_ceil(3) * 4);
            self.writer.put(b"=?UTF-8?B?");
            self.writer.base64(|encoder| encoder.put(piece.as_bytes()));
            self.writer.put(b"?=");
            text = rest;
        }
    }

    /// The name of a file: a quoted string, or percent-encoded in pieces (RFC 2231 §3, §4).
    pub(super) fn filename(&mut self, value: &str) {
        if self.quoted(b"filename=", value) {
            return;
        }
        let (mut rest, mut at) = (value, 0);
        while !rest.is_empty() {
            let (piece, after) = split_at_most(rest, PIECE);
            self.begin(LINE - 1);
            self.writer.put(b"filename");
            if at > 0 || !after.is_empty() {
                self.writer.put(b"*");
                self.writer.decimal(at);
            }
            self.writer.put(if at == 0 { b"*=UTF-8''" } else { b"*=" });
            for octet in piece.bytes() {
                if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
                    self.writer.put(&[octet]);
                } else {
                    self.writer.put(b"%");
                    self.writer.hex(octet);
                }
            }
            if !after.is_empty() {
                self.writer.put(b";");
            }
            (rest, at) = (after, at + 1);
        }
    }

    pub(super) fn end(self) {
        self.writer.put(b"\r\n");
    }
}
