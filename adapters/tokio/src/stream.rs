//! A secured channel as a stream of octets.
//!
//! ```text
//!            poll_read                                    poll_write, poll_flush, poll_shutdown
//!  caller ◄──────────── Session::read   Session::write ◄──────────────────────────── caller
//!                            ▲                │
//!  transport ─ poll_read ─► received      transmit ─ poll_write ─► transport
//! ```
//!
//! The two columns never touch each other's half of the transport, with one exception: the alert
//! that tells the peer of a failed read, see [`Stream`].

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use starttls::negotiate::Negotiate;
use starttls::session::{Event, RECEIVE_BUFFER, Session};
use starttls::tls::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Error;

/// A session with buffers on the heap.
pub type HeapSession<N> = Session<N, Box<[u8]>, Box<[u8]>>;

/// The most application data in a record (RFC 8446 §5.1), in octets.
const MAX_CONTENT: usize = 1 << 14;

/// One full record, and what TLS puts around it.
const SEND_BUFFER: usize = MAX_CONTENT + 64;

/// A slice of this many octets is worth a record of its own; copying it to join others is not.
const WORTH_A_RECORD: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// The buffers of a new session: for receiving, for sending.
pub(crate) fn buffers() -> (Box<[u8]>, Box<[u8]>) {
    (vec![0; RECEIVE_BUFFER].into(), vec![0; SEND_BUFFER].into())
}

/// A secured channel over the transport `S`, reached through the machine `N`.
///
/// # Reading
///
/// A read gives decrypted octets; 0 octets is the peer's close_notify. A transport that ends
/// without it is [`io::ErrorKind::UnexpectedEof`], with [`starttls::Error::Truncated`] inside,
/// once all that came before has been read. Every [`io::Error`] that is not the transport's own
/// holds a [`starttls::Error`], found by [`io::Error::get_ref`] and a downcast; it comes again at
/// every further read, and [`session`](Self::session) has the details.
///
/// A read never sends anything and so never waits for the peer to read, with one exception: when
/// it fails it offers the transport, once and without waiting, what is still to be sent and the
/// alert behind it. A task that waits to write is not forgotten then: it is woken.
///
/// # Writing
///
/// A write seals octets into a record, hands the transport as much of it as it takes, and reports
/// the octets as written: the rest is sent by later writes, by a flush, or by a shutdown. It waits,
/// and has then taken nothing, while an earlier record is not all sent. So any read or write may be
/// dropped at any time, and nothing is lost or sent twice. A failure of the transport that a write
/// could not report any more is reported by the next call.
///
/// A write never waits for a read, and goes on after the peer has closed. Slices of a vectored
/// write are joined into one record where they are small.
///
/// # Closing
///
/// A shutdown sends close_notify and shuts down the transport's writing half; reading goes on until
/// the peer's close_notify. [`close_notify`](Self::close_notify) leaves the transport as it is. With
/// TLS 1.2 there is no half-close: a peer may drop what it still had to say (RFC 5246 §7.2.1).
/// Dropping a stream closes the transport without close_notify, which the peer sees as a truncation.
pub struct Stream<S, N> {
    transport: S,
    session: HeapSession<N>,
    /// Small slices, joined.
    joined: Vec<u8>,
    /// The transport took octets since it was last flushed.
    unflushed: bool,
    /// The transport's reading half came to its end.
    ended: bool,
    /// The transport's writing half is shut down.
    shut: bool,
    /// The transport's failure, met after octets were taken.
    late: Option<io::Error>,
    /// Who waits to write.
    writer: Option<Waker>,
}

/// Neither the transport nor the machine is ever pinned in place.
impl<S: Unpin, N> Unpin for Stream<S, N> {}

impl<S, N> Stream<S, N> {
    pub(crate) fn new(transport: S, session: HeapSession<N>) -> Self {
        Self {
            transport,
            session,
            joined: Vec::new(),
            unflushed: false,
            ended: false,
            shut: false,
            late: None,
            writer: None,
        }
    }

    /// The session: what was negotiated, and the details of a failure.
    pub fn session(&self) -> &HeapSession<N> {
        &self.session
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        &self.transport
    }

