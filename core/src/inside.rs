//! What a protocol says right behind the hand-over, as machines like those of the negotiation.
//!
//! ```text
//!  Upgrade ─► TLS ─► Opening ──┐ NeedInput/Progress ───────► Ready ─► the application
//!                       ▲      │                        └─► an error: a greeting where none belongs,
//!                       └──────┘                            or none where there must be one
//! ```
//!
//! A client asks again what it forgot at the boundary (EHLO, CAPABILITY, a new stream), so that its
//! caller gets a channel in a known state. A server starts from nothing: it does not offer the
//! upgrade any more, refuses a second request for it, and leaves the first command that is not
//! about any of this to its application. Both are optional, and neither knows anything from before
//! TLS. Behind implicit TLS they begin with the greeting, where the protocol has one.
//!
//! A machine ([`Inside`]) knows one protocol in one role; the driver ([`Opening`]) takes what TLS
//! decrypted, in pieces of any size, and holds frames to their limit. A session drives one by
//! itself: see [`Negotiate::then`](crate::negotiate::Negotiate::then). By hand:
//!
//! ```
//! # use starttls::negotiate::{Negotiation, Status};
//! # use starttls::wire::RecvBuf;
//! use starttls::inside::{Opened, Opening};
//! use starttls::protocol::{Implicit, SMTP, smtp};
//! use starttls::wire::{Decrypted, MAX_LINE, Out};
//! # let mut negotiation = Negotiation::new(Implicit::client(&SMTP));
//! # let mut recv = RecvBuf::new(&mut []);
//! # while negotiation.process(&mut recv, &mut Out::new(&mut []))? != Status::Ready {}
//! # let (upgrade, _) = negotiation.upgrade(recv)?;
//! # let (_, tls) = upgrade.into_foreign_tls();
//! # let mut said = Vec::<u8>::new();
//! # let mut wire = [&b"220 mail.example.org\r\n"[..], b"250-mail.example.org\r\n250 SIZE\r\n"].into_iter();
//! # let mut decrypt = || wire.next().unwrap();
//!
//! // `tls` is what another TLS library took over, `decrypt` what it brings, record by record.
//! let machine = smtp::InsideClient::new("client.example.org")?.greeted(true);
//! let mut opening = Opening::new(machine, [0; MAX_LINE]);
//! let (mut input, mut output) = (Decrypted::default(), [0; 512]);
//! loop {
//!     let mut out = Out::new(&mut output);
//!     let (used, opened) = opening.process(input, &mut out)?;
//!     input = input.skip(used);
//!     print!("{}", String::from_utf8_lossy(out.octets())); // to the server, through TLS
//! #     said.extend(out.octets());
//!     match opened {
//!         Opened::Ready => break,
//!         Opened::Progress => {} // `opening.heard()` is a line of the server's
//!         Opened::NeedInput => input = tls.decrypted(decrypt()),
//!     }
//! }
//! # assert!(input.is_empty() && said == b"EHLO client.example.org\r\n");
//! # Ok::<(), starttls::Error>(())
//! ```

use core::marker::PhantomData;

use crate::error::{Error, Misbehaviour, Misuse};
use crate::negotiate::{Client, Side};
use crate::protocol::Row;
use crate::storage::Storage;
use crate::wire::{Decrypted, Frame, Out};

/// The most frames of one opening.
const MAX_FRAMES: u16 = 512;

/// What a machine does after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// Wait for the next frame.
    Frame,
    /// The channel is in a known state: what stands behind this frame is the application's.
    Ready,
    /// The same, and so is this frame: it is not about the opening.
    Application,
}

/// One protocol in one role, right behind the hand-over; without I/O, clock or allocation.
///
/// `&mut M` is a machine too, and so is `dyn Inside<Side = …>`.
pub trait Inside {
    /// [`Client`] or [`Server`](crate::negotiate::Server).
    type Side: Side;

    /// The protocol, as the table describes it.
    fn row(&self) -> &'static Row;

    /// The longest frame accepted, in octets, its terminator included.
    fn max_frame(&self) -> usize;

    /// Whether the peer may go on behind the frame that ends the opening; where it may not, an
    /// octet there is [`Misbehaviour::Unsolicited`]. Not asked of [`Step::Application`].
    fn goes_on(&self) -> bool {
        false
    }

    /// Says what is said unasked. `arrived` is what the peer has said by now.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if it does not fit; nothing has changed then.
    /// [`Misbehaviour::Greeting`] if the peer must not speak first and did.
    fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error>;

