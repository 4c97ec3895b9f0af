//! The contract every protocol keeps, the driver that enforces it, and the hand-over to TLS.
//!
//! ```text
//!            process            process (go-ahead)          upgrade
//!  Negotiation ──┐ NeedInput/Progress ───────────► Ready ─────────────► Upgrade ─► TLS
//!      ▲         │                        │
//!      └─────────┘                        └ refused ─ into_plaintext (only with AllowPlaintext)
//! ```
//!
//! A machine ([`Negotiate`]) knows one protocol in one role. It finds one frame at the front of
//! the input and answers it. The driver ([`Negotiation`]) does what must never differ between
//! protocols: it remembers how far framing has looked, holds frames to their limit, makes errors
//! stick, and refuses octets that stand behind the frame that ends the negotiation.

pub use crate::either::Either;
use crate::error::{Error, Misbehaviour, Misuse, Refusal, RefusalKind};
use crate::inside::Inside;
use crate::log::log;
use crate::protocol::Row;
use crate::wire::{Cipher, Clear, Decrypted, Frame, Out, RecvBuf};

mod sealed {
    pub trait Sealed {}
}

/// A role: [`Client`] or [`Server`]. Roles are types, so that a server's machine does not fit a
/// client's TLS:
///
/// ```compile_fail,E0271
/// use starttls::negotiate::{Client, Negotiate};
/// fn connect<M: Negotiate<Side = Client>>(machine: M) {}
/// connect(starttls::protocol::smtp::Server::new("mail.example.org", &[]).unwrap());
/// ```
pub trait Side: sealed::Sealed {}

/// The side that opens the connection.
#[derive(Debug)]
pub enum Client {}

/// The side that accepts it.
#[derive(Debug)]
pub enum Server {}

impl sealed::Sealed for Client {}
impl sealed::Sealed for Server {}
impl Side for Client {}
impl Side for Server {}

/// The caller's word that this connection may go on without TLS when the peer declines it.
///
/// Without this value in hand nothing in this crate yields a plaintext channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AllowPlaintext;

/// What octets behind the frame that ends the negotiation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Residue {
    /// Injected plaintext: [`Misbehaviour::BytesAfterUpgrade`].
    Forbid,
    /// The peer's first TLS records: it may speak TLS already.
    Tls,
}

/// What a machine does after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// Wait for the next frame.
    Frame,
    /// The upgrade is agreed: TLS begins behind this frame.
    Tls,
}

/// One protocol in one role, without I/O, clock or allocation.
///
/// Implement it for a protocol this crate does not have, with a row of its own
/// ([`Row::foreign`]); [`Negotiation`] and everything above it
/// take any machine. `&mut M` is a machine too, and so is `dyn Negotiate<Side = …>`.
pub trait Negotiate {
    /// [`Client`] or [`Server`].
    type Side: Side;

    /// The protocol, as the table describes it.
    fn row(&self) -> &'static Row;

    /// The longest frame accepted, in octets, its terminator included.
    fn max_frame(&self) -> usize;

    /// What octets behind the last frame are.
    fn residue(&self) -> Residue {
        Residue::Forbid
    }

    /// Whether TLS counts only if both sides name the row's protocol in it (RFC 7301).
    fn requires_alpn(&self) -> bool {
        false
    }

    /// What is said first inside TLS, before the channel is the application's: nothing, but for a
    /// machine that was [told what](Self::then). A session does that by itself, and reports
    /// [`Established`](crate::inside) behind it.
    fn inside(&mut self) -> Option<&mut (dyn Inside<Side = Self::Side> + '_)> {
        None
    }

    /// This machine, and `inside` for what is said first inside TLS.
    fn then<I: Inside<Side = Self::Side>>(self, inside: I) -> Then<Self, I>
    where
        Self: Sized,
    {
        Then { negotiate: self, inside }
    }

    /// The policy lets the connection go on without TLS. A machine may then try what leads there,
    /// and says no goodbye when it is refused.
    fn allow_plaintext(&mut self) {}

    /// Before any input: a greeting or a first request, if the protocol has one.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if it does not fit; nothing has changed then.
    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error>;

    /// Finds the frame at the front of `input`, of which `scanned` octets were examined before
    /// without finding its end. Never sees more than [`max_frame`](Self::max_frame) octets.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`] for octets that cannot begin a frame.
    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error>;

