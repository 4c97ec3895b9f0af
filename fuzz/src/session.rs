//! Our session, in either role, against a peer with honest TLS and somebody in the middle; and
//! against a peer who has the keys and sends what no honest TLS would.

mod peer;
mod tls;

use starttls::Error;
use starttls::error::{Misuse, TlsError};
use starttls::session::{Event, MIN_SEND_BUFFER, RECEIVE_BUFFER};
use starttls::tls::{Security, Version};
use starttls_tests::dialogue::Speaker;
use starttls_tests::play::name;
use starttls_tests::sessions::Heap;
use starttls_tests::table::{Machine, Role};

pub(crate) use self::peer::Peer;
pub use self::tls::Ours;
use crate::reader::Reader;

/// Who meets whom.
pub(crate) struct Case {
    /// The client speaks: 0 both versions, 1 TLS 1.2, 2 TLS 1.3. The server speaks both.
    pub(crate) version: usize,
    /// Our client takes any certificate, and remembers what is wrong with it.
    pub(crate) opportunistic: bool,
    /// The server wants another group than the client begins with.
    pub(crate) retry: bool,
    /// 0: all is well. A server with a certificate from 1 an unknown issuer, 2 for another name; or
    /// our server asks for a certificate that the client does not have.
    pub(crate) wrong: usize,
    /// A negotiation stands before TLS.
    pub(crate) upgrade: bool,
    /// The most content in a record of the peer.
    pub(crate) fragment: Option<usize>,
    pub(crate) input: usize,
    pub(crate) output: usize,
}

const WRONG: u8 = 0b1100;
const UPGRADE: u8 = 0b1_0000;
const RETRY: u8 = 0b10_0000;
/// All that can be done is done after each step.
const EAGER: u8 = 0b100_0000;
/// The handshake is over when the steps begin.
const ESTABLISHED: u8 = 0b1000_0000;

pub(crate) const FRAGMENTS: [Option<usize>; 6] =
    [None, Some(32), Some(33), Some(100), Some(1000), Some(4000)];
const INPUTS: [usize; 6] = [RECEIVE_BUFFER, 16_645, 4096, 1500, 300, 100];
const OUTPUTS: [usize; 6] = [4096, MIN_SEND_BUFFER, MIN_SEND_BUFFER + 1, 100, 1000, 40_000];

/// Plays one input of the fuzzer, and tells what it came to.
///
/// It is an octet of flags, one each for the peer's records and the sizes of both buffers, and then
/// steps: what the peer does, what the middle does with the peer's records, and what our caller
/// does. Behind the last of them all goes its honest way, and at last the transport ends.
///
/// # Panics
/// If any of this does not hold: the session keeps its contract (events in order, errors stick, all
/// is over at last); nobody who is not authenticated gets through, nor does an older version; what
/// is read is what the peer wrote, from its beginning on, and all of it where the peer's end is
/// reported; where nobody was hostile everything arrives.
pub fn run<S: Ours>(data: &[u8]) -> Option<String> {
    Some(played::<S>(data)?.finish())
}

fn played<S: Ours>(data: &[u8]) -> Option<Play<S>> {
    let [flags, fragment, input, output, steps @ ..] = data else { return None };
    let pick = |index: &u8| usize::from(*index) % 6;
    let case = Case {
        version: usize::from(flags & 3) % 3,
        opportunistic: flags & 3 == 3,
        retry: flags & RETRY != 0,
        wrong: usize::from((flags & WRONG) >> 2) % 3,
        upgrade: flags & UPGRADE != 0,
        fragment: FRAGMENTS[pick(fragment)],
        input: INPUTS[pick(input)],
        output: OUTPUTS[pick(output)],
    };
    starttls_tests::fixed::rewind();
    let mut play = Play::<S>::new(case);
    if flags & ESTABLISHED != 0 {
        play.settle();
    }
    let mut reader = Reader::new(steps);
    while !reader.is_over() {
        play.step(&mut reader);
        if flags & EAGER != 0 {
            play.turn(0);
        }
    }
    Some(play)
}

