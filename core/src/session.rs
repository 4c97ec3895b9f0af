//! Negotiation, handshake, application data and close as one machine, for every protocol and for
//! implicit TLS alike.
//!
//! ```text
//!              process            process                    close / peer's close_notify
//!  negotiation ───────► handshake ───────► Established ═ read, write ═══════════════► Closed
//!                           └► opening ─┘ where the machine has one (Negotiate::then)
//!       │ refused, and plaintext is allowed
//!       └────────────────────────────────► Plaintext ─ into_plaintext ─► a type of its own
//! ```
//!
//! Three verbs drive it, in any order: octets in ([`spare_mut`], [`received`]), octets out
//! ([`transmit`], [`transmitted`]), and [`process`]. Before `Established`, empty [`transmit`]
//! before waiting for input; on an error, send what it holds and close. After `Established` a
//! reader need not send anything: two peers that both write would wait for each other.
//!
//! [`spare_mut`]: Session::spare_mut
//! [`received`]: Session::received
//! [`transmit`]: Session::transmit
//! [`transmitted`]: Session::transmitted
//! [`process`]: Session::process

mod opening;

use alloc::boxed::Box;
use core::mem;

use rustls_pki_types::ServerName;

use self::opening::{Opening, Opens};
use crate::error::{Error, Misuse, Refusal, TlsError};
use crate::log::log;
use crate::negotiate::{AllowPlaintext, Client, Negotiate, Negotiation, Server, Status, Untrusted};
use crate::protocol::Row;
use crate::storage::Storage;
use crate::tls::{ClientTls, Connection, Poll, Security, ServerTls, Spill, TlsFailure, Version};
use crate::wire::{Clear, Decrypted, Out, RecvBuf, Stretch};

/// The receive buffer, in octets, that holds any legal TLS record (RFC 5246 §6.2.3). TLS 1.3 alone
/// needs 16,645. A smaller one works with peers that send small records; a larger record is then
/// [`Misuse::BufferTooSmall`]. So is a message of the handshake that spans records, such as a chain
/// of certificates over 16 KiB: the buffer has to hold all of them; rustls takes up to 64 KiB.
pub const RECEIVE_BUFFER: usize = 5 + (1 << 14) + 2048;

/// The smallest send buffer, in octets. Records are cut to the room there is.
pub const MIN_SEND_BUFFER: usize = 64;

/// The longest single message of a negotiation that is sent, in octets.
const MAX_MESSAGE: usize = 1 << 16;

/// What [`Session::process`] has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[must_use]
pub enum Event {
    /// Receive more from the transport; before `Established` nothing is left to send.
    NeedInput,
    /// Send what [`Session::transmit`] holds. Not reported after `Established`, where the caller
    /// sends when it likes.
    Transmit,
    /// The channel is up. Reported once.
    Established,
    /// Application data waits for [`Session::read`] or [`Session::lend`].
    Data,
    /// The peer's close_notify came: there will be no more data. Writing goes on.
    PeerClosed,
    /// Both sides have closed, or the peer has and the transport ended.
    Closed,
    /// The peer declined TLS and the caller allowed that: see [`Session::into_plaintext`].
    Plaintext(Refusal),
}

/// How TLS begins: as a client or a server, and only what the program makes is linked.
trait Role: Send + Sync {
    /// `required` is a protocol's name that has to be agreed on.
    fn begin(&self, row: &Row, required: Option<&str>) -> Result<Connection, Error>;
}

impl Role for (ClientTls, ServerName<'static>) {
    fn begin(&self, row: &Row, _: Option<&str>) -> Result<Connection, Error> {
        self.0.connect(row, self.1.clone())
    }
}

impl Role for ServerTls {
    fn begin(&self, _: &Row, required: Option<&str>) -> Result<Connection, Error> {
        self.accept(required)
    }
}