    /// The transport. Reading from it or writing to it breaks the TLS connection.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.transport
    }

    /// The transport and the session, with whatever it has received and not yet sent.
    pub fn into_parts(self) -> (S, HeapSession<N>) {
        (self.transport, self.session)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, N: Negotiate> Stream<S, N> {
    /// Sends close_notify behind what was written, and leaves the transport open: nothing can be
    /// written after it, reading goes on. May be dropped and called again.
    ///
    /// # Errors
    /// Those of the transport.
    pub async fn close_notify(&mut self) -> io::Result<()> {
        self.session.close();
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Negotiates until there is a channel; whether it is a secured one. Nothing is left to send
    /// that the peer waits for.
    pub(crate) async fn establish(&mut self, role: Role) -> Result<bool, Error> {
        let secured = match poll_fn(|cx| self.poll_establish(cx)).await {
            Ok(secured) => secured,
            Err(error) => {
                // The alert, or the protocol's goodbye, as far as it goes without waiting.
                self.send_without_waiting();
                return Err(error);
            }
        };
        if role == Role::Server && self.session.version() >= Some(Version::Tls13) {
            // Session tickets (RFC 8446 §4.6.1), and nothing else. The client need not read them
            // before it writes, so to wait for that is to wait for ever on a narrow transport.
            self.send_without_waiting();
        } else {
            poll_fn(|cx| self.poll_send(cx)).await?;
        }
        Ok(secured)
    }

    fn poll_establish(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            match self.session.process() {
                Ok(Event::Transmit) => match self.poll_transmit(cx) {
                    // Both sides may be in the middle of a flight (RFC 8446 §D.4 has the client
                    // send while the server does), so on a narrow transport reading goes on too.
                    Poll::Pending if self.session.is_tls() && self.can_receive() => {
                        ready!(self.poll_receive(cx))?;
                    }
                    poll => ready!(poll)?,
                },
                Ok(Event::NeedInput) => {
                    ready!(self.poll_send(cx))?;
                    ready!(self.poll_receive(cx))?;
                }
                Ok(Event::Plaintext(_)) => return Poll::Ready(Ok(false)),
                Ok(_) => return Poll::Ready(Ok(true)),
                Err(error) => return Poll::Ready(Err(Error::of(&self.session, error))),
            }
        }
    }

    fn can_receive(&mut self) -> bool {
        !self.ended && !self.session.spare_mut().is_empty()
    }

    /// Receives what the transport has.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(self.session.spare_mut());
        ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buffer))?;
        let n = buffer.filled().len();
        self.ended = n == 0;
        Poll::Ready(Ok(self.session.received(n)?))
    }

    /// Hands everything to the transport.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.late.take() {
            return Poll::Ready(Err(error));
        }
        while !self.session.transmit().is_empty() {
            let transport = Pin::new(&mut self.transport);
            let n = ready!(transport.poll_write(cx, self.session.transmit()))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.session.transmitted(n)?;
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Hands everything to the transport and has it sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_transmit(cx))?;
        if self.unflushed {
            ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// One attempt to send. A task that waits to write remains the one that the transport wakes,
    /// and is woken now, to learn of the failure.
    fn send_without_waiting(&mut self) {
        let writer = self.writer.take();
        let mut cx = Context::from_waker(writer.as_ref().unwrap_or(Waker::noop()));
        if let Poll::Ready(Err(error)) = self.poll_send(&mut cx) {
            self.late = Some(error);
        }
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Takes decrypted octets to `buffer` until it is full or the session has no more.
    fn poll_decrypted(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            match self.session.process() {
                Ok(Event::Data) => {
                    self.session.lend(|data| {
                        let n = data.len().min(buffer.remaining());
                        buffer.put_slice(&data.octets()[..n]);
                        n
                    });
                }
                Ok(Event::NeedInput) if buffer.filled().len() > before => break,
                Ok(Event::NeedInput) => ready!(self.poll_receive(cx))?,
                Ok(Event::PeerClosed | Event::Closed) => break,
                Ok(_) => {}
                Err(error) => {
                    self.send_without_waiting();
                    if buffer.filled().len() > before {
                        break;
                    }
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Seals octets of `slices`, once all that was sealed before is sent; how many.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A failed or closed session says so at once, even while the transport takes nothing.
        self.session.write(&[]).map_err(|error| self.unwritable(error))?;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            ready!(self.poll_transmit(cx))?;
            let n = self.seal(slices).map_err(|error| self.unwritable(error))?;
            if n > 0 {
                if let Poll::Ready(Err(error)) = self.poll_transmit(cx) {
                    self.late = Some(error);
                }
                return Poll::Ready(Ok(n));
            }
            // Nothing was taken because a message of TLS's own goes first.
            if self.session.transmit().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
    }

    fn seal(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, starttls::Error> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        let (first, more) = (filled.next(), filled.next().is_some());
        match first {
            Some(first) if first.len() >= WORTH_A_RECORD || !more => self.session.write(first),
            _ => {
                self.joined.clear();
                for slice in slices {
                    let room = MAX_CONTENT - self.joined.len();
                    self.joined.extend_from_slice(&slice[..room.min(slice.len())]);
                }
                self.session.write(&self.joined)
            }
        }
    }

    fn unwritable(&self, error: starttls::Error) -> io::Error {
        match error {
            starttls::Error::Misuse(_) => io::Error::new(io::ErrorKind::BrokenPipe, error),
            error => error.into(),
        }
    }

    /// Remembers who waits to write.
    fn waiting<T>(&mut self, cx: &Context<'_>, poll: Poll<T>) -> Poll<T> {
        match (&poll, &mut self.writer) {
            (Poll::Ready(_), writer) => *writer = None,
            (Poll::Pending, Some(writer)) => writer.clone_from(cx.waker()),
            (Poll::Pending, writer) => *writer = Some(cx.waker().clone()),
        }
        poll
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, N: Negotiate> AsyncRead for Stream<S, N> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_decrypted(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, N: Negotiate> AsyncWrite for Stream<S, N> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = this.poll_seal(cx, slices);
        this.waiting(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let poll = this.poll_send(cx);
        this.waiting(cx, poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.session.close();
        let mut poll = this.poll_send(cx);
        if let Poll::Ready(Ok(())) = poll
            && !this.shut
        {
            poll = Pin::new(&mut this.transport).poll_shutdown(cx);
            this.shut = matches!(poll, Poll::Ready(Ok(())));
        }
        this.waiting(cx, poll)
    }
}

impl<S: std::fmt::Debug, N> std::fmt::Debug for Stream<S, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("transport", &self.transport)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