/// The most turns of a session: no input is longer than that.
const MOST_TURNS: usize = 1 << 20;

struct Play<S: Role> {
    case: Case,
    ours: Heap<Machine<S>>,
    peer: Peer,
    /// What our caller wrote, and read.
    wrote: Vec<u8>,
    data: Vec<u8>,
    established: bool,
    closed: bool,
    over: bool,
    failed: Option<Error>,
    hostile: bool,
}

/// Octets of a stream: which one it is can be told from its place.
fn pattern(from: usize, n: usize) -> Vec<u8> {
    (from..from + n).map(|at| (at * 7 + at / 251) as u8).collect()
}

impl<S: Ours> Play<S> {
    fn new(case: Case) -> Self {
        let (ours, peer) = S::meet(&case);
        Self {
            case,
            ours,
            peer,
            wrote: Vec::new(),
            data: Vec::new(),
            established: false,
            closed: false,
            over: false,
            failed: None,
            hostile: false,
        }
    }

    /// The kinds of steps, by number.
    fn step(&mut self, reader: &mut Reader<'_>) {
        match reader.number() % 24 {
            // The middle.
            0 => self.deliver(reader.number()),
            1 | 2 => self.deliver(self.peer.front().len()),
            3 => self.hostile |= self.peer.records.pop_front().is_some(),
            4 => {
                let (at, bits) = (reader.long(), reader.octet());
                if let Some(octet) = self.peer.records.front_mut().and_then(|r| r.get_mut(at)) {
                    *octet ^= bits;
                    self.hostile |= bits != 0;
                }
            }
            5 => {
                let at = reader.number();
                if at < self.peer.records.len() {
                    self.hostile |= at > 0;
                    self.peer.records.swap(0, at);
                }
            }
            6 => self.inject(self.peer.seen.get(reader.number()).cloned().unwrap_or_default()),
            7 => self.inject(reader.octets().to_vec()),
            // A header, and as much behind it as it says or less.
            8 => {
                let (kind, minor) = (reader.octet(), reader.octet() & 7);
                let (length, less) = (reader.long(), reader.number());
                let head = [kind, 3, minor, (length >> 8) as u8, length as u8];
                self.inject([&head[..], &pattern(0, length.saturating_sub(less))].concat());
            }
            9 => self.inject(vec![21, 3, 3, 0, 2, reader.octet(), reader.octet()]),
            10 => self.end_of_transport(),
            // The peer.
            11 => self.peer.write(reader.number()),
            12 => self.peer.write(reader.long()),
            13 => self.peer.close(),
            14 => self.peer.refresh_keys(),
            15 | 16 => {
                let (kind, filler) = (reader.octet(), reader.long());
                let content = match reader.octets() {
                    [] => pattern(self.peer.wrote.len(), filler % 20_000),
                    octets => octets.to_vec(),
                };
                self.hostile |= self.peer.forge(kind, &content);
            }
            // Our caller.
            17 => self.write(reader.number()),
            18 => self.write(reader.long()),
            19 => drop(self.read(reader.number())),
            20 => self.close(),
            21 => drop(self.transmit(reader.number(), 0)),
            22 => {
                let (n, bits) = (reader.number(), reader.octet());
                self.hostile |= self.transmit(n, bits) > 0 && bits != 0;
            }
            _ => drop(self.process()),
        }
    }

    fn inject(&mut self, octets: Vec<u8>) {
        if !octets.is_empty() {
            self.hostile = true;
            self.peer.records.push_front(octets);
        }
    }

    /// Gives our side up to `n` octets, in one read.
    fn deliver(&mut self, n: usize) {
        let spare = self.ours.spare_mut();
        let n = n.min(spare.len()).min(self.peer.front().len());
        if n > 0 && !self.over && self.failed.is_none() {
            spare[..n].copy_from_slice(&self.peer.front()[..n]);
            self.peer.skip(n);
            self.ours.received(n).expect("no more than there was room for");
        }
    }