    /// Answers one whole frame. `behind` is what was received behind it; before a machine asks a
    /// question it looks there for an answer that must not be there yet.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if the answer does not fit; nothing has changed then. Any other
    /// error is final; what is in `out` is still sent.
    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error>;
}

/// Two machines: one for the negotiation, and one for what is said first inside TLS.
#[derive(Clone, Copy, Debug)]
pub struct Then<N, I> {
    /// Up to the hand-over.
    pub negotiate: N,
    /// Behind it.
    pub inside: I,
}

macro_rules! forward {
    (
        $(#[$meta:meta])* [$($generics:tt)*] $type:ty, $side:ty,
        [$($stars:tt)*] self $(.$field:ident)?, |$this:ident| $inside:expr
    ) => {
        $(#[$meta])*
        impl<$($generics)*> Negotiate for $type {
            type Side = $side;
            fn row(&self) -> &'static Row {
                ($($stars)* self $(.$field)?).row()
            }
            fn max_frame(&self) -> usize {
                ($($stars)* self $(.$field)?).max_frame()
            }
            fn residue(&self) -> Residue {
                ($($stars)* self $(.$field)?).residue()
            }
            fn requires_alpn(&self) -> bool {
                ($($stars)* self $(.$field)?).requires_alpn()
            }
            fn inside(&mut self) -> Option<&mut (dyn Inside<Side = Self::Side> + '_)> {
                let $this = self;
                $inside
            }
            fn allow_plaintext(&mut self) {
                ($($stars)* self $(.$field)?).allow_plaintext();
            }
            fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
                ($($stars)* self $(.$field)?).start(out)
            }
            fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
                ($($stars)* self $(.$field)?).frame(input, scanned)
            }
            fn process(
                &mut self,
                frame: &[u8],
                behind: &[u8],
                out: &mut Out<'_>,
            ) -> Result<Next, Error> {
                ($($stars)* self $(.$field)?).process(frame, behind, out)
            }
        }
    };
}

forward!([M: Negotiate + ?Sized] &mut M, M::Side, [**] self, |this| (**this).inside());
forward!(
    #[cfg(feature = "alloc")] [M: Negotiate + ?Sized] alloc::boxed::Box<M>, M::Side,
    [**] self, |this| (**this).inside()
);
forward!(
    [N: Negotiate, I: Inside<Side = N::Side>] Then<N, I>, N::Side,
    [] self.negotiate, |this| Some(&mut this.inside)
);

/// What [`Negotiation::process`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Status {
    /// No whole frame is there: send what is in the output, then receive more.
    NeedInput,
    /// One frame was answered: send what is in the output and call again.
    Progress,
    /// Send what is in the output, then [`upgrade`](Negotiation::upgrade), before anything else
    /// is received.
    Ready,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    Running,
    Ready,
    /// Final. A refusing frame stays in the buffer, this many octets of it, to be shown.
    Failed(Error, usize),
}

/// Drives one machine from the first octet to the hand-over.
///
/// TLS cannot begin before the go-ahead, because only [`upgrade`](Self::upgrade) makes an
/// [`Upgrade`]:
///
/// ```compile_fail,E0451
/// use starttls::negotiate::Upgrade;
/// use starttls::wire::{Cipher, RecvBuf};
/// fn begin(recv: RecvBuf<'_, Cipher>) -> Upgrade<'_> {
///     Upgrade { recv } // the field is private
/// }
/// ```
///
/// and a buffer that saw the negotiation is gone after it:
///
/// ```compile_fail,E0382
/// # use starttls::{negotiate::Negotiation, protocol::smtp, wire::{Out, RecvBuf}};
/// # let mut storage = [0; 2048];
/// let mut recv = RecvBuf::new(&mut storage);
/// let negotiation = Negotiation::new(smtp::Client::new("client.example.org")?);
/// let (upgrade, _) = negotiation.upgrade(recv)?;
/// recv.spare_mut(); // moved
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Debug)]
pub struct Negotiation<M> {
    machine: M,
    scanned: usize,
    state: State,
    plaintext: Option<AllowPlaintext>,
}

/// A frame, and what stands behind it.
type Split<'i> = (&'i [u8], &'i [u8]);

impl<M: Negotiate> Negotiation<M> {
    /// A negotiation that ends in TLS or in an error.
    pub fn new(machine: M) -> Self {
        Self { machine, scanned: 0, state: State::Start, plaintext: None }
    }

