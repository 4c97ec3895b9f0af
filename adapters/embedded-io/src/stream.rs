//! The encrypted stream: what each call does, without the waiting.

use starttls::error::{Error as Cause, Misuse};
use starttls::negotiate::Negotiate;
use starttls::session::{Event, Session};
use starttls::storage::Storage;
use starttls::tls::Version;

use crate::Error;
use crate::step::{Job, Patience, Step};

/// A secured channel over the transport `T`, reached through the machine `N`, with the buffers `I`
/// for receiving and `O` for sending.
///
/// It is [`Read`](embedded_io::Read) and [`Write`](embedded_io::Write) where the transport is, and
/// the same of `embedded_io_async`.
///
/// # Reading
///
/// A read gives decrypted octets; `Ok(0)` is the peer's close_notify and nothing else: a transport
/// that just ends is [`Truncated`](Cause::Truncated), once all that came before has been read
/// (RFC 8446 §6.1). It never waits for the transport to take something, so that two peers that both
/// write do not wait for each other for ever. Only a read that fails hands over the alert:
/// an asynchronous one as far as that goes without waiting.
///
/// # Writing
///
/// A write seals octets into a record that stays in the send buffer, once the record before it was
/// sent. **Nothing is sent before the next write or [`flush`](embedded_io::Write::flush)**: flush
/// before waiting for an answer. Writing goes on after the peer has closed.
///
/// # Closing
///
/// [`close_write`](Self::close_write) sends close_notify and flushes, [`close`](Self::close) waits
/// for the peer's too and gives the transport back. Dropping a stream sends nothing, which the peer
/// sees as a truncation.
///
/// # Failures
///
/// Those of the session come again at every call, and so does a [deadline](Self::by) that passed;
/// those of the transport are its own business: the call may be repeated where the transport can
/// be used again, for octets are neither lost nor sent twice by us.
///
/// # Dropped futures
///
/// A `read` or `write` that is dropped has taken nothing from the caller and given nothing away,
/// a `flush` goes on where it was, all provided that the transport's own futures may be dropped.
/// `embedded_io_async` does not ask that of them: one that reads by DMA may lose octets, which TLS
/// then reports as [`Decrypt`](starttls::error::TlsError::Decrypt). A [timer](Self::by) that fires
/// drops the transport's future, and therefore ends the channel.
#[derive(Debug)]
pub struct Stream<T, N, I, O> {
    pub(crate) link: Link<N, I, O>,
    pub(crate) transport: T,
}

impl<T, N, I, O> Stream<T, N, I, O> {
    pub(crate) fn new(transport: T, session: Session<N, I, O>) -> Self {
        Self { link: Link { session, unflushed: false, dead: false }, transport }
    }

    /// The session: what was negotiated, and the details of a failure.
    pub fn session(&self) -> &Session<N, I, O> {
        &self.link.session
    }

    /// The transport.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// The transport, for its options. Reading from it or writing to it breaks the TLS connection.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// The transport and the session, with whatever it has received and not yet sent.
    pub fn into_parts(self) -> (T, Session<N, I, O>) {
        (self.transport, self.link.session)
    }

    /// The stream until a deadline, for as many reads and writes as are wanted until then. After
    /// it they fail with [`Error::TimedOut`], and so does every later use of the stream.
    ///
    /// For blocking calls `deadline` is a [`Deadline`](crate::Deadline), such as
    /// [`Until`](crate::Until). For asynchronous ones it is a future that ends then, pinned:
    ///
    /// ```
    /// use core::pin::pin;
    /// use embedded_hal_async::delay::DelayNs;
    /// use embedded_io_async::{Read, Write};
    /// # use starttls::{negotiate::Negotiate, storage::Storage};
    /// # use starttls_embedded_io::{Error, Stream};
    ///
    /// # async fn noop<T, N, I, O>(mut stream: Stream<T, N, I, O>, mut delay: impl DelayNs)
    /// #     -> Result<(), Error<T::Error>>
    /// # where T: Read + Write, N: Negotiate, I: Storage, O: Storage {
    /// let mut reply = [0; 512];
    /// let timer = pin!(delay.delay_ms(30_000));
    /// let mut half_a_minute = stream.by(timer);
    /// half_a_minute.write_all(b"NOOP\r\n").await?;
    /// half_a_minute.flush().await?;
    /// let n = half_a_minute.read(&mut reply).await?;
    /// # let _ = n;
    /// # Ok(())
    /// # }
    /// ```
    pub fn by<D>(&mut self, deadline: D) -> By<'_, T, N, I, O, D> {
        By { stream: self, deadline }
    }
}