    fn end_of_transport(&mut self) {
        if !self.ours.spare_mut().is_empty() && !self.over {
            self.ours.received(0).expect("there was room");
            (self.over, self.hostile) = (true, true);
        }
    }

    fn process(&mut self) -> Result<Event, Error> {
        let event = self.ours.process();
        if let Some(error) = self.failed {
            assert_eq!(event, Err(error), "an error that does not stay");
        }
        let waits = self.ours.transmit().len();
        assert!(waits <= self.case.output);
        match event {
            Ok(Event::Established) => self.check_established(),
            Ok(Event::Data) => assert!(self.established, "data from nobody"),
            Ok(Event::Transmit) => assert!(!self.established && waits > 0),
            Ok(Event::NeedInput) => assert!(self.established || waits == 0),
            Ok(Event::PeerClosed | Event::Closed) => {
                assert!(self.established);
                assert_eq!(Some(self.data.len()), self.peer.closed_at, "cut short, and not told");
                assert!(event == Ok(Event::PeerClosed) || self.over || self.closed);
            }
            Ok(event) => panic!("{event:?}"),
            Err(error) => self.check_error(error),
        }
        event
    }

    fn check_established(&mut self) {
        assert!(!self.established, "twice");
        let version = if self.case.version == 1 { Version::Tls12 } else { Version::Tls13 };
        assert_eq!(self.ours.version(), Some(version), "an older version");
        let client = S::SPEAKER == Speaker::Client;
        let any = client && self.case.opportunistic;
        assert!(self.case.wrong == 0 || any, "anybody gets through");
        let security = match self.case.wrong {
            _ if !client => Security::Unauthenticated(TlsError::NoCertificate),
            0 => Security::Authenticated,
            1 => Security::Unauthenticated(TlsError::UnknownIssuer),
            _ => Security::Unauthenticated(TlsError::WrongName),
        };
        assert_eq!(self.ours.security(), Some(security));
        self.established = true;
    }

    fn check_error(&mut self, error: Error) {
        let small = self.case.input < RECEIVE_BUFFER || self.hostile;
        match error {
            Error::Misuse(Misuse::BufferTooSmall(_)) if small => {}
            Error::Misuse(_) | Error::OutputFull | Error::Unauthenticated(_) => panic!("{error:?}"),
            Error::Closed => assert!(!self.ours.is_tls()),
            Error::ClosedInHandshake => assert!(!self.established),
            Error::Truncated => assert!(self.established && self.over),
            _ => {}
        }
        self.failed = Some(error);
    }

    fn read(&mut self, n: usize) -> usize {
        let (mut room, before) = (vec![0; n], self.data.len());
        let n = self.ours.read(&mut room);
        assert!(n == 0 || self.established, "data from nobody");
        self.data.extend_from_slice(&room[..n]);
        let wrote = self.peer.wrote.get(before..before + n);
        assert_eq!(wrote, Some(&self.data[before..]), "data that the peer did not write");
        n
    }

    fn write(&mut self, n: usize) {
        let octets = pattern(self.wrote.len(), n);
        match self.ours.write(&octets) {
            Ok(n) => {
                let failed = matches!(self.failed, Some(Error::Tls(_)));
                assert!(self.established && !self.closed && !failed);
                self.wrote.extend_from_slice(&octets[..n]);
            }
            Err(Error::Misuse(Misuse::Phase)) => assert!(!self.established || self.closed),
            Err(error) => {
                assert!(matches!(error, Error::Tls(_)), "{error:?}");
                // `process` has to say the same, or what it said before.
                self.failed.get_or_insert(error);
            }
        }
    }

    fn close(&mut self) {
        self.ours.close();
        self.closed |= self.established;
    }