    /// Finds the frame at the front of `input`, of which `scanned` octets were examined before
    /// without finding its end. Never sees more than [`max_frame`](Self::max_frame) octets.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`] for octets that cannot begin a frame.
    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error>;

    /// Answers one whole frame. `behind` is what was received behind it.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if the answer does not fit; nothing has changed then. Any other
    /// error is final.
    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Step, Error>;
}

macro_rules! forward {
    ($(#[$meta:meta])* [$($generics:tt)*] $type:ty) => {
        $(#[$meta])*
        impl<$($generics)*> Inside for $type {
            type Side = M::Side;
            fn row(&self) -> &'static Row {
                (**self).row()
            }
            fn max_frame(&self) -> usize {
                (**self).max_frame()
            }
            fn goes_on(&self) -> bool {
                (**self).goes_on()
            }
            fn start(&mut self, arrived: &[u8], out: &mut Out<'_>) -> Result<Step, Error> {
                (**self).start(arrived, out)
            }
            fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
                (**self).frame(input, scanned)
            }
            fn process(
                &mut self,
                frame: &[u8],
                behind: &[u8],
                out: &mut Out<'_>,
            ) -> Result<Step, Error> {
                (**self).process(frame, behind, out)
            }
        }
    };
}

forward!([M: Inside + ?Sized] &mut M);
forward!(#[cfg(feature = "alloc")] [M: Inside + ?Sized] alloc::boxed::Box<M>);

/// What [`Opening::process`] did. Send what is in the output first, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Opened {
    /// All input was used: receive more.
    NeedInput,
    /// One frame was answered: call again at once, with what is left of the input.
    Progress,
    /// The rest of the input is the application's, behind [`Opening::application`].
    Ready,
}

/// Drives one machine, over decrypted octets, up to a known state of the channel.
///
/// `B` holds one frame: the machine's [`max_frame`](Inside::max_frame) octets.
#[derive(Debug)]
pub struct Opening<M, B> {
    machine: M,
    gathered: Gathered<B>,
}

impl<M: Inside, B: Storage> Opening<M, B> {
    /// The opening of `machine`.
    pub fn new(machine: M, storage: B) -> Self {
        Self { machine, gathered: Gathered::new(storage) }
    }

    /// The machine, to ask what it learnt.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Answers at most one frame, and says how much of `input` was used for it.
    ///
    /// # Errors
    /// [`Error::OutputFull`] changes nothing. All others are final and come again at every call.
    /// [`Misuse::BufferTooSmall`] if the storage cannot hold the longest frame.
    pub fn process(
        &mut self,
        input: Decrypted<'_>,
        out: &mut Out<'_>,
    ) -> Result<(usize, Opened), Error> {
        self.gathered.process(&mut self.machine, input, out)
    }

    /// TLS has ended; there is no more input. The error, which then sticks.
    pub fn close_received(&mut self) -> Error {
        self.gathered.close_received()
    }

    /// The frame that was answered last: the peer's capabilities line by line, for who wants them.
    pub fn heard(&self) -> &[u8] {
        self.gathered.octets()
    }

    /// After [`Opened::Ready`]: octets that were used and are the application's first.
    pub fn application(&self) -> Decrypted<'_> {
        self.gathered.application()
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    Running,
    /// Whether what is gathered is the application's.
    Ready(bool),
    Failed(Error),
}

/// The frame being gathered, and where the opening stands.
#[derive(Debug)]
pub(crate) struct Gathered<B> {
    storage: B,
    filled: usize,
    scanned: usize,
    /// What is filled is a whole frame that was answered.
    answered: bool,
    frames: u16,
    state: State,
}

impl<B: Storage> Gathered<B> {
    pub(crate) fn new(storage: B) -> Self {
        let state = State::Start;
        Self { storage, filled: 0, scanned: 0, answered: false, frames: 0, state }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.storage.octets().get(..self.filled).unwrap_or_default()
    }