/// A [`Stream`] until a deadline: see [`Stream::by`].
#[derive(Debug)]
pub struct By<'s, T, N, I, O, D> {
    pub(crate) stream: &'s mut Stream<T, N, I, O>,
    pub(crate) deadline: D,
}

impl<T: embedded_io::ErrorType, N, I, O> embedded_io::ErrorType for Stream<T, N, I, O> {
    type Error = Error<T::Error>;
}

impl<T: embedded_io::ErrorType, N, I, O, D> embedded_io::ErrorType for By<'_, T, N, I, O, D> {
    type Error = Error<T::Error>;
}

/// A session, and what is known of its transport.
#[derive(Debug)]
pub(crate) struct Link<N, I, O> {
    pub(crate) session: Session<N, I, O>,
    /// The transport took octets since it was last flushed.
    unflushed: bool,
    /// A deadline passed.
    pub(crate) dead: bool,
}

/// What a call needs next.
pub(crate) enum Next<R> {
    Receive,
    Send,
    Flush,
    Done(R),
}

type Turn<R> = Result<Next<R>, Cause>;

impl<N: Negotiate, I: Storage, O: Storage> Link<N, I, O> {
    /// To `Established` or `Plaintext`; `reached` remembers that on the way to an empty send buffer.
    /// A server's session tickets (RFC 8446 §4.6.1) wait for the next write: the client need not
    /// read them before it writes.
    pub(crate) fn establish(&mut self, reached: &mut bool, server: bool) -> Turn<()> {
        if !*reached {
            match self.session.process()? {
                Event::Transmit => return Ok(Next::Send),
                Event::NeedInput if self.unflushed => return Ok(Next::Flush),
                Event::NeedInput => return Ok(Next::Receive),
                _ => *reached = true,
            }
        }
        Ok(match server && self.session.version() >= Some(Version::Tls13) {
            true => Next::Done(()),
            false => self.flush(),
        })
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Turn<usize> {
        if buf.is_empty() {
            return Ok(Next::Done(0));
        }
        Ok(match self.session.process()? {
            Event::Data => Next::Done(self.session.read(buf)),
            Event::PeerClosed | Event::Closed => Next::Done(0),
            _ => Next::Receive,
        })
    }

    pub(crate) fn write(&mut self, buf: &[u8]) -> Turn<usize> {
        // A failed or closed session says so at once, even while the transport takes nothing.
        self.session.write(&[])?;
        if buf.is_empty() {
            return Ok(Next::Done(0));
        }
        if !self.session.transmit().is_empty() {
            return Ok(Next::Send);
        }
        match self.session.write(buf)? {
            // A message of TLS's own goes first.
            0 if !self.session.transmit().is_empty() => Ok(Next::Send),
            0 => Err(Misuse::BufferTooSmall(starttls::session::MIN_SEND_BUFFER).into()),
            n => Ok(Next::Done(n)),
        }
    }

    /// Whether a read would have nothing to say, not even an error, before more is received.
    pub(crate) fn is_starved(&mut self) -> bool {
        !self.dead && matches!(self.session.process(), Ok(Event::NeedInput))
    }

    /// Whether a write would have to send something first.
    pub(crate) fn is_laden(&mut self) -> bool {
        !self.dead && self.session.write(&[]).is_ok() && !self.session.transmit().is_empty()
    }

    pub(crate) fn received<E>(&mut self, n: usize) -> Result<(), Error<E>> {
        Ok(self.session.received(n)?)
    }

    pub(crate) fn transmitted<E>(&mut self, n: usize) -> Result<(), Error<E>> {
        self.unflushed = true;
        match n {
            0 => Err(Error::WriteZero),
            n => Ok(self.session.transmitted(n)?),
        }
    }

    pub(crate) fn flush(&self) -> Next<()> {
        match () {
            () if !self.session.transmit().is_empty() => Next::Send,
            () if self.unflushed => Next::Flush,
            () => Next::Done(()),
        }
    }
}

/// One call: asks `next` what it needs until that is nothing.
pub(crate) struct Call<'l, N, I, O, F, R, E> {
    link: &'l mut Link<N, I, O>,
    next: F,
    over: Option<Result<R, Error<E>>>,
    /// How what is left to say after an error leaves.
    farewell: Option<Patience>,
}

