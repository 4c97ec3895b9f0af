//! The message: DATA with its dots (RFC 5321 §4.5.2), BDAT with its counts (RFC 3030).
//!
//! ```text
//! DATA    ┌───────── CR LF ────────┐
//!         ▼                        │
//!     LineStart ─ other ────► Middle ─ CR ─► Cr ─ other: flaw ─► Middle
//!         │ "."                 ▲  └ LF: flaw
//!         ▼                     │
//!        Dot ─── other ─────────┤
//!         │ CR                  │
//!         ▼                     │
//!       DotCr ── other: flaw ───┘
//!         │ LF
//!         ▼
//!        end                        BDAT: the same without dots; the count ends it
//! ```

use core::ops::Range;

use super::reply::{self, Offered, Reply, Words};
use super::transaction::{Stage, Transaction};
use super::{Event, Greeted, Receiver, State};

/// How far a message has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Body {
    at: At,
    /// Octets handed out.
    received: u64,
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    Dot,
    DotCr,
    Middle,
    Cr,
}

/// Why a message is refused; the first flaw counts, and nothing behind it is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    BareLineEnd,
    TooBig,
}

impl Flaw {
    fn reply(self) -> &'static str {
        match self {
            Self::BareLineEnd => reply::BARE,
            Self::TooBig => reply::TOO_BIG,
        }
    }
}

/// What was read: some framing, then a stretch of the message.
#[derive(Debug, PartialEq, Eq)]
struct Stretch {
    used: usize,
    octets: Range<usize>,
    end: bool,
}

impl Body {
    /// Reads on, at most to the next dot that begins a line.
    fn read(&mut self, input: &[u8], dots: bool, limit: Option<u64>) -> Stretch {
        let mut used = 0;
        while let Some(&octet) = input.get(used) {
            self.at = match (self.at, octet) {
                (At::LineStart, b'.') if dots => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => return Stretch { used: used + 1, octets: 0..0, end: true },
                (At::Dot, _) => At::Middle,
                (At::DotCr, _) => {
                    self.spoil(Flaw::BareLineEnd);
                    At::Middle
                }
                _ => break,
            };
            if self.at == At::Middle {
                break;
            }
            used += 1;
        }
        let start = used;
        let mut sound = self.flaw.is_some().then_some(used);
        while let Some(&octet) = input.get(used) {
            let (next, bare) = match (self.at, octet) {
                (At::LineStart, b'.') if dots => break,
                (At::Cr, b'\n') => (At::LineStart, false),
                (At::Cr, b'\r') => (At::Cr, true),
                (At::Cr, _) => (At::Middle, true),
                (_, b'\r') => (At::Cr, false),
                (_, b'\n') => (At::Middle, true),
                _ => (At::Middle, false),
            };
            if bare && sound.is_none() {
                sound = Some(used);
                self.spoil(Flaw::BareLineEnd);
            }
            self.at = next;
            used += 1;
        }
        let octets = start..sound.unwrap_or(used);
        Stretch { used, octets: self.within(octets, limit), end: false }
    }

    /// The part of `octets` that is within the limit.
    fn within(&mut self, octets: Range<usize>, limit: Option<u64>) -> Range<usize> {
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.received));
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let fits = octets.len().min(room);
        if fits < octets.len() {
            // It stands before any flaw that ended the stretch.
            self.flaw = Some(Flaw::TooBig);
        }
        self.received = self.received.saturating_add(u64::try_from(fits).unwrap_or(u64::MAX));
        octets.start..octets.start + fits
    }

    fn spoil(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }
}

impl Receiver<'_> {
    pub(super) fn begin_data(&mut self) -> Option<Event> {
        match self.transaction {
            Transaction { stage: Stage::Idle, .. } => self.tell(reply::MAIL_FIRST),
            Transaction { stage: Stage::Failed, .. } => self.tell(reply::RESET_FIRST),
            Transaction { stage: Stage::Chunks, .. } => self.tell(reply::CHUNKS),
            Transaction { recipients: 0, .. } => self.tell(reply::RCPT_FIRST),
            _ => {
                self.state = State::Data;
                self.tell(reply::GO_ON)
            }
        }
    }

    /// The message behind DATA. `base` is where `input` stands in the caller's.
    pub(super) fn data(&mut self, input: &[u8], base: usize) -> (usize, Option<Event>) {
        let stretch = self.transaction.body.read(input, true, self.size);
        if stretch.end {
            self.state = State::Command;
            return (stretch.used, self.end_of_message());
        }
        (stretch.used, handed(stretch.octets, base).or(need(input)))
    }

    /// BDAT. Its octets come whether they are welcome or not, and are never read as commands.
    pub(super) fn begin_chunk(&mut self, size: u32, last: bool) -> Option<Event> {
        let Transaction { stage, recipients, .. } = self.transaction;
        let in_order = matches!(stage, Stage::Addressed | Stage::Chunks)
            && recipients > 0
            && self.greeted == Greeted::Extended;
        self.state = State::Chunk { left: size, last, in_order };
        None
    }

    pub(super) fn chunk(
        &mut self,
        input: &[u8],
        base: usize,
        left: u32,
        last: bool,
        in_order: bool,
    ) -> (usize, Option<Event>) {
        if left == 0 {
            self.state = State::Command;
            return (0, self.end_of_chunk(last, in_order));
        }
        let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let part = input.get(..here).unwrap_or_default();
        let read = u32::try_from(here).unwrap_or(left);
        self.state = State::Chunk { left: left.saturating_sub(read), last, in_order };
        if !in_order {
            return (here, need(part));
        }
        let stretch = self.transaction.body.read(part, false, self.size);
        (stretch.used, handed(stretch.octets, base).or(need(part)))
    }

    fn end_of_chunk(&mut self, last: bool, in_order: bool) -> Option<Event> {
        let body = &mut self.transaction.body;
        if last && body.at == At::Cr {
            body.spoil(Flaw::BareLineEnd);
        }
        match (body.flaw, self.transaction.stage) {
            (_, Stage::Idle) => self.tell(reply::MAIL_FIRST),
            (_, Stage::Failed) => self.tell(reply::RESET_FIRST),
            _ if self.greeted != Greeted::Extended => {
                self.tell(reply::EHLO_FIRST);
                self.chunk_refused()
            }
            _ if !in_order => {
                self.tell(reply::RCPT_FIRST);
                self.chunk_refused()
            }
            (None, _) if last => self.end_of_message(),
            (None, _) => {
                self.transaction.stage = Stage::Chunks;
                self.tell(reply::OK)
            }
            (Some(flaw), _) => {
                let times = if last { self.replies() } else { 1 };
                self.reply = Some(Reply::times(times, Words::Fixed(flaw.reply())));
                self.chunk_refused()
            }
        }
    }

    /// Until RSET there is no way on (RFC 3030 §2).
    fn chunk_refused(&mut self) -> Option<Event> {
        let event = self.forget();
        self.transaction.stage = Stage::Failed;
        event
    }

    fn end_of_message(&mut self) -> Option<Event> {
        match self.transaction.body.flaw {
            None => {
                self.offered = Some(Offered::Message);
                Some(Event::MessageEnd)
            }
            Some(flaw) => {
                let words = Words::Fixed(flaw.reply());
                self.reply = Some(Reply::times(self.replies(), words));
                self.forget()
            }
        }
    }
}

fn handed(octets: Range<usize>, base: usize) -> Option<Event> {
    let event = Event::Body(base + octets.start..base + octets.end);
    (!octets.is_empty()).then_some(event)
}

fn need(input: &[u8]) -> Option<Event> {
    input.is_empty().then_some(Event::NeedInput)
}
