//! rustls's unbuffered API behind a façade that keeps its rules.
//!
//! Records are shown to rustls one whole record at a time. `shown` counts the octets it has seen
//! and not discarded: fragments of a handshake message stay in our buffer, rustls remembers where,
//! and every later call has to show exactly those octets again.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::failure::TlsFailure;
use super::opportunistic::Recorder;
use super::spill::Spill;
use super::{Security, Version};
use crate::error::{Error, TlsError};
use crate::wire::Decrypted;

/// The most a record adds to its content: header, explicit nonce or content type, and tag.
const RECORD_OVERHEAD: usize = 5 + 8 + 16;
/// The most content in a record (RFC 8446 §5.1).
const MAX_CONTENT: usize = 1 << 14;
const HEADER: usize = 5;
/// One more than the octets that either version allows behind a header (RFC 5246 §6.2.3).
const MAX_PAYLOAD: usize = MAX_CONTENT + 2048;

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poll {
    /// The buffer has to hold this many octets before there can be progress.
    NeedInput(usize),
    /// The handshake is over. Reported once, before any data.
    Established,
    /// Application data can be taken.
    Data,
    /// close_notify came; nothing that follows is read.
    PeerClosed,
}

/// What differs between a client and a server. A table of functions, so that a program that is only
/// one of them does not link the other.
trait Side: Send + Sync {
    /// One call of rustls, with the octets it has seen.
    fn turn(
        &mut self,
        shown: &mut [u8],
        task: Task<'_>,
        spill: &mut Spill,
    ) -> (usize, Result<Turn, rustls::Error>);

    fn common(&self) -> &CommonState;

    fn security(&self) -> Security;
}

struct Client(UnbufferedClientConnection, Option<Arc<Recorder>>);

impl Side for Client {
    fn turn(
        &mut self,
        shown: &mut [u8],
        task: Task<'_>,
        spill: &mut Spill,
    ) -> (usize, Result<Turn, rustls::Error>) {
        answer(self.0.process_tls_records(shown), task, spill)
    }

    fn common(&self) -> &CommonState {
        self.0.deref().deref()
    }

    fn security(&self) -> Security {
        self.1.as_ref().map_or(Security::Authenticated, |recorder| recorder.security())
    }
}

struct Server(UnbufferedServerConnection);

impl Side for Server {
    fn turn(
        &mut self,
        shown: &mut [u8],
        task: Task<'_>,
        spill: &mut Spill,
    ) -> (usize, Result<Turn, rustls::Error>) {
        answer(self.0.process_tls_records(shown), task, spill)
    }

    fn common(&self) -> &CommonState {
        self.0.deref().deref()
    }

    fn security(&self) -> Security {
        match self.0.peer_certificates() {
            Some(_) => Security::Authenticated,
            None => Security::Unauthenticated(TlsError::NoCertificate),
        }
    }
}

/// One TLS connection.
pub(crate) struct Connection {
    side: Box<dyn Side>,
    /// Octets rustls has seen and not discarded.
    shown: usize,
    /// It waits for more than those: showing them again would be in vain, and counts as an attempt
    /// where it skips a client's early data.
    idle: bool,
    /// A record's content that the application took only a part of.
    carry: Vec<u8>,
    carried: usize,
    /// rustls holds a decrypted record.
    pending: bool,
    established: bool,
    peer_closed: bool,
    closed: bool,
    failure: Option<TlsFailure>,
}

/// What to do when rustls is ready for it.
enum Task<'t> {
    Read,
    Take(&'t mut dyn FnMut(&[u8])),
    Seal(&'t [u8], &'t mut [u8]),
    Close,
}

/// Where rustls stands after one call.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It made progress: call again.
    Again,
    /// It holds decrypted data.
    Record,
    /// It gave the data away, wrote this many octets, or queued the close.
    Done(usize),
    /// It waits for input; application data may be written, once the handshake is over.
    Idle,
    PeerClosed,
}

impl Connection {
    pub(super) fn client(
        client: UnbufferedClientConnection,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self::new(Box::new(Client(client, recorder)))
    }

    pub(super) fn server(server: UnbufferedServerConnection) -> Self {
        Self::new(Box::new(Server(server)))
    }

