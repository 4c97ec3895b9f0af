//! The player: feeds a machine what its peer says, in reads of any size, and gives it output
//! buffers of any size.
//!
//! Whatever a run is about, the player holds it to the contract: `OutputFull` changes nothing, all
//! other errors stick, output of earlier calls is left alone, every call makes progress, framing
//! examines each octet once.

use std::cell::RefCell;

use starttls::Error;
use starttls::error::{Misbehaviour, Misuse, Refusal};
use starttls::negotiate::{AllowPlaintext, Negotiate, Negotiation, Status};
use starttls::wire::{Clear, Out, RecvBuf};

use crate::watch::{Seen, Watch};

/// How a run is driven.
#[derive(Clone, Debug)]
pub struct Run {
    /// Octets that each read brings; the last size repeats. No read crosses a wait-point.
    pub reads: Vec<usize>,
    /// Room for output, in octets, over and over; after `OutputFull` at least twice the last.
    pub outs: Vec<usize>,
    /// Read before every call, and not only where the machine asks for it.
    pub eager: bool,
    /// Octets of the receive buffer; at least the longest frame. `None` holds all.
    pub capacity: Option<usize>,
    /// The policy allows plaintext.
    pub plaintext: bool,
    /// What happens when the peer has no more to say.
    pub idle: Idle,
    /// What happens at [`Status::Ready`].
    pub ready: AtReady,
}

/// What happens when the peer has no more to say and the machine wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The transport ends.
    Close,
    /// A careless caller hands over to TLS.
    Upgrade,
    /// A careless caller goes on in plaintext.
    Plaintext,
}

/// What happens at [`Status::Ready`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtReady {
    /// The hand-over, as the contract asks.
    Upgrade,
    /// A careless caller receives once more, then hands over.
    Receive,
    /// The transport ends first.
    Close,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            reads: vec![usize::MAX],
            outs: vec![4096],
            eager: false,
            capacity: None,
            plaintext: false,
            idle: Idle::Close,
            ready: AtReady::Upgrade,
        }
    }
}

impl Run {
    /// Reads of these sizes.
    pub fn reads(sizes: &[usize]) -> Self {
        Self { reads: sizes.to_vec(), ..Self::default() }
    }

    /// Whole turns, but for one, which comes in two reads: the first brings what stands before
    /// octet `at`, counted over all turns.
    pub fn cut(turns: &[Vec<u8>], at: usize) -> Self {
        let mut left = at;
        let mut reads = Vec::new();
        for turn in turns {
            if left < turn.len() {
                reads.push(left.max(1));
                break;
            }
            left -= turn.len();
            reads.push(usize::MAX);
        }
        reads.push(usize::MAX);
        Self { reads, ..Self::default() }
    }

    /// Every [`cut`](Self::cut), and octet by octet. Where there are thousands, every 31st.
    pub fn splits(turns: &[Vec<u8>]) -> impl Iterator<Item = Self> {
        let total = total(turns);
        let step = if total > 4096 { 31 } else { 1 };
        (0..total).step_by(step).map(|at| Self::cut(turns, at)).chain([Self::reads(&[1])])
    }
}

/// Octets of all turns.
pub fn total(turns: &[Vec<u8>]) -> usize {
    turns.iter().map(Vec::len).sum()
}

