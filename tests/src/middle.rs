//! Our client and our server with somebody in between, who does what he likes with the octets on
//! their way.

use std::cell::RefCell;
use std::collections::VecDeque;

use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Negotiation, Server, Status};
use starttls::wire::{Clear, Out, RecvBuf};

use crate::dialogue::Speaker;
use crate::table::Machine;
use crate::watch::Watch;

/// One thing that the middle does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// On whose way.
    pub to: Speaker,
    /// What.
    pub act: Act,
    /// Whether both sides look at what they got at once, and not later.
    pub run: bool,
}

/// What the middle can do with what the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Lets this many octets pass, in one read.
    Forward(usize),
    /// Drops this many.
    Drop(usize),
    /// Puts this many behind all others that wait.
    Hold(usize),
    /// Changes these bits of the next.
    Alter(u8),
    /// Says this, before what waits.
    Insert(Vec<u8>),
    /// Says again what passed: so many octets, from the given one on, of those to this side.
    Replay(Speaker, usize, usize),
    /// Ends the transport.
    Cut,
}

/// Sizes of buffers.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Room for output, in octets, over and over; after `OutputFull` at least twice the last.
    pub outs: Vec<usize>,
    /// Octets of the receive buffer beyond the longest frame.
    pub spare: usize,
}

/// What became of one side.
#[derive(Debug)]
pub struct Met {
    /// Handed over to TLS, or the error.
    pub end: Result<(), Error>,
    /// All it said.
    pub sent: Vec<u8>,
    /// The frames it answered.
    pub frames: Vec<Vec<u8>>,
    /// What was handed over with the rest.
    pub residue: Vec<u8>,
    /// Whether what came to it was something else than what the other side said, or less.
    pub changed: bool,
}

/// Lets a client and a server meet, with `deeds` in between. Behind the last of them everything
/// passes, and at last the transport ends. What became of the client and of the server.
///
/// # Panics
/// If a side breaks the contract, or does not come to an end.
pub fn meet(
    client: (Machine<Client>, &Room),
    server: (Machine<Server>, &Room),
    deeds: &[Deed],
) -> [Met; 2] {
    let storage = |most: usize, room: &Room| vec![0; most + room.spare];
    let mut at_client = storage(client.0.max_frame(), client.1);
    let mut at_server = storage(server.0.max_frame(), server.1);
    let mut client = End::new(client.0, RecvBuf::new(&mut at_client), client.1);
    let mut server = End::new(server.0, RecvBuf::new(&mut at_server), server.1);
    client.run();
    server.run();
    for deed in deeds {
        match deed.to {
            Speaker::Client => deed.act.happens(&mut client.way, &mut server),
            Speaker::Server => deed.act.happens(&mut server.way, &mut client),
        }
        if deed.run {
            client.run();
            server.run();
        }
    }
    let all = Act::Forward(usize::MAX);
    loop {
        all.happens(&mut client.way, &mut server);
        all.happens(&mut server.way, &mut client);
        client.run();
        server.run();
        if client.said.is_empty() && server.said.is_empty() {
            break;
        }
    }
    (client.way.closed, server.way.closed) = (true, true);
    client.run();
    server.run();
    [client.met(), server.met()]
}

/// The way to one side.
#[derive(Debug, Default)]
struct Way {
    /// What the other side said, not yet let through.
    waits: VecDeque<u8>,
    /// What was let through and is not read.
    inbox: VecDeque<u8>,
    /// All that was let through.
    passed: Vec<u8>,
    closed: bool,
    changed: bool,
}

impl Way {
    fn pass(&mut self, octets: impl IntoIterator<Item = u8>) {
        if !self.closed {
            let start = self.passed.len();
            self.passed.extend(octets);
            self.inbox.extend(&self.passed[start..]);
        }
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        self.waits.drain(..n.min(self.waits.len())).collect()
    }
}

