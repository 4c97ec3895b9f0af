//! The ladder: what each side says, line by line, up to the TLS boundary; from there on who sends
//! how many octets.
//!
//! Where the boundary stands is not guessed from the octets: the machine says it.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use starttls::Error;
use starttls::inside::{self, Step};
use starttls::negotiate::{Negotiate, Next, Residue};
use starttls::protocol::Row;
use starttls::submission::Spoken;
use starttls::wire::{Frame, Out};

use crate::text;

/// Who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What is drawn beyond the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Who sends how many octets of TLS.
    Counts,
    /// What [`Trace::spoken`] is told.
    Lines,
    /// Both.
    All,
}

/// Where it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Stdout,
    Stderr,
}

/// The ladder of one connection.
#[derive(Debug)]
pub(crate) struct Trace {
    role: Role,
    inside: Inside,
    sink: Sink,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Octets the negotiation consumed and wrote: what is beyond, once it is over, is TLS.
    consumed: usize,
    written: usize,
    agreed: bool,
    /// Only counts are shown.
    counting: bool,
    received: Way,
    sent: Way,
    /// Inside TLS: lines of either side (the peer's, and ours), and octets of the message.
    heard: Vec<u8>,
    said: Vec<u8>,
    body: usize,
    /// A part of a login was said last; the next part belongs to it.
    secret: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    octets: usize,
    line: Vec<u8>,
}

/// A longer line is shown in pieces.
const MAX_SHOWN: usize = 4096;

impl Trace {
    pub(crate) fn new(role: Role, inside: Inside, sink: Sink) -> Arc<Self> {
        Arc::new(Self { role, inside, sink, state: Mutex::default() })
    }

    /// What a client says and hears inside TLS; of a login only that there is one.
    pub(crate) fn spoken(&self, spoken: Spoken<'_>) {
        let secret = matches!(spoken, Spoken::Secret(_));
        self.with(|state, shown| match (spoken, std::mem::replace(&mut state.secret, secret)) {
            (Spoken::Sent(octets), _) => {
                // The message's last line end leaves with what stands behind it.
                let octets = match octets.strip_prefix(b"\r\n") {
                    Some(behind) if state.body > 0 => {
                        state.body += 2;
                        behind
                    }
                    _ => octets,
                };
                state.message(shown);
                for &octet in octets {
                    push(&mut state.said, octet, "C", shown);
                }
            }
            (Spoken::Secret(_), true) => {}
            (Spoken::Secret(_), false) => {
                // A line of its own, or the end of one.
                state.said.extend_from_slice(b"***\r\n");
                shown.push_str(&inner("C", &std::mem::take(&mut state.said)));
            }
            (Spoken::Body(octets), _) => state.body += octets,
            (Spoken::Received(octets), _) => {
                state.message(shown);
                for &octet in octets {
                    push(&mut state.heard, octet, "S", shown);
                }
            }
        });
    }

    /// What is said first inside TLS; at its `end` half a line is shown too.
    pub(crate) fn opening(&self, heard: &[u8], said: &[u8], end: bool) {
        let (own, peer) = (self.own().mark, self.own().other().mark);
        self.with(|state, shown| {
            for (octets, line, mark) in
                [(heard, &mut state.heard, peer), (said, &mut state.said, own)]
            {
                octets.iter().for_each(|&octet| push(line, octet, mark, shown));
                if end && !line.is_empty() {
                    shown.push_str(&inner(mark, &std::mem::take(line)));
                }
            }
        });
    }

    /// The channel stays in plaintext; what is said on it is not for the ladder.
    pub(crate) fn stop_showing(&self) {
        self.with(|state, _| state.counting = true);
    }

    pub(crate) fn received(&self, octets: &[u8]) {
        let peer = match self.role {
            Role::Client => Side { mark: "S", untrusted: true },
            Role::Server => Side { mark: "C", untrusted: true },
        };
        self.with(|state, shown| {
            let limit = state.agreed.then_some(state.consumed);
            shown.push_str(&flush(&mut state.sent, self.own()));
            let count = self.counts();
            show(&mut state.received, &mut state.counting, count, limit, octets, peer, shown);
        });
    }

