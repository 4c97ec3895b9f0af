//! The message: a file or standard input, measured beforehand where that is possible.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use starttls::submission::{Content, Measure, measure};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::exit::Failure;

/// A message from a pipe is held up to here, in octets, and streamed beyond.
const HELD: usize = 64 << 10;

const PIECE: usize = 1 << 16;

/// A message, and what can be declared of it.
pub(crate) struct Message {
    pub(crate) octets: Box<dyn AsyncRead + Unpin>,
    pub(crate) size: Option<u64>,
    pub(crate) content: Content,
    /// Its first octets; the header is in them, if it has one.
    pub(crate) head: Vec<u8>,
}

impl Message {
    /// From a file; a regular one is read twice, to measure it.
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| Failure::usage(format!("{}: {error}", path.display()));
        let mut file = File::open(path).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Self::stream(tokio::fs::File::from_std(file)).await.map_err(unreadable);
        }
        let (measured, head) = survey(&mut file).map_err(unreadable)?;
        let file = Box::new(tokio::fs::File::from_std(file));
        Ok(Self { octets: file, size: Some(measured.size()), content: content(&measured), head })
    }

    /// From standard input.
    pub(crate) async fn stdin() -> Result<Self, Failure> {
        let message = Self::stream(tokio::io::stdin()).await;
        message.map_err(|error| Failure::usage(format!("standard input: {error}")))
    }

    async fn stream(mut source: impl AsyncRead + Unpin + 'static) -> io::Result<Self> {
        let mut head = Vec::new();
        (&mut source).take(HELD as u64 + 1).read_to_end(&mut head).await?;
        if head.len() > HELD {
            let octets = Box::new(AsyncReadExt::chain(Cursor::new(head.clone()), source));
            return Ok(Self { octets, size: None, content: Content::Unknown, head });
        }
        let mut measured = measure();
        measured.update(&head);
        measured.finish();
        let (size, content) = (Some(measured.size()), content(&measured));
        Ok(Self { octets: Box::new(Cursor::new(head.clone())), size, content, head })
    }

    /// The address of the From field (RFC 5322 §3.6.2), if there is one that can be told without
    /// doubt.
    pub(crate) fn from(&self) -> Option<String> {
        let field = field(&self.head, b"from")?;
        let address = match field.rsplit_once('<') {
            Some((_, address)) => address.split_once('>')?.0,
            None => &field,
        };
        let address = address.trim();
        let plain = !address.contains([' ', '\t', ',', '(', '<']) && address.contains('@');
        plain.then(|| address.to_owned())
    }
}

/// Reads a file once, and goes back to its start.
fn survey(file: &mut File) -> io::Result<(Measure, Vec<u8>)> {
    let (mut measured, mut head, mut piece) = (measure(), Vec::new(), vec![0; PIECE]);
    loop {
        let octets = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => piece.get(..n).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        measured.update(octets);
        if head.len() < HELD {
            head.extend_from_slice(octets);
        }
    }
    measured.finish();
    file.rewind()?;
    Ok((measured, head))
}

fn content(measured: &Measure) -> Content {
    if measured.eight_bit() { Content::EightBit } else { Content::SevenBit }
}

/// The first field of this name, unfolded.
fn field(head: &[u8], name: &[u8]) -> Option<String> {
    let mut found: Option<Vec<u8>> = None;
    for line in head.split(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (&mut found, line.first()) {
            (_, None) => break,
            (Some(value), Some(b' ' | b'\t')) => value.extend_from_slice(line),
            (Some(_), Some(_)) => break,
            (None, Some(_)) => {
                let colon = line.iter().position(|&octet| octet == b':');
                let (key, value) = line.split_at_checked(colon.unwrap_or(0))?;
                if key.trim_ascii_end().eq_ignore_ascii_case(name) {
                    found = value.get(1..).map(<[u8]>::to_vec);
                }
            }
        }
    }
    String::from_utf8(found?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders() {
        let from = |head: &str| {
            let octets = Box::new(Cursor::new(Vec::new()));
            let head = head.as_bytes().to_vec();
            Message { octets, size: None, content: Content::Unknown, head }.from()
        };
        for (head, address) in [
            ("From: a@b.example\r\n\r\nx", Some("a@b.example")),
            ("Subject: x\nfrom:\n Somebody <a@b.example>\n\n", Some("a@b.example")),
            ("From: \"<x>\" <a@b.example>\r\n\r\n", Some("a@b.example")),
            ("From: a@b.example, c@d.example\r\n\r\n", None),
            ("From: nobody\r\n\r\n", None),
            ("Subject: x\r\n\r\nFrom: a@b.example\r\n", None),
            ("", None),
        ] {
            assert_eq!(from(head).as_deref(), address, "{head}");
        }
    }
}