impl Act {
    /// On the way `to` one side, `from` the other.
    fn happens<M: Negotiate>(&self, to: &mut Way, from: &mut End<'_, M>) {
        to.waits.extend(from.said.drain(..));
        match self {
            Self::Forward(n) => {
                let octets = to.take(*n);
                to.pass(octets);
            }
            Self::Drop(n) => to.changed |= !to.take(*n).is_empty(),
            Self::Hold(n) => {
                let held = to.take(*n);
                to.changed |= !held.is_empty() && !to.waits.is_empty();
                to.waits.extend(held);
            }
            Self::Alter(bits) => {
                if let Some(octet) = to.waits.front_mut() {
                    *octet ^= bits;
                    to.changed |= *bits != 0;
                }
            }
            Self::Insert(octets) => {
                to.changed |= !octets.is_empty();
                to.pass(octets.iter().copied());
            }
            Self::Replay(whose, at, n) => {
                let mine = *whose == from.speaker.peer();
                let passed = if mine { &to.passed } else { &from.way.passed };
                let rest = passed.get(*at..).unwrap_or_default();
                let octets = rest[..(*n).min(rest.len())].to_vec();
                to.changed |= !octets.is_empty();
                to.pass(octets);
            }
            Self::Cut => (to.closed, to.changed) = (true, true),
        }
    }
}

/// The most calls of one side: no input is longer than that.
const MOST_CALLS: usize = 1 << 20;

struct End<'b, M> {
    speaker: Speaker,
    running: Option<(Negotiation<Watch<M>>, RecvBuf<'b, Clear>)>,
    room: Room,
    next_room: usize,
    calls: usize,
    way: Way,
    /// What it said and the middle has not got yet.
    said: VecDeque<u8>,
    met: Met,
}

impl<'b, M: Negotiate> End<'b, M>
where
    M::Side: crate::table::Role,
{
    fn new(machine: M, recv: RecvBuf<'b, Clear>, room: &Room) -> Self {
        let watch = Watch { machine, again: (usize::MAX / 2, 0), seen: RefCell::default() };
        let met = Met {
            end: Ok(()),
            sent: Vec::new(),
            frames: Vec::new(),
            residue: Vec::new(),
            changed: false,
        };
        Self {
            speaker: <M::Side as crate::table::Role>::SPEAKER,
            running: Some((Negotiation::new(watch), recv)),
            room: room.clone(),
            next_room: 0,
            calls: 0,
            way: Way::default(),
            said: VecDeque::new(),
            met,
        }
    }

    /// Runs until it wants what is not there, or has come to an end.
    fn run(&mut self) {
        let mut least = 0;
        while let Some((negotiation, recv)) = &mut self.running {
            self.calls += 1;
            assert!(self.calls < MOST_CALLS, "no end in sight");
            let room = self.room.outs.get(self.next_room).copied().unwrap_or(4096).max(least);
            self.next_room = (self.next_room + 1) % self.room.outs.len().max(1);
            let (mut storage, before) = (vec![0; room], recv.len());
            let mut out = Out::new(&mut storage);
            let status = negotiation.process(recv, &mut out);
            self.met.sent.extend_from_slice(out.octets());
            self.said.extend(out.octets());
            match status {
                Err(Error::OutputFull) => {
                    assert!(out.is_empty() && recv.len() == before, "OutputFull changed something");
                    least = 2 * room + 1;
                    continue;
                }
                Ok(Status::Progress) => {}
                Ok(Status::NeedInput) => {
                    assert!(out.is_empty() && recv.len() == before, "NeedInput changed something");
                    let n = recv.fill(self.way.inbox.make_contiguous());
                    self.way.inbox.drain(..n);
                    if n == 0 && self.way.closed && self.way.inbox.is_empty() {
                        let error = negotiation.close_received();
                        self.end(Err(error));
                    } else if n == 0 {
                        assert!(self.way.inbox.is_empty(), "no room for more, and more is wanted");
                        return;
                    }
                }
                Ok(Status::Ready) => self.end(Ok(())),
                Err(error) => self.end(Err(error)),
            }
            least = 0;
        }
    }

    fn end(&mut self, end: Result<(), Error>) {
        let Some((mut negotiation, mut recv)) = self.running.take() else { return };
        let mut storage = [0; 256];
        let mut out = Out::new(&mut storage);
        let again = negotiation.process(&mut recv, &mut out);
        assert_eq!(again, end.map(|()| Status::Ready), "the end is not the end");
        assert!(out.is_empty(), "words behind the end");
        self.met.frames = negotiation.machine().seen.borrow().frames.clone();
        self.met.end = negotiation.upgrade(recv).map(|(upgrade, _)| {
            self.met.residue = upgrade.into_recv().octets().to_vec();
        });
        assert_eq!(self.met.end, end, "a hand-over that nobody agreed to");
    }

    fn met(self) -> Met {
        assert!(self.running.is_none(), "the {:?} did not come to an end", self.speaker);
        Met { changed: self.way.changed, ..self.met }
    }
}
