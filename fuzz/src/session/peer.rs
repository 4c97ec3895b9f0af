//! The peer: rustls with what it wants to send, record by record; later, its keys alone.

use std::collections::VecDeque;
use std::io::{Read, Write};

use rustls::{Connection, ContentType};
use starttls_tests::hostile::Forger;

use super::pattern;

pub(crate) struct Peer {
    tls: Option<Connection>,
    forger: Option<Forger>,
    failed: bool,
    /// Octets of plaintext that it waits for before TLS, and what it answers them with.
    awaits: usize,
    answer: Vec<u8>,
    /// What it sent, and our side did not get yet.
    pub(crate) records: VecDeque<Vec<u8>>,
    /// All records it ever sent.
    pub(crate) seen: Vec<Vec<u8>>,
    /// What it wrote, and read.
    pub(crate) wrote: Vec<u8>,
    pub(crate) read: Vec<u8>,
    /// It said that it writes no more, when it had written this much.
    pub(crate) closed_at: Option<usize>,
}

impl Peer {
    /// One that says `first`, waits for so many octets, says `answer`, and speaks TLS.
    pub(crate) fn new(tls: Connection, first: &[u8], awaits: usize, answer: &[u8]) -> Self {
        let mut peer = Self {
            tls: Some(tls),
            forger: None,
            failed: false,
            awaits,
            answer: answer.to_vec(),
            records: VecDeque::new(),
            seen: Vec::new(),
            wrote: Vec::new(),
            read: Vec::new(),
            closed_at: None,
        };
        peer.send(first.to_vec());
        peer.collect();
        peer
    }

    fn send(&mut self, record: Vec<u8>) {
        if !record.is_empty() {
            self.seen.push(record.clone());
            self.records.push_back(record);
        }
    }

    /// What our side gets next.
    pub(crate) fn front(&self) -> &[u8] {
        self.records.front().map_or(&[], Vec::as_slice)
    }

    /// That many octets of it are on their way.
    pub(crate) fn skip(&mut self, n: usize) {
        if let Some(record) = self.records.front_mut() {
            record.drain(..n);
            self.records.retain(|record| !record.is_empty());
        }
    }

    pub(crate) fn waits(&self) -> usize {
        self.records.iter().map(Vec::len).sum()
    }

    /// The honest peer, once its handshake is over.
    fn established(&mut self) -> Option<&mut Connection> {
        self.tls.as_mut().filter(|tls| !self.failed && !tls.is_handshaking())
    }

    fn collect(&mut self) {
        let Some(tls) = self.tls.as_mut().filter(|_| self.awaits == 0) else { return };
        let mut octets = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut octets).expect("room in a vector");
        }
        let mut rest = &octets[..];
        while let [_, _, _, high, low, ..] = rest {
            let length = 5 + usize::from(u16::from_be_bytes([*high, *low]));
            let (record, behind) = rest.split_at(length);
            self.send(record.to_vec());
            rest = behind;
        }
        assert!(rest.is_empty(), "half a record");
    }

    pub(crate) fn take(&mut self, octets: &[u8]) {
        let (plain, mut octets) = octets.split_at(self.awaits.min(octets.len()));
        if !plain.is_empty() {
            self.awaits -= plain.len();
            if self.awaits == 0 {
                let answer = std::mem::take(&mut self.answer);
                self.send(answer);
            }
        }
        while let Some(tls) = self.tls.as_mut().filter(|_| !self.failed && !octets.is_empty()) {
            // Nothing is read behind a close_notify.
            let nothing = matches!(tls.read_tls(&mut octets), Ok(0) | Err(_));
            self.failed = tls.process_new_packets().is_err();
            let mut room = [0; 4096];
            while let Ok(n @ 1..) = tls.reader().read(&mut room) {
                self.read.extend_from_slice(&room[..n]);
            }
            if nothing {
                break;
            }
        }
        self.collect();
    }

    pub(crate) fn write(&mut self, n: usize) {
        self.say(&pattern(self.wrote.len(), n));
    }

    pub(crate) fn say(&mut self, octets: &[u8]) {
        if let Some(tls) = self.tls.as_mut().filter(|_| !self.failed && self.closed_at.is_none()) {
            let n = tls.writer().write(octets).unwrap_or(0);
            self.wrote.extend_from_slice(&octets[..n]);
            self.collect();
        }
    }

    pub(crate) fn close(&mut self) {
        if let Some(tls) = self.established() {
            tls.send_close_notify();
            self.closed_at.get_or_insert(self.wrote.len());
            self.collect();
        }
    }

    pub(crate) fn refresh_keys(&mut self) {
        if let Some(tls) = self.established() {
            // TLS 1.2 has no such thing.
            let _ = tls.refresh_traffic_keys();
            self.collect();
        }
    }

    /// A record of any content under the peer's keys; the honest part is over. `false` if there are
    /// no keys yet.
    pub(crate) fn forge(&mut self, kind: u8, content: &[u8]) -> bool {
        if self.established().is_some() {
            self.forger = self.tls.take().map(Forger::new);
        }
        let Some(forger) = &mut self.forger else { return false };
        let record = forger.record(ContentType::from(kind), content);
        self.send(record);
        match (kind, content) {
            _ if self.closed_at.is_some() => {}
            (21, [_, 0]) => self.closed_at = Some(self.wrote.len()),
            (23, _) => self.wrote.extend_from_slice(content),
            _ => {}
        }
        true
    }
}