    fn new(side: Box<dyn Side>) -> Self {
        Self {
            side,
            shown: 0,
            idle: false,
            carry: Vec::new(),
            carried: 0,
            pending: false,
            established: false,
            peer_closed: false,
            closed: false,
            failure: None,
        }
    }

    /// Works through the records in `input` until something is worth reporting; also says how many
    /// octets at the front of `input` are done with, whatever the result.
    pub(crate) fn step(
        &mut self,
        input: &mut [u8],
        spill: &mut Spill,
    ) -> (usize, Result<Poll, Error>) {
        let mut consumed = 0;
        let result = loop {
            if let Some(failure) = &self.failure {
                break Err(failure.kind().into());
            }
            if self.has_data() {
                break Ok(Poll::Data);
            }
            if self.peer_closed {
                // RFC 8446 §6.1: what follows a closure alert is ignored.
                (consumed, self.shown) = (input.len(), 0);
                break Ok(Poll::PeerClosed);
            }
            let rest = input.get_mut(consumed..).unwrap_or_default();
            let (discard, turn) = match self.idle {
                true => (0, Ok(Turn::Idle)),
                false => self.turn(rest, Task::Read, spill),
            };
            self.idle = false;
            consumed += discard;
            match turn {
                Ok(Turn::Again | Turn::Done(_)) => continue,
                Ok(Turn::Record) => self.pending = true,
                Ok(Turn::PeerClosed) => self.peer_closed = true,
                Ok(Turn::Idle) => {}
                Err(error) => {
                    self.fail(error, spill);
                    consumed = input.len();
                    continue;
                }
            }
            if !self.established && !self.common().is_handshaking() {
                self.established = true;
                break Ok(Poll::Established);
            }
            if turn == Ok(Turn::Idle) {
                let waiting = input.get(consumed + self.shown..).unwrap_or_default();
                match record(waiting) {
                    // rustls ignores it (nobody vouches for it), and then waits for nothing.
                    Record::Whole(_) if !self.established && is_close_notify(waiting) => {
                        self.peer_closed = true;
                    }
                    Record::Whole(length) => self.shown += length,
                    Record::Partial(length) => {
                        self.idle = true;
                        break Ok(Poll::NeedInput(self.shown + length));
                    }
                    Record::Alien => {
                        // rustls words the refusal, and sends the alert, on sight of the header.
                        let header = input.get_mut(consumed..).unwrap_or_default();
                        self.shown += HEADER;
                        let (_, turn) = self.turn(header, Task::Read, spill);
                        let error = turn.err().unwrap_or(rustls::Error::InvalidMessage(
                            rustls::InvalidMessage::InvalidContentType,
                        ));
                        self.fail(error, spill);
                        consumed = input.len();
                    }
                }
            }
        };
        (consumed.min(input.len()), result)
    }

    /// Encrypts as much of `data` as `room` holds: octets taken, octets written. `(0, 0)` asks for
    /// what was spilled, or what is in the way, to be sent first.
    pub(crate) fn seal(
        &mut self,
        input: &mut [u8],
        data: &[u8],
        room: &mut [u8],
        spill: &mut Spill,
    ) -> Result<(usize, usize), Error> {
        let take = room.len().saturating_sub(RECORD_OVERHEAD).min(MAX_CONTENT).min(data.len());
        let data = data.get(..take).unwrap_or_default();
        loop {
            if let Some(failure) = &self.failure {
                return Err(failure.kind().into());
            }
            if data.is_empty() || !spill.is_empty() {
                return Ok((0, 0));
            }
            match self.turn(input, Task::Seal(data, room), spill).1 {
                Ok(Turn::Done(written)) if written > 0 => return Ok((take, written)),
                // A key update goes first and needed the room.
                Ok(Turn::Done(_)) if self.common().wants_write() => {}
                Ok(Turn::Done(_) | Turn::Idle) => return Ok((0, 0)),
                Ok(Turn::Record) => self.set_aside(input, spill),
                Ok(Turn::PeerClosed) => self.peer_closed = true,
                Ok(Turn::Again) => {}
                Err(error) => self.fail(error, spill),
            }
        }
    }

