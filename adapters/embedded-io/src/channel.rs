//! A channel that is being opened, and what it ends in.

use alloc::boxed::Box;

use starttls::error::Error as Cause;
use starttls::negotiate::{AllowPlaintext, Client, Negotiate, Server};
use starttls::session::{PlaintextChannel, Session};
use starttls::storage::Storage;
use starttls::submission::{Report, Submission};
use starttls::tls::{ClientTls, ServerTls};

use crate::resumed::{Ahead, Resumed};
use crate::stream::Stream;
use crate::submit::Submitting;
use crate::{Broken, Error};

/// The buffers of a session, the application's own: arrays, `&'static mut [u8]`, boxes.
///
/// An array moves with the stream; in a firmware a `&'static mut [u8]` is seldom worse.
#[derive(Debug)]
pub struct Buffers<I, O> {
    /// For receiving: [`RECEIVE_BUFFER`](starttls::session::RECEIVE_BUFFER) octets hold any
    /// record, 16,645 any of TLS 1.3. Less is enough for peers that send small records; one that
    /// does not fit is [`BufferTooSmall`](starttls::error::Misuse::BufferTooSmall). A negotiation
    /// needs [`max_frame`](Negotiate::max_frame) octets of it.
    pub receive: I,
    /// For sending: [`MIN_SEND_BUFFER`](starttls::session::MIN_SEND_BUFFER) octets are enough,
    /// and 16,448 hold a full record. Records are cut to it.
    pub send: O,
}

/// What a negotiation that may end in plaintext ended in.
#[derive(Debug)]
pub enum Channel<T, N, I, O> {
    /// TLS.
    Secured(Stream<T, N, I, O>),
    /// No TLS, because the peer declined it and the caller allowed that.
    Plaintext(Plaintext<T, N, I>),
}

/// A connection that stays in plaintext because the caller allowed it: [`ahead`](Resumed::ahead)
/// says why. Anyone on the path reads it and may write what it says.
pub type Plaintext<T, N, I> = Resumed<T, PlaintextChannel<N, I>>;

impl<N, I: Storage> Ahead for PlaintextChannel<N, I> {
    fn octets(&self) -> &[u8] {
        self.octets()
    }

    fn take(&mut self, n: usize) {
        // There are as many.
        let _ = self.consume(n);
    }
}

impl<T, N: Negotiate, I: Storage, O: Storage> Channel<T, N, I, O> {
    /// What an established stream, or one that was declined, is.
    pub(crate) fn of<E>(stream: Stream<T, N, I, O>) -> Result<Self, Error<E>> {
        if stream.session().is_established() {
            return Ok(Self::Secured(stream));
        }
        let (transport, session) = stream.into_parts();
        Ok(Self::Plaintext(Resumed::new(transport, session.into_plaintext()?)))
    }

    /// A session that was not told to allow plaintext reports the refusal as an error.
    pub(crate) fn secured<E>(self) -> Result<Stream<T, N, I, O>, Error<E>> {
        match self {
            Self::Secured(stream) => Ok(stream),
            Self::Plaintext(plain) => Err(Cause::PeerRefused(plain.ahead().why()).into()),
        }
    }
}

/// A stream that is not established yet.
pub(crate) struct Opening<T, N, I, O> {
    pub(crate) stream: Stream<T, N, I, O>,
    pub(crate) server: bool,
}

impl<T, N: Negotiate<Side = Client>, I: Storage, O: Storage> Opening<T, N, I, O> {
    pub(crate) fn client(
        transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
    ) -> Result<Self, Cause> {
        let session = Session::client(machine, tls, name, buffers.receive, buffers.send)?;
        Ok(Self { stream: Stream::new(transport, session), server: false })
    }
}

impl<T, N: Negotiate<Side = Server>, I: Storage, O: Storage> Opening<T, N, I, O> {
    pub(crate) fn server(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
    ) -> Result<Self, Cause> {
        let session = Session::server(machine, tls, buffers.receive, buffers.send)?;
        Ok(Self { stream: Stream::new(transport, session), server: true })
    }
}

impl<T, N: Negotiate, I: Storage, O: Storage> Opening<T, N, I, O> {
    pub(crate) fn or_plaintext(self, allow: AllowPlaintext) -> Self {
        let (transport, session) = self.stream.into_parts();
        Self { stream: Stream::new(transport, session.or_plaintext(allow)), ..self }
    }
}

impl<'a, N: Negotiate<Side = Client>, I: Storage, O: Storage, E> Submitting<'a, N, I, O, E> {
    pub(crate) fn begin(
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        submission: Box<Submission<'a>>,
    ) -> Result<Self, Broken<E>> {
        match Session::client(machine, tls, name, buffers.receive, buffers.send) {
            Ok(session) => Ok(Self::new(session, submission)),
            Err(error) => Err(Broken::new(error.into(), Report::unsent(&submission))),
        }
    }
}
