//! The caller's buffers, marked with what stands in them.

use core::marker::PhantomData;
use core::ops::Range;

use crate::error::{Error, Misuse};

mod sealed {
    pub trait Sealed {}
}

/// What kind of octets a buffer holds: [`Clear`] or [`Cipher`].
pub trait Phase: sealed::Sealed {}

/// Octets of the plaintext negotiation. They can be given to a [`Negotiation`] and to nothing else.
///
/// [`Negotiation`]: crate::negotiate::Negotiation
#[derive(Debug)]
pub enum Clear {}

/// TLS records.
#[derive(Debug)]
pub enum Cipher {}

impl sealed::Sealed for Clear {}
impl sealed::Sealed for Cipher {}
impl Phase for Clear {}
impl Phase for Cipher {}

/// The part of a buffer that is filled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stretch {
    start: usize,
    end: usize,
}

impl Stretch {
    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The filled octets of `buf`.
    pub(crate) fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }

    /// The filled octets of `buf`, to be changed.
    #[cfg(feature = "rustls")]
    pub(crate) fn of_mut(self, buf: &mut [u8]) -> &mut [u8] {
        buf.get_mut(self.range()).unwrap_or_default()
    }

    /// Moves the filled octets to the front and returns the room behind them.
    pub(crate) fn spare<'b>(&mut self, buf: &'b mut [u8]) -> &'b mut [u8] {
        if self.start > 0 {
            // True, and said here so that nothing of a panic is linked.
            if self.start <= self.end && self.end <= buf.len() {
                buf.copy_within(self.range(), 0);
            }
            *self = Self { start: 0, end: self.len() };
        }
        buf.get_mut(self.end..).unwrap_or_default()
    }

    /// `n` octets were written behind the filled ones of a buffer of `capacity` octets.
    pub(crate) fn grow(&mut self, n: usize, capacity: usize) -> Result<(), Error> {
        match self.end.checked_add(n) {
            Some(end) if end <= capacity => {
                self.end = end;
                Ok(())
            }
            _ => Err(Misuse::Count.into()),
        }
    }

    /// The first `n` filled octets are done with.
    pub(crate) fn consume(&mut self, n: usize) -> Result<(), Error> {
        if n > self.len() {
            return Err(Misuse::Count.into());
        }
        self.start += n;
        if self.start == self.end {
            *self = Self::default();
        }
        Ok(())
    }
}

/// A receive buffer: storage of the caller's, and how much of it is filled.
///
/// What was received in plaintext cannot be read back from it:
///
/// ```compile_fail,E0599
/// use starttls::wire::{Clear, RecvBuf};
/// let mut storage = [0; 512];
/// let mut recv = RecvBuf::<Clear>::new(&mut storage);
/// let injected: &[u8] = recv.octets(); // only a RecvBuf<Cipher> has them
/// ```
#[derive(Debug)]
pub struct RecvBuf<'b, P: Phase> {
    buf: &'b mut [u8],
    filled: Stretch,
    phase: PhantomData<P>,
}

impl<'b> RecvBuf<'b, Clear> {
    /// An empty buffer over `storage`. A negotiation needs as many octets as its
    /// [`max_frame`](crate::negotiate::Negotiate::max_frame).
    pub fn new(storage: &'b mut [u8]) -> Self {
        Self::resume(storage, Stretch::default())
    }

    pub(crate) fn resume(buf: &'b mut [u8], filled: Stretch) -> Self {
        Self { buf, filled, phase: PhantomData }
    }

    pub(crate) fn into_cipher(self) -> RecvBuf<'b, Cipher> {
        RecvBuf { buf: self.buf, filled: self.filled, phase: PhantomData }
    }

    pub(crate) fn into_clear_octets(self) -> &'b [u8] {
        let range = self.filled.range();
        self.buf.get(range).unwrap_or_default()
    }
}

impl RecvBuf<'_, Cipher> {
    /// TLS records received so far, undecrypted.
    pub fn octets(&self) -> &[u8] {
        self.filled()
    }
}

impl<P: Phase> RecvBuf<'_, P> {
    /// Room for what the transport brings next. Empty when the buffer is full.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.filled.spare(self.buf)
    }

    /// The first `n` octets of [`spare_mut`](Self::spare_mut) were filled.
    ///
    /// # Errors
    /// [`Misuse::Count`] if there was less room than that.
    pub fn received(&mut self, n: usize) -> Result<(), Error> {
        self.filled.grow(n, self.buf.len())
    }

    /// Appends a copy of as much of `octets` as there is room for, and says how much that was.
    pub fn fill(&mut self, octets: &[u8]) -> usize {
        let spare = self.spare_mut();
        let n = spare.len().min(octets.len());
        spare[..n].copy_from_slice(&octets[..n]);
        match self.received(n) {
            Ok(()) => n,
            Err(_) => 0,
        }
    }

    /// Octets received and not yet consumed.
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// Whether nothing is waiting to be consumed.
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Octets the storage holds in all.
    pub fn capacity(&self) -> usize {
        self.buf.len()
    }

    #[cfg(feature = "rustls")]
    pub(crate) fn stretch(&self) -> Stretch {
        self.filled
    }

    pub(crate) fn filled(&self) -> &[u8] {
        self.filled.of(self.buf)
    }

    pub(crate) fn consume(&mut self, n: usize) -> Result<(), Error> {
        self.filled.consume(n)
    }
}

/// An output buffer: a machine appends, the caller sends.
#[derive(Debug)]
pub struct Out<'b> {
    buf: &'b mut [u8],
    len: usize,
}

impl<'b> Out<'b> {
    /// An empty output over `storage`.
    pub fn new(storage: &'b mut [u8]) -> Self {
        Self { buf: storage, len: 0 }
    }

    /// What is to be sent.
    pub fn octets(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// Octets to be sent.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends the parts one behind the other: all of them, or nothing.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if they do not fit.
    pub fn put(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        let need = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut room = self.buf.get_mut(self.len..).unwrap_or_default();
        if need > room.len() {
            return Err(Error::OutputFull);
        }
        for part in parts {
            let Some((here, rest)) = room.split_at_mut_checked(part.len()) else {
                return Err(Error::OutputFull);
            };
            here.copy_from_slice(part);
            room = rest;
        }
        self.len += need;
        Ok(())
    }

    /// Appends as much of `octets` as fits and says how much that was.
    pub(crate) fn put_some(&mut self, octets: &[u8]) -> usize {
        let room = self.spare_mut();
        let n = room.len().min(octets.len());
        room[..n].copy_from_slice(&octets[..n]);
        self.len += n;
        n
    }

    pub(crate) fn spare_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.len..).unwrap_or_default()
    }

    /// Takes back what was appended since the output was `len` octets long.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

/// Octets that came out of a TLS connection: authenticated, and never plaintext from before it.
///
/// Only the TLS layer makes one; a caller with a TLS of its own does so through
/// [`ForeignTls`](crate::negotiate::ForeignTls), which a completed upgrade yields.
///
/// ```compile_fail,E0423
/// use starttls::wire::Decrypted;
/// let injected = Decrypted(b"250 AUTH PLAIN\r\n"); // the field is private, and so is `new`
/// ```
///
/// The default is no octets: what a machine is shown that speaks first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decrypted<'a>(&'a [u8]);

impl<'a> Decrypted<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub fn octets(self) -> &'a [u8] {
        self.0
    }

    /// What is left behind the first `n` octets.
    #[must_use]
    pub fn skip(self, n: usize) -> Self {
        Self(self.0.get(n..).unwrap_or_default())
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.len()
    }
}