    pub(crate) fn sent(&self, octets: &[u8]) {
        let peer = Side { untrusted: true, ..self.own().other() };
        self.with(|state, shown| {
            let limit = state.agreed.then_some(state.written);
            shown.push_str(&flush(&mut state.received, peer));
            let count = self.counts();
            show(&mut state.sent, &mut state.counting, count, limit, octets, self.own(), shown);
        });
    }

    /// Half a line at the end of the connection.
    pub(crate) fn finish(&self) {
        let own = self.own();
        self.with(|state, shown| {
            state.message(shown);
            shown.push_str(&flush(&mut state.received, Side { untrusted: true, ..own.other() }));
            shown.push_str(&flush(&mut state.sent, own));
        });
    }

    fn own(&self) -> Side {
        match self.role {
            Role::Client => Side { mark: "C", untrusted: false },
            Role::Server => Side { mark: "S", untrusted: false },
        }
    }

    fn counts(&self) -> bool {
        self.inside != Inside::Lines
    }

    fn with(&self, draw: impl FnOnce(&mut State, &mut String)) {
        let mut shown = String::new();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        draw(&mut state, &mut shown);
        // Nobody may be listening.
        let _ = match self.sink {
            Sink::Stdout => std::io::stdout().write_all(shown.as_bytes()),
            Sink::Stderr => std::io::stderr().write_all(shown.as_bytes()),
        };
    }
}

/// What is half said when the time runs out is shown too.
impl Drop for Trace {
    fn drop(&mut self) {
        self.finish();
    }
}

impl State {
    /// The message, once something else is said.
    fn message(&mut self, shown: &mut String) {
        match std::mem::take(&mut self.body) {
            0 => {}
            octets => shown.push_str(&format!("C: ({octets} octets of the message)\n")),
        }
    }
}

/// Adds to a line inside TLS, and shows it at its end.
fn push(line: &mut Vec<u8>, octet: u8, mark: &str, shown: &mut String) {
    line.push(octet);
    if line.ends_with(b"\r\n") || line.len() == MAX_SHOWN {
        shown.push_str(&inner(mark, &std::mem::take(line)));
    }
}

fn inner(mark: &str, line: &[u8]) -> String {
    format!("{mark}: {}\n", text::escape(line.strip_suffix(b"\r\n").unwrap_or(line)))
}

#[derive(Clone, Copy, Debug)]
struct Side {
    mark: &'static str,
    untrusted: bool,
}

impl Side {
    fn other(self) -> Self {
        Self { mark: if self.mark == "C" { "S" } else { "C" }, ..self }
    }

    fn line(self, line: &[u8]) -> String {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let note = if self.untrusted { "    [plaintext, untrusted]" } else { "" };
        format!("{}: {}{note}\n", self.mark, text::escape(line))
    }
}

/// The line across the ladder.
pub(crate) const BOUNDARY: &str = "======================== TLS ========================\n";

/// Shows `octets` of one direction: lines up to `limit`, a count beyond it.
fn show(
    way: &mut Way,
    counting: &mut bool,
    count: bool,
    limit: Option<usize>,
    octets: &[u8],
    side: Side,
    shown: &mut String,
) {
    let clear = match limit {
        _ if *counting => 0,
        Some(limit) => limit.saturating_sub(way.octets).min(octets.len()),
        None => octets.len(),
    };
    way.octets += octets.len();
    let (clear, cipher) = octets.split_at_checked(clear).unwrap_or((octets, &[]));
    for &octet in clear {
        way.line.push(octet);
        // A lone LF is an octet like any other, above all in a binary protocol.
        if way.line.ends_with(b"\r\n") || way.line.len() == MAX_SHOWN {
            shown.push_str(&flush(way, side));
        }
    }
    if !cipher.is_empty() {
        shown.push_str(&flush(way, side));
        if !*counting {
            *counting = true;
            shown.push_str(BOUNDARY);
        }
        if count {
            shown.push_str(&format!("{}: {} octets\n", side.mark, cipher.len()));
        }
    }
}