    /// A negotiation that may also end in [`into_plaintext`](Self::into_plaintext).
    pub fn or_plaintext(machine: M, allow: AllowPlaintext) -> Self {
        Self::new(machine).allowing_plaintext(allow)
    }

    pub(crate) fn allowing_plaintext(mut self, allow: AllowPlaintext) -> Self {
        self.machine.allow_plaintext();
        Self { plaintext: Some(allow), ..self }
    }

    /// The machine, to ask what it learnt.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Answers at most one frame of `recv` into `out`.
    ///
    /// After every call, whatever its result, send what is in `out`; then act on the status.
    ///
    /// # Errors
    /// [`Error::OutputFull`] changes nothing. All others are final and come again at every call.
    /// [`Misuse::BufferTooSmall`] if `recv` cannot hold the longest frame.
    pub fn process(
        &mut self,
        recv: &mut RecvBuf<'_, Clear>,
        out: &mut Out<'_>,
    ) -> Result<Status, Error> {
        let sent = out.len();
        let mut refusing = 0;
        match self.advance(recv, out, &mut refusing) {
            Err(Error::OutputFull) => {
                out.truncate(sent);
                Err(Error::OutputFull)
            }
            Err(error) => {
                if !matches!(error, Error::PeerRefused(_)) {
                    out.truncate(sent);
                }
                if !matches!(self.state, State::Failed(..)) {
                    log!(warn, "{}: {}", self.machine.row().name, error);
                }
                self.state = State::Failed(error, refusing);
                Err(error)
            }
            Ok(status) => Ok(status),
        }
    }

    fn advance(
        &mut self,
        recv: &mut RecvBuf<'_, Clear>,
        out: &mut Out<'_>,
        refusing: &mut usize,
    ) -> Result<Status, Error> {
        let (next, consumed) = match self.state {
            State::Failed(error, shown) => {
                *refusing = shown;
                return Err(error);
            }
            State::Ready => return Ok(Status::Ready),
            State::Start => {
                if recv.capacity() < self.machine.max_frame() {
                    return Err(Misuse::BufferTooSmall(self.machine.max_frame()).into());
                }
                (self.machine.start(out)?, 0)
            }
            State::Running => {
                let Some((frame, behind)) = self.frame(recv.filled())? else {
                    return Ok(Status::NeedInput);
                };
                *refusing = frame.len();
                let next = self.machine.process(frame, behind, out)?;
                if next == Next::Tls && !behind.is_empty() {
                    self.check_residue()?;
                }
                (next, frame.len())
            }
        };
        recv.consume(consumed)?;
        self.scanned = 0;
        match next {
            Next::Frame => {
                self.state = State::Running;
                Ok(Status::Progress)
            }
            Next::Tls => {
                log!(debug, "{}: TLS begins", self.machine.row().name);
                self.state = State::Ready;
                Ok(Status::Ready)
            }
        }
    }