    pub(crate) fn application(&self) -> Decrypted<'_> {
        match self.state {
            State::Ready(true) => Decrypted::new(self.octets()),
            _ => Decrypted::default(),
        }
    }

    pub(crate) fn close_received(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            _ => {
                self.state = State::Failed(Error::Closed);
                Error::Closed
            }
        }
    }

    pub(crate) fn process<M: Inside + ?Sized>(
        &mut self,
        machine: &mut M,
        input: Decrypted<'_>,
        out: &mut Out<'_>,
    ) -> Result<(usize, Opened), Error> {
        let sent = out.len();
        let result = self.advance(machine, input.octets(), out);
        if let Err(error) = result {
            if error == Error::OutputFull || !matches!(error, Error::PeerRefused(_)) {
                out.truncate(sent);
            }
            if error != Error::OutputFull {
                self.state = State::Failed(error);
            }
        }
        result
    }

    fn advance<M: Inside + ?Sized>(
        &mut self,
        machine: &mut M,
        input: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(usize, Opened), Error> {
        let (used, step) = match self.state {
            State::Failed(error) => return Err(error),
            State::Ready(_) => return Ok((0, Opened::Ready)),
            State::Start => {
                let need = machine.max_frame();
                if self.storage.octets().len() < need {
                    return Err(Misuse::BufferTooSmall(need).into());
                }
                let step = machine.start(input, out)?;
                (0, step)
            }
            State::Running => {
                if self.answered {
                    (self.filled, self.scanned, self.answered) = (0, 0, false);
                }
                if self.frames == MAX_FRAMES {
                    return Err(Misbehaviour::TooManyFrames.into());
                }
                let held = self.filled;
                let Some(used) = self.gather(machine, input)? else {
                    return Ok((input.len(), Opened::NeedInput));
                };
                let behind = input.get(used..).unwrap_or_default();
                let step = machine.process(self.octets(), behind, out);
                let step = step.inspect_err(|_| (self.filled, self.scanned) = (held, held))?;
                if step == Step::Ready && !behind.is_empty() && !machine.goes_on() {
                    return Err(Misbehaviour::Unsolicited.into());
                }
                self.frames += 1;
                self.answered = true;
                (used, step)
            }
        };
        self.state = match step {
            Step::Frame => State::Running,
            Step::Ready => State::Ready(false),
            Step::Application => State::Ready(true),
        };
        let opened = if step == Step::Frame { Opened::Progress } else { Opened::Ready };
        Ok((used, opened))
    }

    /// Adds the front of `input` up to the end of the frame; how much that was, or `None` where all
    /// of it was taken and the frame is not whole.
    fn gather<M: Inside + ?Sized>(
        &mut self,
        machine: &M,
        input: &[u8],
    ) -> Result<Option<usize>, Error> {
        let (held, max) = (self.filled, machine.max_frame());
        let room = self.storage.octets_mut().get_mut(held..max).unwrap_or_default();
        let n = room.len().min(input.len());
        for (to, from) in room.iter_mut().zip(input) {
            *to = *from;
        }
        let window = self.storage.octets().get(..held + n).unwrap_or_default();
        match machine.frame(window, self.scanned)? {
            Frame::Whole(length) => {
                self.filled = length.min(held + n);
                Ok(Some(self.filled.saturating_sub(held)))
            }
            Frame::Partial if held + n == max => Err(Misbehaviour::FrameTooLong.into()),
            Frame::Partial => {
                (self.filled, self.scanned) = (held + n, held + n);
                Ok(None)
            }
        }
    }
}

/// A protocol in which nothing is said for its own sake inside TLS, in the role `S`.
#[derive(Debug)]
pub struct Nothing<S> {
    row: &'static Row,
    waits: bool,
    side: PhantomData<S>,
}

impl Nothing<Client> {
    /// A client whose server waits to be asked: what it says before is
    /// [`Misbehaviour::Greeting`].
    pub const fn first(row: &'static Row) -> Self {
        Self { row, waits: true, side: PhantomData }
    }
}

impl<S> Nothing<S> {
    /// Either side, where both may speak at any time; or a server.
    pub const fn of(row: &'static Row) -> Self {
        Self { row, waits: false, side: PhantomData }
    }
}

impl<S: Side> Inside for Nothing<S> {
    type Side = S;

    fn row(&self) -> &'static Row {
        self.row
    }

    fn max_frame(&self) -> usize {
        0
    }

    fn goes_on(&self) -> bool {
        !self.waits
    }

    fn start(&mut self, arrived: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        match self.waits && !arrived.is_empty() {
            true => Err(Misbehaviour::Greeting.into()),
            false => Ok(Step::Ready),
        }
    }

    fn frame(&self, _: &[u8], _: usize) -> Result<Frame, Error> {
        Err(Misuse::Phase.into())
    }

    fn process(&mut self, _: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Step, Error> {
        Err(Misuse::Phase.into())
    }
}