    /// Queues close_notify: nothing can be written after it, reading goes on.
    pub(crate) fn queue_close(&mut self, input: &mut [u8], spill: &mut Spill) {
        let mut asked = false;
        while self.failure.is_none() && (!asked || self.common().wants_write()) {
            let task = if asked { Task::Read } else { Task::Close };
            match self.turn(input, task, spill).1 {
                Ok(Turn::Done(_)) => asked = true,
                Ok(Turn::Record) => self.set_aside(input, spill),
                Ok(Turn::PeerClosed) => self.peer_closed = true,
                Ok(Turn::Again) => {}
                Ok(Turn::Idle) => break,
                Err(error) => self.fail(error, spill),
            }
        }
        self.closed = true;
    }

    /// Lends the decrypted octets to `take`, which says how many it is done with.
    pub(crate) fn lend(
        &mut self,
        input: &mut [u8],
        spill: &mut Spill,
        take: impl FnOnce(Decrypted<'_>) -> usize,
    ) -> usize {
        if self.carry.is_empty() {
            let (mut take, mut taken, mut carry) = (Some(take), 0, Vec::new());
            self.take(input, spill, &mut |content| {
                let rest = match take.take() {
                    Some(take) => {
                        taken = take(Decrypted::new(content)).min(content.len());
                        content.get(taken..).unwrap_or_default()
                    }
                    None => content,
                };
                carry.extend_from_slice(rest);
            });
            (self.carry, self.carried) = (carry, 0);
            return taken;
        }
        let waiting = self.carry.get(self.carried..).unwrap_or_default();
        let taken = take(Decrypted::new(waiting)).min(waiting.len());
        self.carried += taken;
        if self.carried == self.carry.len() {
            (self.carry, self.carried) = (Vec::new(), 0);
        }
        taken
    }

    /// Puts octets that were lent, and are of no use there, in front of what waits to be lent.
    pub(crate) fn put_back(&mut self, octets: Decrypted<'_>) {
        if !octets.is_empty() {
            let waiting = self.carry.get(self.carried..).unwrap_or_default();
            (self.carry, self.carried) = ([octets.octets(), waiting].concat(), 0);
        }
    }

    /// Copies a record out of rustls, which can write nothing while it holds one.
    fn set_aside(&mut self, input: &mut [u8], spill: &mut Spill) {
        let mut carry = core::mem::take(&mut self.carry);
        self.pending = true;
        self.take(input, spill, &mut |content| carry.extend_from_slice(content));
        self.carry = carry;
    }

    fn take(&mut self, input: &mut [u8], spill: &mut Spill, sink: &mut dyn FnMut(&[u8])) {
        if core::mem::take(&mut self.pending) {
            // Nothing can fail, and nothing is discarded: the record was processed before.
            let _ = self.turn(input, Task::Take(sink), spill);
        }
    }

    /// One call of rustls, with the octets it has seen.
    fn turn(
        &mut self,
        input: &mut [u8],
        task: Task<'_>,
        spill: &mut Spill,
    ) -> (usize, Result<Turn, rustls::Error>) {
        self.idle = false;
        let shown = input.get_mut(..self.shown).unwrap_or_default();
        let (discard, turn) = self.side.turn(shown, task, spill);
        self.shown = self.shown.saturating_sub(discard);
        (discard, turn)
    }

    /// Gets the alert out. After an error rustls must not be shown input, nor be called once it
    /// has nothing more to send.
    fn fail(&mut self, error: rustls::Error, spill: &mut Spill) {
        self.shown = 0;
        while self.common().wants_write() {
            match self.turn(&mut [], Task::Read, spill).1 {
                Ok(Turn::Again) => {}
                Ok(Turn::Record) => self.set_aside(&mut [], spill),
                _ => break,
            }
        }
        self.failure = Some(TlsFailure::new(error));
    }

    fn common(&self) -> &CommonState {
        self.side.common()
    }

    pub(crate) fn has_data(&self) -> bool {
        self.established && (self.pending || !self.carry.is_empty())
    }

    pub(crate) fn is_established(&self) -> bool {
        self.established
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn failure(&self) -> Option<&TlsFailure> {
        self.failure.as_ref()
    }

    pub(crate) fn version(&self) -> Option<Version> {
        match self.common().protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(Version::Tls12),
            ProtocolVersion::TLSv1_3 => Some(Version::Tls13),
            _ => None,
        }
    }

    pub(crate) fn suite(&self) -> Option<&'static str> {
        self.common().negotiated_cipher_suite()?.suite().as_str()
    }