    /// The whole frame at the front of `input`, and what stands behind it.
    fn frame<'i>(&mut self, input: &'i [u8]) -> Result<Option<Split<'i>>, Error> {
        let max = self.machine.max_frame();
        let window = input.get(..max).unwrap_or(input);
        match self.machine.frame(window, self.scanned)? {
            Frame::Whole(length) => Ok(input.split_at_checked(length)),
            Frame::Partial if window.len() == max => Err(Misbehaviour::FrameTooLong.into()),
            Frame::Partial => {
                self.scanned = window.len();
                Ok(None)
            }
        }
    }

    fn check_residue(&self) -> Result<(), Error> {
        match self.machine.residue() {
            Residue::Forbid => Err(Misbehaviour::BytesAfterUpgrade.into()),
            Residue::Tls => Ok(()),
        }
    }

    /// The transport has ended; there is no more input. The error, which then sticks.
    pub fn close_received(&mut self) -> Error {
        let error = match self.state {
            State::Failed(error, _) => return error,
            State::Ready => Error::ClosedInHandshake,
            State::Start | State::Running => Error::Closed,
        };
        log!(warn, "{}: {}", self.machine.row().name, error);
        self.state = State::Failed(error, 0);
        error
    }

    /// Hands over to TLS: the negotiation and its buffer end here.
    ///
    /// # Errors
    /// [`Misuse::Phase`] before [`Status::Ready`]; the error that ended the negotiation, if one
    /// did; [`Misbehaviour::BytesAfterUpgrade`] if plaintext was received behind it.
    pub fn upgrade(self, recv: RecvBuf<'_, Clear>) -> Result<(Upgrade<'_>, M), Error> {
        match self.state {
            State::Ready => {}
            State::Failed(error, _) => return Err(error),
            State::Start | State::Running => return Err(Misuse::Phase.into()),
        }
        if !recv.is_empty() {
            self.check_residue()?;
        }
        Ok((Upgrade { recv: recv.into_cipher() }, self.machine))
    }

    /// The refusing line as the peer wrote it, while it is still in `recv`: plaintext that anyone
    /// on the path could have written.
    pub fn untrusted_text<'r>(&self, recv: &'r RecvBuf<'_, Clear>) -> Option<Untrusted<'r>> {
        self.refusing(recv.filled())
    }

    pub(crate) fn refusing<'r>(&self, received: &'r [u8]) -> Option<Untrusted<'r>> {
        match self.state {
            State::Failed(Error::PeerRefused(_), length) => received.get(..length).map(Untrusted),
            _ => None,
        }
    }

    /// Why this connection may go on in plaintext: the refusal, if the policy allows it and the
    /// peer refused TLS and not the service.
    ///
    /// # Errors
    /// [`Misuse::PlaintextNotAllowed`] if there is no such reason; else the fatal error.
    pub fn plaintext_reason(&self) -> Result<Refusal, Error> {
        match (self.state, self.plaintext) {
            (State::Failed(Error::PeerRefused(why), _), Some(AllowPlaintext))
                if why.kind != RefusalKind::Service =>
            {
                Ok(why)
            }
            (State::Failed(error, _), Some(AllowPlaintext)) => Err(error),
            _ => Err(Misuse::PlaintextNotAllowed.into()),
        }
    }

    /// Gives up on TLS and yields what was received, as a type of its own.
    ///
    /// # Errors
    /// As [`plaintext_reason`](Self::plaintext_reason).
    pub fn into_plaintext(self, mut recv: RecvBuf<'_, Clear>) -> Result<Plaintext<'_, M>, Error> {
        let why = self.plaintext_reason()?;
        let State::Failed(_, answered) = self.state else { return Err(Misuse::Phase.into()) };
        // A server's machine leaves the client's command to the application that will answer it.
        if why.kind != RefusalKind::NotAsked {
            recv.consume(answered)?;
        }
        Ok(Plaintext { octets: recv.into_clear_octets(), why, machine: self.machine })
    }
}

/// The agreed upgrade: TLS may begin, and nothing else may.
///
/// Its only source is [`Negotiation::upgrade`].
#[derive(Debug)]
#[must_use]
pub struct Upgrade<'b> {
    recv: RecvBuf<'b, Cipher>,
}

impl<'b> Upgrade<'b> {
    /// The peer's first TLS records, where its protocol lets it speak first; else empty.
    pub fn into_recv(self) -> RecvBuf<'b, Cipher> {
        self.recv
    }

    /// For a TLS library of your own: the first TLS records, and the right to call what it
    /// decrypts [`Decrypted`].
    pub fn into_foreign_tls(self) -> (RecvBuf<'b, Cipher>, ForeignTls) {
        (self.recv, ForeignTls(()))
    }
}

/// The right to vouch for what another TLS library decrypted on this connection.
#[derive(Debug)]
pub struct ForeignTls(());

impl ForeignTls {
    /// Octets that came out of the caller's own, verified TLS connection.
    pub fn decrypted<'a>(&self, octets: &'a [u8]) -> Decrypted<'a> {
        Decrypted::new(octets)
    }
}

/// A connection that stays in plaintext because the caller allowed it.
#[derive(Debug)]
pub struct Plaintext<'b, M> {
    /// Octets received and not yet answered, for the application.
    pub octets: &'b [u8],
    /// Why there is no TLS.
    pub why: Refusal,
    /// The machine, for what it learnt.
    pub machine: M,
}

/// Text a peer sent in plaintext. Anyone on the path could have written it: show it as such, with
/// control characters escaped, and decide nothing by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untrusted<'a>(&'a [u8]);

impl<'a> Untrusted<'a> {
    /// The octets, not to be trusted.
    pub fn untrusted_octets(self) -> &'a [u8] {
        self.0
    }
}
