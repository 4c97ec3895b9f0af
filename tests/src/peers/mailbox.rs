//! Delivered mail.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A maildir.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub(super) dir: PathBuf,
}

impl Mailbox {
    /// The messages so far, as stored: lines end with LF, and the servers' trace fields stand
    /// in front.
    ///
    /// # Panics
    ///
    /// If a message cannot be read.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let list = |part| fs::read_dir(self.dir.join(part)).into_iter().flatten();
        let mut files: Vec<PathBuf> = ["new", "cur"]
            .into_iter()
            .flat_map(list)
            .map(|entry| entry.expect("an entry of a maildir").path())
            .collect();
        files.sort();
        files.iter().map(|file| fs::read(file).expect("a message")).collect()
    }

    /// Waits up to 30 seconds for `count` messages, and gives all there are.
    ///
    /// # Panics
    ///
    /// If there are fewer then.
    pub fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let messages = self.messages();
            if messages.len() >= count {
                return messages;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} messages in {}",
                messages.len(),
                self.dir.display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The only message, in the form it was sent: without trace fields, lines ending with CRLF.
    ///
    /// # Panics
    ///
    /// If there is none within 30 seconds, or more than one.
    pub fn only_message(&self) -> Vec<u8> {
        let messages = self.wait_for(1);
        assert_eq!(messages.len(), 1, "messages in {}", self.dir.display());
        sent_form(without_trace(&messages[0]))
    }
}

/// A stored message without the fields that servers put in front of it: `Return-Path`,
/// `Delivered-To`, `X-Original-To` and `Received`, up to the first other field.
pub fn without_trace(message: &[u8]) -> &[u8] {
    const TRACE: &[&[u8]] = &[b"return-path:", b"delivered-to:", b"x-original-to:", b"received:"];
    let mut rest = message;
    let mut within = false;
    loop {
        let line = rest.iter().position(|&octet| octet == b'\n').map_or(rest.len(), |end| end + 1);
        let continued = within && matches!(rest.first(), Some(b' ' | b'\t'));
        let named = TRACE.iter().any(|name| {
            rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        });
        if !continued && !named {
            return rest;
        }
        within = true;
        rest = &rest[line..];
    }
}

/// A stored message with the line ends of the wire: every LF becomes CRLF.
pub fn sent_form(stored: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(stored.len() + stored.len() / 32);
    for line in stored.split_inclusive(|&octet| octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                sent.extend_from_slice(line);
                sent.extend_from_slice(b"\r\n");
            }
            None => sent.extend_from_slice(line),
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_fields_go_and_the_rest_stays() {
        let stored = b"Return-Path: <a@x>\nReceived: from y\n\tby z;\n today\nSubject: s\nReceived: kept\n\nbody\n";
        assert_eq!(without_trace(stored), b"Subject: s\nReceived: kept\n\nbody\n");
        assert_eq!(without_trace(b" indented\n"), b" indented\n");
        assert_eq!(without_trace(b"Received: all"), b"");
    }

    #[test]
    fn lines_get_the_ends_of_the_wire() {
        assert_eq!(sent_form(b"a\n\nb"), b"a\r\n\r\nb");
        assert_eq!(sent_form(b""), b"");
    }
}