impl<'l, N, I, O, F, R, E> Call<'l, N, I, O, F, R, E>
where
    N: Negotiate,
    I: Storage,
    O: Storage,
    F: FnMut(&mut Link<N, I, O>) -> Turn<R>,
{
    pub(crate) fn new(link: &'l mut Link<N, I, O>, next: F) -> Self {
        let over = link.dead.then_some(Err(Error::TimedOut));
        Self { link, next, over, farewell: None }
    }

    pub(crate) fn finish(self) -> Result<R, Error<E>> {
        self.over.unwrap_or_else(|| Err(Cause::from(Misuse::Phase).into()))
    }

    fn leave(&self) -> Step {
        match (self.farewell, self.link.flush()) {
            (Some(patience), Next::Send) => Step::Send(patience),
            (Some(patience), Next::Flush) => Step::Flush(patience),
            _ => Step::Over,
        }
    }
}

impl<N, I, O, F, R, E: embedded_io::Error> Call<'_, N, I, O, F, R, E> {
    fn settle(&mut self, result: Result<(), Error<E>>) {
        match result {
            Ok(()) => {}
            Err(error) if error.is_interruption() => {}
            // It is the first error that matters: the transport may be gone already.
            Err(_) if self.over.is_some() => self.farewell = None,
            Err(error) => {
                self.link.dead |= matches!(error, Error::TimedOut);
                self.over = Some(Err(error));
            }
        }
    }
}

impl<N, I, O, F, R, E> Job<E> for Call<'_, N, I, O, F, R, E>
where
    N: Negotiate,
    I: Storage,
    O: Storage,
    F: FnMut(&mut Link<N, I, O>) -> Turn<R>,
    E: embedded_io::Error,
{
    fn step(&mut self) -> Step {
        if self.over.is_some() {
            return self.leave();
        }
        match (self.next)(self.link) {
            Ok(Next::Receive) => Step::Receive,
            Ok(Next::Send) => Step::Send(Patience::Wait),
            Ok(Next::Flush) => Step::Flush(Patience::Wait),
            Ok(Next::Done(result)) => {
                self.over = Some(Ok(result));
                Step::Over
            }
            Err(cause) => {
                let established = self.link.session.is_established();
                self.farewell = Some(if established { Patience::Try } else { Patience::Wait });
                self.over = Some(Err(Error::of(&self.link.session, cause)));
                self.leave()
            }
        }
    }

    fn spare_mut(&mut self) -> &mut [u8] {
        self.link.session.spare_mut()
    }

    fn received(&mut self, n: Result<usize, Error<E>>) {
        let result = n.and_then(|n| self.link.received(n));
        self.settle(result);
    }

    fn transmit(&self) -> &[u8] {
        self.link.session.transmit()
    }

    fn transmitted(&mut self, n: Result<usize, Error<E>>) {
        let result = n.and_then(|n| self.link.transmitted(n));
        self.settle(result);
    }

    fn flushed(&mut self, result: Result<(), Error<E>>) {
        self.link.unflushed &= result.is_err();
        self.settle(result);
    }
}