fn flush(way: &mut Way, side: Side) -> String {
    if way.line.is_empty() {
        return String::new();
    }
    side.line(&std::mem::take(&mut way.line))
}

/// A machine that tells the ladder where the boundary stands.
#[derive(Debug)]
pub(crate) struct Traced<M> {
    machine: M,
    trace: Option<Arc<Trace>>,
}

impl<M> Traced<M> {
    pub(crate) fn new(machine: M, trace: Option<Arc<Trace>>) -> Self {
        Self { machine, trace }
    }

    fn note(&self, consumed: usize, written: usize, next: &Result<Next, Error>) {
        let stays = matches!(next, Ok(_) | Err(Error::PeerRefused(_)));
        if let (true, Some(trace)) = (stays, &self.trace) {
            trace.with(|state, _| {
                state.consumed += consumed;
                state.written += written;
                state.agreed |= *next == Ok(Next::Tls);
            });
        }
    }
}

impl<M: Negotiate> Negotiate for Traced<M> {
    type Side = M::Side;

    fn row(&self) -> &'static Row {
        self.machine.row()
    }

    fn max_frame(&self) -> usize {
        self.machine.max_frame()
    }

    fn residue(&self) -> Residue {
        self.machine.residue()
    }

    fn requires_alpn(&self) -> bool {
        self.machine.requires_alpn()
    }

    fn inside(&mut self) -> Option<&mut (dyn inside::Inside<Side = Self::Side> + '_)> {
        self.machine.inside()
    }

    fn allow_plaintext(&mut self) {
        self.machine.allow_plaintext();
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        let before = out.len();
        let next = self.machine.start(out);
        self.note(0, out.len() - before, &next);
        next
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.machine.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let before = out.len();
        let next = self.machine.process(frame, behind, out);
        self.note(frame.len(), out.len() - before, &next);
        next
    }
}

/// What is said first inside TLS, for the ladder: nothing in it is secret.
#[derive(Debug)]
pub(crate) struct Opened<M> {
    machine: M,
    trace: Option<Arc<Trace>>,
}

impl<M> Opened<M> {
    pub(crate) fn new(machine: M, trace: Option<Arc<Trace>>) -> Self {
        Self { machine, trace }
    }

    /// The application's own frame is not shown.
    fn note(&self, heard: &[u8], said: &[u8], step: &Result<Step, Error>) {
        if let (Some(trace), Ok(step)) = (&self.trace, step) {
            let heard = if *step == Step::Application { &[] } else { heard };
            trace.opening(heard, said, *step != Step::Frame);
        }
    }
}

impl<M: inside::Inside> inside::Inside for Opened<M> {
    type Side = M::Side;

    fn row(&self) -> &'static Row {
        self.machine.row()
    }

    fn max_frame(&self) -> usize {
        self.machine.max_frame()
    }

    fn goes_on(&self) -> bool {
        self.machine.goes_on()
    }

    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let before = out.len();
        let step = self.machine.start(arrived, out);
        self.note(&[], out.octets().get(before..).unwrap_or_default(), &step);
        step
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        self.machine.frame(input, scanned)
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
        let before = out.len();
        let step = self.machine.process(frame, behind, out);
        self.note(frame, out.octets().get(before..).unwrap_or_default(), &step);
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(limit: Option<usize>, pieces: &[&[u8]]) -> String {
        let (mut way, mut counting, mut shown) = (Way::default(), false, String::new());
        let side = Side { mark: "S", untrusted: true };
        for piece in pieces {
            show(&mut way, &mut counting, true, limit, piece, side, &mut shown);
        }
        shown
    }

    #[test]
    fn lines_then_counts() {
        assert_eq!(
            drawn(Some(8), &[b"220 ", b"go\r\n\x16\x03\x03", b"12345"]),
            format!("S: 220 go    [plaintext, untrusted]\n{BOUNDARY}S: 3 octets\nS: 5 octets\n")
        );
        assert_eq!(drawn(None, &[b"\x1b[2J\r\nhalf"]), "S: \\x1b[2J    [plaintext, untrusted]\n");
    }
}