    /// Gives the peer up to `n` octets, the first of them with these bits changed.
    fn transmit(&mut self, n: usize, bits: u8) -> usize {
        let n = n.min(self.ours.transmit().len());
        let mut octets = self.ours.transmit()[..n].to_vec();
        self.ours.transmitted(n).expect("no more than there were");
        if let Some(first) = octets.first_mut() {
            *first ^= bits;
        }
        self.peer.take(&octets);
        let read = self.wrote.get(..self.peer.read.len());
        assert_eq!(read, Some(&self.peer.read[..]), "data that our caller did not write");
        n
    }

    /// All that can be done at once, with up to `n` octets for our side; whether anything was.
    fn turn(&mut self, n: usize) -> bool {
        let event = self.process();
        let mut moved = event == Ok(Event::Established);
        if event == Ok(Event::Data) {
            assert!(self.read(20_000) > 0, "data without an octet");
            moved = true;
        }
        moved |= self.transmit(usize::MAX, 0) > 0;
        let waits = self.peer.waits();
        self.deliver(n);
        moved | (self.peer.waits() != waits)
    }

    /// Everything goes its honest way, until nothing moves.
    fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            if !self.turn(usize::MAX) {
                return;
            }
        }
        panic!("no end in sight: {:?}", self.ours);
    }

    fn finish(mut self) -> String {
        self.settle();
        if !self.hostile && self.case.wrong == 0 && self.case.input == RECEIVE_BUFFER {
            assert_eq!((self.established, self.failed), (true, None), "{:?}", self.ours);
            assert!(self.data == self.peer.wrote && self.peer.read == self.wrote);
        }
        self.end_of_transport();
        self.settle();
        let end = self.process();
        assert!(matches!(end, Ok(Event::Closed) | Err(_)), "{end:?} is not the end");
        assert!(end.is_err() || self.established);
        let which = if self.established { "established" } else { "handshake" };
        format!("{which} {}", name(end.map(|_| ())))
    }
}

/// Seeds for either role: honest sessions of all kinds, and each hostile step at each record.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let talk = [11, 9, 17, 9, 1, 1, 21, 255, 14, 12, 2, 0, 18, 3, 0, 13, 20];
    for kind in 0..4u8 {
        for flags in [0, UPGRADE, RETRY, EAGER, ESTABLISHED, ESTABLISHED | EAGER, 1 << 2, 2 << 2] {
            for sizes in [[0, 0, 0], [1, 0, 1], [3, 3, 2], [4, 5, 3]] {
                seeds.push([&[flags | kind], &sizes[..], &talk].concat());
            }
        }
        let hostile: [&[u8]; 13] = [
            &[3],
            &[4, 0, 7, 1],
            &[5, 1],
            &[6, 0],
            &[7, 2, b'\r', b'\n'],
            &[8, 23, 3, 0, 40, 0],
            &[8, 22, 3, 0x48, 0, 0],
            &[9, 1, 0],
            &[9, 2, 40],
            &[10],
            &[16, 21, 0, 0, 2, 1, 0],
            &[16, 22, 0, 0, 5, 24, 0, 0, 1, 1],
            &[16, 23, 0x40, 1, 0],
        ];
        for step in hostile {
            for records in 0..6 {
                for flags in [EAGER, EAGER | UPGRADE, EAGER | ESTABLISHED] {
                    let before = [11, 5, 1].repeat(records);
                    seeds.push([&[flags | kind, 0, 0, 0], &before[..], step, &talk].concat());
                }
            }
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use starttls::negotiate::{Client, Server};

    use super::*;

    fn octets<S: Ours>(seed: &[u8]) -> Vec<Vec<u8>> {
        played::<S>(seed).expect("long enough").peer.seen
    }

    /// Hellos, signatures and all.
    #[test]
    fn an_input_comes_to_the_same_octets_each_time() {
        for seed in seeds().iter().step_by(7) {
            let seen = octets::<Client>(seed);
            assert!(seen == octets::<Client>(seed), "{seed:?}");
            assert!(octets::<Server>(seed) == octets::<Server>(seed), "{seed:?}");
        }
    }
}