/// The first `n` octets of the turns; a turn that is left empty falls away.
pub fn prefix(turns: &[Vec<u8>], n: usize) -> Vec<Vec<u8>> {
    let mut left = n;
    let mut cut = |turn: &Vec<u8>| {
        let keep = left.min(turn.len());
        left -= keep;
        turn[..keep].to_vec()
    };
    turns.iter().map(&mut cut).filter(|turn| !turn.is_empty()).collect()
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Played {
    /// All that our side sent.
    pub sent: Vec<u8>,
    /// How many octets of it before each of the peer's turns.
    pub marks: Vec<usize>,
    /// The frames that were answered.
    pub frames: Vec<Vec<u8>>,
    /// Ready and handed over, or the error.
    pub end: Result<(), Error>,
    /// What was handed over with it.
    pub residue: Vec<u8>,
    /// What the peer had sent by then and nobody had read.
    pub late: Vec<u8>,
    /// The refusing line, as kept for show.
    pub untrusted: Option<Vec<u8>>,
    /// Whether and why plaintext may follow.
    pub plaintext: Result<Refusal, Error>,
    /// Octets received.
    pub fed: usize,
    /// Octets that framing examined.
    pub examined: usize,
    /// Calls that ended in `OutputFull`.
    pub full: usize,
}

impl Played {
    /// What our side sent before each of the peer's turns, and behind the last.
    pub fn ours(&self) -> Vec<Vec<u8>> {
        let ends = self.marks.iter().copied().chain([self.sent.len()]);
        let starts = [0].into_iter().chain(self.marks.iter().copied());
        starts.zip(ends).map(|(start, end)| self.sent[start..end].to_vec()).collect()
    }

    /// The end, as attacks name it.
    pub fn end_name(&self) -> String {
        name(self.end)
    }

    /// Whether the peer was caught speaking out of turn, which depends on what has arrived.
    pub fn out_of_turn(&self) -> bool {
        use Misbehaviour::{BytesAfterUpgrade, Unsolicited};
        matches!(self.end, Err(Error::PeerMisbehaved(Unsolicited | BytesAfterUpgrade)))
    }

    /// The law of chunking: the same octets in other reads end in the same way, unless a peer who
    /// speaks out of turn is caught at it in one of the two; then what was sent up to there agrees.
    ///
    /// # Panics
    /// If it is broken.
    pub fn agrees(&self, other: &Self, about: &dyn std::fmt::Debug) {
        if self.out_of_turn() || other.out_of_turn() {
            let shared = self.sent.len().min(other.sent.len());
            assert_eq!(self.sent[..shared], other.sent[..shared], "{about:?}");
            for (caught, free) in [(self, other), (other, self)] {
                let further = caught.sent.len() <= free.sent.len();
                assert!(!caught.out_of_turn() || further || free.out_of_turn(), "{about:?}");
            }
        } else {
            assert_eq!((self.end, &self.sent), (other.end, &other.sent), "{about:?}");
            assert_eq!(self.frames, other.frames, "{about:?}");
        }
    }
}

/// An end in one line: `Ready`, `PeerRefused(Upgrade 454 temporary)`, `PeerMisbehaved(Nul)`.
pub fn name(end: Result<(), Error>) -> String {
    match end {
        Ok(()) => "Ready".into(),
        Err(Error::PeerRefused(Refusal { kind, code, temporary: true })) => {
            format!("PeerRefused({kind:?} {code} temporary)")
        }
        Err(Error::PeerRefused(Refusal { kind, code, .. })) => {
            format!("PeerRefused({kind:?} {code})")
        }
        Err(error) => format!("{error:?}"),
    }
}

/// What stands in an output buffer from before a call.
const KEPT: &[u8] = b"kept";

/// Plays the peer's `turns` to `machine`, whose framing may look `again` at some octets.
///
/// # Panics
/// If the machine or its driver breaks the contract.
pub fn play<M: Negotiate>(
    machine: M,
    again: (usize, usize),
    turns: &[Vec<u8>],
    run: &Run,
) -> Played {
    let watch = Watch { machine, again, seen: RefCell::default() };
    let mut storage = vec![0; run.capacity.unwrap_or(total(turns)).max(watch.max_frame())];
    let mut recv = RecvBuf::new(&mut storage);
    let mut negotiation = match run.plaintext {
        true => Negotiation::or_plaintext(watch, AllowPlaintext),
        false => Negotiation::new(watch),
    };
    let mut transport = Transport { turns, turn: None, at: 0, reads: &run.reads, fed: 0 };
    let mut rooms = run.outs.iter().copied().cycle();
    let (mut sent, mut marks, mut full) = (Vec::new(), Vec::new(), 0);
    let (mut room, mut started) = (rooms.next().unwrap_or(4096), false);
    let most = 32 * (total(turns) + turns.len() + 2);
    for _ in 0..most {
        if run.eager {
            transport.read(&mut recv);
        }
        let mut storage = vec![0; KEPT.len() + room];
        let mut out = Out::new(&mut storage);
        out.put(&[KEPT]).expect("room for what is there");
        let before = recv.len();
        let status = negotiation.process(&mut recv, &mut out);
        let said = out.octets().strip_prefix(KEPT).expect("earlier output is left alone");
        sent.extend_from_slice(said);
        if status == Err(Error::OutputFull) {
            assert!(said.is_empty() && recv.len() == before, "OutputFull changed something");
            full += 1;
            room = rooms.next().unwrap_or(4096).max(2 * room + 1);
            continue;
        }
        room = rooms.next().unwrap_or(4096);
        let end = match status {
            Ok(Status::Progress) => {
                assert!(recv.len() < before || !started, "no progress");
                started = true;
                continue;
            }
            Ok(Status::NeedInput) => {
                assert!(said.is_empty() && recv.len() == before, "NeedInput changed something");
                if transport.read(&mut recv) {
                    continue;
                }
                if transport.next_turn() {
                    marks.push(sent.len());
                    continue;
                }
                idle(&mut negotiation, run.idle)
            }
            Ok(Status::Ready) => {
                let again = negotiation.process(&mut recv, &mut Out::new(&mut []));
                assert_eq!(again, Ok(Status::Ready));
                at_ready(&mut negotiation, &mut recv, &mut transport, run.ready)
            }
            Err(error) => Err(error),
        };
        let late = transport.unread().to_vec();
        let mut played = Played {
            sent,
            marks,
            frames: Vec::new(),
            end,
            residue: Vec::new(),
            late,
            untrusted: negotiation.untrusted_text(&recv).map(|t| t.untrusted_octets().to_vec()),
            plaintext: negotiation.plaintext_reason(),
            fed: transport.fed,
            examined: 0,
            full,
        };
        let seen = finish(negotiation, recv, run.idle, &mut played);
        (played.frames, played.examined) = (seen.frames, seen.examined);
        return played;
    }
    panic!("still running after {most} calls");
}

fn idle<M: Negotiate>(negotiation: &mut Negotiation<M>, idle: Idle) -> Result<(), Error> {
    match idle {
        Idle::Close => Err(negotiation.close_received()),
        Idle::Upgrade | Idle::Plaintext => Ok(()),
    }
}

fn at_ready<M: Negotiate>(
    negotiation: &mut Negotiation<M>,
    recv: &mut RecvBuf<'_, Clear>,
    transport: &mut Transport<'_>,
    action: AtReady,
) -> Result<(), Error> {
    match action {
        AtReady::Upgrade => Ok(()),
        AtReady::Receive => {
            while transport.read(recv) {}
            Ok(())
        }
        AtReady::Close => Err(negotiation.close_received()),
    }
}

/// The hand-over; or the proof that an error stays what it is.
fn finish<M: Negotiate>(
    mut negotiation: Negotiation<Watch<M>>,
    mut recv: RecvBuf<'_, Clear>,
    idle: Idle,
    played: &mut Played,
) -> Seen {
    match played.end {
        Ok(()) => {
            let seen = negotiation.machine().seen.borrow().clone();
            let done = match idle {
                Idle::Plaintext => negotiation.into_plaintext(recv).map(|_| ()),
                Idle::Close | Idle::Upgrade => negotiation.upgrade(recv).map(|(upgrade, _)| {
                    played.residue = upgrade.into_recv().octets().to_vec();
                }),
            };
            played.end = done;
            seen
        }
        Err(error) => {
            if idle == Idle::Plaintext {
                let seen = negotiation.machine().seen.borrow().clone();
                played.end = negotiation.into_plaintext(recv).map(|plaintext| {
                    played.residue = plaintext.octets.to_vec();
                });
                return seen;
            }
            for more in [&b""[..], b"220 ok\r\n"] {
                recv.fill(more);
                let (before, mut storage) = (recv.len(), [0; 256]);
                let mut out = Out::new(&mut storage);
                assert_eq!(negotiation.process(&mut recv, &mut out), Err(error));
                assert!(out.is_empty() && recv.len() == before, "{error:?} is not the end");
                assert_eq!(negotiation.close_received(), error);
                let shown = negotiation.untrusted_text(&recv).map(|text| text.untrusted_octets());
                assert_eq!(shown, played.untrusted.as_deref(), "a refusal stays to be shown");
                assert_eq!(negotiation.plaintext_reason(), played.plaintext);
            }
            let seen = negotiation.machine().seen.borrow().clone();
            assert_eq!(negotiation.upgrade(recv).map(|_| ()), Err(error));
            seen
        }
    }
}

/// The peer's octets on their way.
#[derive(Debug)]
struct Transport<'t> {
    turns: &'t [Vec<u8>],
    turn: Option<usize>,
    at: usize,
    reads: &'t [usize],
    fed: usize,
}

impl Transport<'_> {
    fn unread(&self) -> &[u8] {
        match self.turn {
            Some(turn) => &self.turns[turn][self.at..],
            None => &[],
        }
    }

    fn next_turn(&mut self) -> bool {
        let next = self.turn.map_or(0, |turn| turn + 1);
        if next < self.turns.len() {
            (self.turn, self.at) = (Some(next), 0);
        }
        next < self.turns.len()
    }

    /// One read; `false` if there is nothing.
    fn read(&mut self, recv: &mut RecvBuf<'_, Clear>) -> bool {
        let unread = self.unread();
        if unread.is_empty() {
            return false;
        }
        let size = self.reads.first().copied().unwrap_or(usize::MAX);
        let n = recv.fill(&unread[..unread.len().min(size.max(1))]);
        if n == 0 {
            return false;
        }
        if self.reads.len() > 1 {
            self.reads = &self.reads[1..];
        }
        self.at += n;
        self.fed += n;
        true
    }
}

/// The error of a verb used too early.
pub const TOO_EARLY: Error = Error::Misuse(Misuse::Phase);