enum Phase<N> {
    Negotiation(Negotiation<N>),
    Tls(Box<Connection>, N),
    /// Only while one phase becomes the next, or when TLS could not begin.
    Over,
}

/// One connection from its first octet to its last.
///
/// `N` is the protocol's machine, `I` and `O` are the receive and the send buffer: see
/// [`RECEIVE_BUFFER`] and [`MIN_SEND_BUFFER`].
pub struct Session<N, I, O> {
    role: Box<dyn Role>,
    phase: Phase<N>,
    input: I,
    received: Stretch,
    output: O,
    queued: Stretch,
    spill: Spill,
    /// What is said first inside TLS, while it is being said.
    opening: Option<Box<Opening>>,
    end_of_transport: bool,
    error: Option<Error>,
}

impl<N: Negotiate<Side = Client>, I: Storage, O: Storage> Session<N, I, O> {
    /// A client that will verify the server as `name`, a DNS name or an IP address.
    ///
    /// # Errors
    /// [`Misuse::Name`] if `name` is neither; [`Misuse::BufferTooSmall`] for a send buffer below
    /// [`MIN_SEND_BUFFER`]; [`Misuse::TlsConfig`] if the machine
    /// [requires](Negotiate::requires_alpn) a protocol name that `tls` would not send.
    pub fn client(
        machine: N,
        tls: &ClientTls,
        name: &str,
        input: I,
        output: O,
    ) -> Result<Self, Error> {
        let name = crate::tls::server_name(name)?;
        if machine.requires_alpn() && !tls.names(machine.row()) {
            return Err(Misuse::TlsConfig.into());
        }
        Self::new(Negotiation::new(machine), Box::new((tls.clone(), name)), input, output)
    }
}

impl<N: Negotiate<Side = Server>, I: Storage, O: Storage> Session<N, I, O> {
    /// A server.
    ///
    /// # Errors
    /// [`Misuse::BufferTooSmall`] for a send buffer below [`MIN_SEND_BUFFER`];
    /// [`Misuse::TlsConfig`] if the machine [requires](Negotiate::requires_alpn) a protocol name
    /// that is not among those of `tls`.
    pub fn server(machine: N, tls: &ServerTls, input: I, output: O) -> Result<Self, Error> {
        if machine.requires_alpn() && !tls.names(machine.row()) {
            return Err(Misuse::TlsConfig.into());
        }
        Self::new(Negotiation::new(machine), Box::new(tls.clone()), input, output)
    }
}

impl<N: Negotiate, I: Storage, O: Storage> Session<N, I, O> {
    fn new(
        negotiation: Negotiation<N>,
        role: Box<dyn Role>,
        input: I,
        output: O,
    ) -> Result<Self, Error> {
        if output.octets().len() < MIN_SEND_BUFFER {
            return Err(Misuse::BufferTooSmall(MIN_SEND_BUFFER).into());
        }
        Ok(Self {
            role,
            phase: Phase::Negotiation(negotiation),
            input,
            received: Stretch::default(),
            output,
            queued: Stretch::default(),
            spill: Spill::default(),
            opening: None,
            end_of_transport: false,
            error: None,
        })
    }

    /// Lets the session end in [`Event::Plaintext`] when the peer declines TLS. Never after a
    /// go-ahead, a failed handshake, or misbehaviour.
    #[must_use]
    pub fn or_plaintext(mut self, allow: AllowPlaintext) -> Self {
        if let Phase::Negotiation(negotiation) = self.phase {
            self.phase = Phase::Negotiation(negotiation.allowing_plaintext(allow));
        }
        self
    }