    pub(crate) fn group(&self) -> Option<&'static str> {
        self.common().negotiated_key_exchange_group()?.name().as_str()
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.common().alpn_protocol()
    }

    pub(crate) fn resumed(&self) -> bool {
        self.common().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(crate) fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.common().peer_certificates().unwrap_or_default().iter().map(|der| der.as_ref())
    }

    pub(crate) fn security(&self) -> Security {
        self.side.security()
    }
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection")
            .field("established", &self.established)
            .field("peer_closed", &self.peer_closed)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

fn answer<D>(
    status: UnbufferedStatus<'_, '_, D>,
    task: Task<'_>,
    spill: &mut Spill,
) -> (usize, Result<Turn, rustls::Error>) {
    let mut discard = status.discard;
    let turn = match (status.state, task) {
        (Err(error), _) => Err(error),
        (Ok(ConnectionState::ReadTraffic(mut traffic)), Task::Take(sink)) => {
            while let Some(Ok(record)) = traffic.next_record() {
                discard += record.discard;
                sink(record.payload);
            }
            Ok(Turn::Done(0))
        }
        (Ok(ConnectionState::ReadTraffic(_)), _) => Ok(Turn::Record),
        (Ok(ConnectionState::EncodeTlsData(data)), _) => encode(data, spill),
        (Ok(ConnectionState::TransmitTlsData(transmit)), _) => {
            transmit.done();
            Ok(Turn::Again)
        }
        (Ok(ConnectionState::WriteTraffic(traffic)), Task::Seal(data, room)) => {
            seal(traffic, data, room)
        }
        (Ok(ConnectionState::WriteTraffic(mut traffic)), Task::Close) => {
            // It does not fit into nothing, but is queued and comes out with the next call.
            let _ = traffic.queue_close_notify(&mut []);
            Ok(Turn::Done(0))
        }
        (Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake), _) => {
            Ok(Turn::Idle)
        }
        (Ok(ConnectionState::PeerClosed), _) => Ok(Turn::PeerClosed),
        (Ok(ConnectionState::Closed), Task::Read | Task::Take(_)) => Ok(Turn::PeerClosed),
        (Ok(ConnectionState::Closed), _) => Ok(Turn::Done(0)),
        // Early data, which `ServerTls::new` rules out.
        (Ok(_), _) => Err(rustls::Error::HandshakeNotComplete),
    };
    (discard, turn)
}

fn seal<D>(
    mut traffic: WriteTraffic<'_, D>,
    data: &[u8],
    room: &mut [u8],
) -> Result<Turn, rustls::Error> {
    match traffic.encrypt(data, room) {
        Ok(written) => Ok(Turn::Done(written)),
        Err(EncryptError::InsufficientSize(_)) => Ok(Turn::Done(0)),
        Err(EncryptError::EncryptExhausted) => Err(rustls::Error::EncryptError),
    }
}

/// A record dropped here would be lost for good, so it is asked for its size and then given it.
fn encode<D>(mut data: EncodeTlsData<'_, D>, spill: &mut Spill) -> Result<Turn, rustls::Error> {
    let need = match data.encode(&mut []) {
        Ok(_) => return Ok(Turn::Again),
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Err(EncodeError::AlreadyEncoded) => return Err(rustls::Error::EncryptError),
    };
    spill
        .append(need, |room| data.encode(room))
        .map(|()| Turn::Again)
        .map_err(|_| rustls::Error::EncryptError)
}

/// Whether a closure alert stands there that is not encrypted (RFC 8446 §6).
fn is_close_notify(input: &[u8]) -> bool {
    matches!(input, [21, _, _, 0, 2, _, 0, ..])
}

/// What stands at the front of undeciphered input.
enum Record {
    /// A whole record of this many octets.
    Whole(usize),
    /// A part of one that will be this long.
    Partial(usize),
    /// No TLS record.
    Alien,
}

fn record(input: &[u8]) -> Record {
    let Some(&[content, major, _, high, low]) = input.first_chunk::<HEADER>() else {
        return Record::Partial(HEADER);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match HEADER + length {
        _ if !matches!(content, 20..=24) || major != 3 || length >= MAX_PAYLOAD => Record::Alien,
        whole if whole <= input.len() => Record::Whole(whole),
        part => Record::Partial(part),
    }
}
