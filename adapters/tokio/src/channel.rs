//! A channel that may have stayed in plaintext, and then is a type of its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use starttls::error::Refusal;
use starttls::session::PlaintextChannel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// What a policy that allows plaintext ends in.
#[derive(Debug)]
pub enum Channel<S, N> {
    /// TLS.
    Secured(Stream<S, N>),
    /// No TLS, and why not.
    Plaintext(Plaintext<S, N>),
}

/// A connection that stays in plaintext because the caller allowed it. Anyone on the path reads it
/// and may write what it says.
///
/// A read first gives what was received in the negotiation and not answered there; everything else
/// is the transport's own.
#[derive(Debug)]
pub struct Plaintext<S, N> {
    transport: S,
    channel: PlaintextChannel<N, Box<[u8]>>,
    untrusted: Box<[u8]>,
}

/// Neither the transport nor the machine is ever pinned in place.
impl<S: Unpin, N> Unpin for Plaintext<S, N> {}

impl<S, N> Plaintext<S, N> {
    pub(crate) fn new(
        transport: S,
        channel: PlaintextChannel<N, Box<[u8]>>,
        untrusted: Box<[u8]>,
    ) -> Self {
        Self { transport, channel, untrusted }
    }

    /// Why there is no TLS.
    pub fn why(&self) -> Refusal {
        self.channel.why()
    }

    /// The octets with which the peer declined, as anyone on the path could have written them:
    /// escape control characters before showing them.
    pub fn untrusted_text(&self) -> &[u8] {
        &self.untrusted
    }

    /// The protocol's machine, to ask what it learnt.
    pub fn machine(&self) -> &N {
        self.channel.machine()
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        &self.transport
    }

    /// The transport. Reading from it passes over what was received in the negotiation.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.transport
    }

    /// The transport, and the channel with what was received and not yet read.
    pub fn into_parts(self) -> (S, PlaintextChannel<N, Box<[u8]>>) {
        (self.transport, self.channel)
    }
}

impl<S: AsyncRead + Unpin, N> AsyncRead for Plaintext<S, N> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let waiting = this.channel.octets();
        if waiting.is_empty() {
            return Pin::new(&mut this.transport).poll_read(cx, buffer);
        }
        let n = waiting.len().min(buffer.remaining());
        buffer.put_slice(&waiting[..n]);
        Poll::Ready(Ok(this.channel.consume(n)?))
    }
}

impl<S: AsyncWrite + Unpin, N> AsyncWrite for Plaintext<S, N> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