    /// Room for what the transport brings. Empty only when there is data to be read first.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.received.spare(self.input.octets_mut())
    }

    /// `n` octets of [`spare_mut`](Self::spare_mut) were filled; 0 is the end of the transport.
    ///
    /// # Errors
    /// [`Misuse::Count`] if there was less room than that, or none at all: reading into no room
    /// gives 0, which says nothing of the transport.
    pub fn received(&mut self, n: usize) -> Result<(), Error> {
        if self.received.len() == self.input.octets().len() {
            return Err(Misuse::Count.into());
        }
        self.end_of_transport |= n == 0;
        self.received.grow(n, self.input.octets().len())
    }

    /// What is to be sent to the transport. After an error too: it may hold the alert.
    pub fn transmit(&self) -> &[u8] {
        self.queued.of(self.output.octets())
    }

    /// The first `n` octets of [`transmit`](Self::transmit) were sent.
    ///
    /// # Errors
    /// [`Misuse::Count`] if there were fewer.
    pub fn transmitted(&mut self, n: usize) -> Result<(), Error> {
        self.queued.consume(n)?;
        self.drain();
        Ok(())
    }

    /// Goes on as far as the octets received allow.
    ///
    /// # Errors
    /// All are final, and come again at every call: send [`transmit`](Self::transmit), then close
    /// the transport. See [`Error`] for each; [`tls_error`](Self::tls_error) has the details of
    /// [`Error::Tls`], [`untrusted_text`](Self::untrusted_text) those of [`Error::PeerRefused`].
    pub fn process(&mut self) -> Result<Event, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let result = loop {
            let step = match &mut self.phase {
                Phase::Negotiation(_) => self.negotiate(),
                Phase::Tls(..) => self.tls(),
                Phase::Over => Err(Misuse::Phase.into()),
            };
            match step {
                Ok(Some(event)) => break Ok(event),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        self.drain();
        self.error = result.err();
        self.tell(result);
        result
    }

    /// Tells the log what the negotiation did not.
    fn tell(&self, result: Result<Event, Error>) {
        match (&self.phase, result) {
            (Phase::Tls(tls, machine), Ok(Event::Established)) => {
                let version = || tls.version().map_or("TLS", Version::name);
                log!(info, "{}: inside {}", machine.row().name, version());
            }
            (Phase::Negotiation(negotiation), Ok(Event::Plaintext(why))) => {
                log!(warn, "{}: stays without TLS: {}", negotiation.machine().row().name, why);
            }
            (Phase::Tls(_, machine), Err(error)) => {
                log!(warn, "{}: {}", machine.row().name, error);
            }
            _ => {}
        }
    }

    fn negotiate(&mut self) -> Result<Option<Event>, Error> {
        let Phase::Negotiation(negotiation) = &mut self.phase else { return Ok(None) };
        let mut recv = RecvBuf::<Clear>::resume(self.input.octets_mut(), self.received);
        let mut out = Out::new(self.queued.spare(self.output.octets_mut()));
        let mut result = negotiation.process(&mut recv, &mut out);
        let sent = out.len();
        if result == Err(Error::OutputFull) && self.queued.is_empty() {
            // The message is longer than the whole send buffer.
            result = Self::spill(negotiation, &mut recv, &mut self.spill);
        }
        self.received = recv.stretch();
        self.queued.grow(sent, self.output.octets().len())?;
        match result {
            Ok(Status::Progress) => Ok(None),
            Ok(Status::Ready) => self.begin_tls().map(|()| None),
            Err(Error::OutputFull) => Ok(Some(Event::Transmit)),
            Ok(Status::NeedInput) => {
                self.drain();
                match &mut self.phase {
                    _ if !self.queued.is_empty() => Ok(Some(Event::Transmit)),
                    Phase::Negotiation(over) if self.end_of_transport => Err(over.close_received()),
                    _ => Ok(Some(Event::NeedInput)),
                }
            }
            Err(error) => match negotiation.plaintext_reason() {
                Ok(_) if !self.queued.is_empty() => Ok(Some(Event::Transmit)),
                Ok(why) => Ok(Some(Event::Plaintext(why))),
                Err(_) => Err(error),
            },
        }
    }

    fn spill(
        negotiation: &mut Negotiation<N>,
        recv: &mut RecvBuf<'_, Clear>,
        spill: &mut Spill,
    ) -> Result<Status, Error> {
        let mut length = 512;
        loop {
            let mut result = Err(Error::OutputFull);
            let appended: Result<(), Error> = spill.append(length, |room| {
                let mut out = Out::new(room);
                result = negotiation.process(recv, &mut out);
                Ok(out.len())
            });
            match result {
                Err(Error::OutputFull) if length < MAX_MESSAGE => length *= 2,
                // No room will ever do, and asking for more for ever is not to fail.
                Err(Error::OutputFull) => return Err(Misuse::Line.into()),
                _ => return appended.and(result),
            }
        }
    }

    fn begin_tls(&mut self) -> Result<(), Error> {
        let Phase::Negotiation(negotiation) = mem::replace(&mut self.phase, Phase::Over) else {
            return Err(Misuse::Phase.into());
        };
        let recv = RecvBuf::<Clear>::resume(self.input.octets_mut(), self.received);
        let (upgrade, machine) = negotiation.upgrade(recv)?;
        self.received = upgrade.into_recv().stretch();
        let required = machine.row().alpn.filter(|_| machine.requires_alpn());
        let connection = self.role.begin(machine.row(), required)?;
        self.phase = Phase::Tls(Box::new(connection), machine);
        Ok(())
    }

    fn tls(&mut self) -> Result<Option<Event>, Error> {
        let Phase::Tls(tls, machine) = &mut self.phase else { return Err(Misuse::Phase.into()) };
        let input = self.received.of_mut(self.input.octets_mut());
        let (consumed, poll) = tls.step(input, &mut self.spill);
        self.received.consume(consumed)?;
        let (secured, closed) = (tls.is_established(), tls.is_closed());
        if poll == Ok(Poll::Established)
            && machine.requires_alpn()
            && tls.alpn() != machine.row().alpn.map(str::as_bytes)
        {
            self.close();
            return Err(TlsError::Alpn.into());
        }
        if poll == Ok(Poll::Established)
            && let Some(inside) = machine.inside()
        {
            self.opening = Some(Box::new(Opening::new(inside)));
            return Ok(None);
        }
        self.drain();
        let poll = poll?;
        if self.opening.is_some() {
            return self.open(poll);
        }
        Ok(Some(match poll {
            Poll::Established => Event::Established,
            Poll::Data => Event::Data,
            Poll::PeerClosed if !secured => return Err(Error::ClosedInHandshake),
            Poll::PeerClosed if self.end_of_transport || closed && self.queued.is_empty() => {
                Event::Closed
            }
            Poll::PeerClosed => Event::PeerClosed,
            Poll::NeedInput(_) if !secured && !self.queued.is_empty() => Event::Transmit,
            Poll::NeedInput(need) => self.need_input(need, secured)?,
        }))
    }

    fn need_input(&self, need: usize, secured: bool) -> Result<Event, Error> {
        match self.end_of_transport {
            true if !secured => Err(Error::ClosedInHandshake),
            true => Err(Error::Truncated),
            false if need > self.input.octets().len() => Err(Misuse::BufferTooSmall(need).into()),
            false => Ok(Event::NeedInput),
        }
    }

    /// Goes on with what is said first inside TLS. An error there closes the channel properly.
    fn open(&mut self, poll: Poll) -> Result<Option<Event>, Error> {
        let (Phase::Tls(tls, machine), Some(opening)) = (&mut self.phase, &mut self.opening) else {
            return Err(Misuse::Phase.into());
        };
        let Some(inside) = machine.inside() else { return Err(Misuse::Phase.into()) };
        let input = self.received.of_mut(self.input.octets_mut());
        let opens = opening.advance(inside, tls, input, &mut self.spill, poll);
        let input = self.received.of_mut(self.input.octets_mut());
        let room = self.queued.spare(self.output.octets_mut());
        let written = opening.seal(tls, input, room, &mut self.spill)?;
        self.queued.grow(written, self.output.octets().len())?;
        match opens {
            Ok(_) if !self.queued.is_empty() => Ok(Some(Event::Transmit)),
            Ok(Opens::Progress) => Ok(None),
            Ok(Opens::Ready) => {
                self.opening = None;
                Ok(Some(Event::Established))
            }
            Ok(Opens::NeedInput(need)) => self.need_input(need, true).map(Some),
            Err(error) => {
                self.close();
                Err(error)
            }
        }
    }

    /// Copies decrypted octets to `dst` and says how many; 0 if [`process`](Self::process) did not
    /// report [`Event::Data`]. What does not fit waits.
    pub fn read(&mut self, dst: &mut [u8]) -> usize {
        self.lend(|data| {
            let n = data.len().min(dst.len());
            dst[..n].copy_from_slice(&data.octets()[..n]);
            n
        })
    }

    /// Lends decrypted octets to `take`, which says how many it is done with; that many are
    /// returned. `take` is not called when there is no [`Event::Data`].
    pub fn lend(&mut self, take: impl FnOnce(Decrypted<'_>) -> usize) -> usize {
        let Phase::Tls(tls, _) = &mut self.phase else { return 0 };
        if self.opening.is_some() || !tls.has_data() {
            return 0;
        }
        tls.lend(self.received.of_mut(self.input.octets_mut()), &mut self.spill, take)
    }

    /// Encrypts as much of `data` as there is room for and says how much that was; 0 means that
    /// [`transmit`](Self::transmit) has to be sent first.
    ///
    /// # Errors
    /// [`Misuse::Phase`] before [`Event::Established`] and after [`close`](Self::close);
    /// [`Error::Tls`] if TLS failed. The end of the transport's reading half does not end writing.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        let tls = match &mut self.phase {
            Phase::Tls(tls, _)
                if self.opening.is_none() && tls.is_established() && !tls.is_closed() =>
            {
                tls
            }
            _ => return Err(Misuse::Phase.into()),
        };
        let input = self.received.of_mut(self.input.octets_mut());
        let room = self.queued.spare(self.output.octets_mut());
        let (taken, written) = tls.seal(input, data, room, &mut self.spill)?;
        self.queued.grow(written, self.output.octets().len())?;
        self.drain();
        Ok(taken)
    }

    /// Sends close_notify behind what was written. Reading goes on; with TLS 1.2 the peer may drop
    /// what it still had to say (RFC 5246 §7.2.1). Does nothing before `Established`.
    pub fn close(&mut self) {
        let Phase::Tls(tls, _) = &mut self.phase else { return };
        if tls.is_established() && !tls.is_closed() {
            tls.queue_close(self.received.of_mut(self.input.octets_mut()), &mut self.spill);
            self.drain();
        }
    }

    /// Gives up on TLS after [`Event::Plaintext`].
    ///
    /// # Errors
    /// [`Misuse::PlaintextNotAllowed`] or the final error, if the session may not do so.
    pub fn into_plaintext(self) -> Result<PlaintextChannel<N, I>, Error> {
        let Phase::Negotiation(negotiation) = self.phase else {
            return Err(Misuse::PlaintextNotAllowed.into());
        };
        let mut input = self.input;
        let recv = RecvBuf::<Clear>::resume(input.octets_mut(), self.received);
        let plaintext = negotiation.into_plaintext(recv)?;
        let (left, why, machine) = (plaintext.octets.len(), plaintext.why, plaintext.machine);
        let mut received = self.received;
        received.consume(received.len() - left)?;
        Ok(PlaintextChannel { input, received, why, machine })
    }

    fn drain(&mut self) {
        if self.spill.is_empty() {
            // Nor are the octets that wait moved to the front, for each few that were sent.
            return;
        }
        let mut out = Out::new(self.queued.spare(self.output.octets_mut()));
        self.spill.drain(&mut out);
        // Never more than the room there was.
        let n = out.len();
        let _ = self.queued.grow(n, self.output.octets().len());
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.phase {
            Phase::Tls(tls, _) => Some(&**tls),
            _ => None,
        }
    }

    /// Octets of the send buffer.
    pub(crate) fn send_buffer(&self) -> usize {
        self.output.octets().len()
    }

    /// Whether [`Event::Established`] was reported.
    pub fn is_established(&self) -> bool {
        self.opening.is_none() && self.connection().is_some_and(|tls| tls.is_established())
    }

    /// Whether the negotiation is over and what is received is TLS.
    pub fn is_tls(&self) -> bool {
        self.connection().is_some()
    }

    /// The protocol's machine, to ask what it learnt.
    pub fn machine(&self) -> Option<&N> {
        match &self.phase {
            Phase::Negotiation(negotiation) => Some(negotiation.machine()),
            Phase::Tls(_, machine) => Some(machine),
            Phase::Over => None,
        }
    }

    /// The negotiated version.
    pub fn version(&self) -> Option<Version> {
        self.connection()?.version()
    }

    /// The negotiated cipher suite, by its name.
    pub fn suite(&self) -> Option<&'static str> {
        self.connection()?.suite()
    }

    /// The group of the key exchange, by its name; `None` for a resumption without one.
    pub fn group(&self) -> Option<&'static str> {
        self.connection()?.group()
    }

    /// The negotiated application protocol (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection()?.alpn()
    }

    /// Whether the handshake resumed an earlier session.
    pub fn resumed(&self) -> bool {
        self.connection().is_some_and(|tls| tls.resumed())
    }

    /// The peer's certificates as DER, its own first.
    pub fn peer_certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.connection().into_iter().flat_map(|tls| tls.peer_certificates())
    }

    /// What is known of the peer, once the channel is up.
    pub fn security(&self) -> Option<Security> {
        self.connection().filter(|_| self.is_established()).map(|tls| tls.security())
    }

    /// What the TLS library says of an [`Error::Tls`].
    pub fn tls_error(&self) -> Option<&TlsFailure> {
        self.connection()?.failure()
    }

    /// The line with which the peer refused, as anyone on the path could have written it.
    pub fn untrusted_text(&self) -> Option<Untrusted<'_>> {
        match &self.phase {
            Phase::Negotiation(negotiation) => {
                negotiation.refusing(self.received.of(self.input.octets()))
            }
            _ => None,
        }
    }
}

impl<N, I, O> core::fmt::Debug for Session<N, I, O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let phase = match &self.phase {
            Phase::Negotiation(_) => "negotiation",
            Phase::Tls(tls, _) if tls.is_established() => "established",
            Phase::Tls(..) => "handshake",
            Phase::Over => "over",
        };
        f.debug_struct("Session")
            .field("phase", &phase)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// A connection that stays in plaintext because the caller allowed it, and why.
#[derive(Debug)]
pub struct PlaintextChannel<N, I> {
    input: I,
    received: Stretch,
    why: Refusal,
    machine: N,
}

impl<N, I: Storage> PlaintextChannel<N, I> {
    /// Octets received in the negotiation and not answered there: the application's first.
    pub fn octets(&self) -> &[u8] {
        self.received.of(self.input.octets())
    }

    /// The first `n` of them were taken.
    ///
    /// # Errors
    /// [`Misuse::Count`] if there were fewer.
    pub fn consume(&mut self, n: usize) -> Result<(), Error> {
        self.received.consume(n)
    }

    /// Why there is no TLS.
    pub fn why(&self) -> Refusal {
        self.why
    }

    /// The protocol's machine, to ask what it learnt.
    pub fn machine(&self) -> &N {
        &self.machine
    }
}
