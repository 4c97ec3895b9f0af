//! Over transports that block.

use embedded_io::{BufRead, Error as _, Read, Write};
use starttls::negotiate::{ForeignTls, Negotiate};
use starttls::submission::{Event, Submission};

use crate::Error;
use crate::deadline::{Deadline, Forever};
use crate::inside::Inside;
use crate::negotiation::{Negotiated, Negotiating};
use crate::step::{Job, Step};

/// Does `job`. One loop for every job and deadline over one kind of transport.
pub(crate) fn drive<T: Read + Write>(
    transport: &mut T,
    job: &mut dyn Job<T::Error>,
    deadline: &mut dyn Deadline<T>,
) {
    loop {
        match job.step() {
            Step::Receive => {
                let ready = deadline.readable(transport);
                let n = in_time(ready, || transport.read(job.spare_mut()));
                job.received(n);
            }
            Step::Send(_) => {
                let ready = deadline.writable(transport);
                let n = in_time(ready, || transport.write(job.transmit()));
                job.transmitted(n);
            }
            Step::Flush(_) => {
                let result = transport.flush().map_err(Error::Transport);
                job.flushed(result);
            }
            Step::Over => return,
        }
    }
}

fn in_time<E>(
    ready: Result<bool, E>,
    work: impl FnOnce() -> Result<usize, E>,
) -> Result<usize, Error<E>> {
    match ready {
        Ok(true) => work().map_err(Error::Transport),
        Ok(false) => Err(Error::TimedOut),
        Err(error) => Err(Error::Transport(error)),
    }
}

/// Negotiates an upgrade, as the client or the server that `machine` is, and hands the transport
/// over to a TLS library of the caller's.
///
/// `receive` holds the longest message of the protocol
/// ([`max_frame`](Negotiate::max_frame) octets), `send` the longest that is sent.
///
/// ```
/// use embedded_io::{Read, Write};
/// use starttls::protocol::smtp;
/// use starttls::wire::MAX_LINE;
///
/// # fn example<T: Read + Write>(uart: T) -> Result<(), starttls_embedded_io::Error<T::Error>> {
/// let (mut receive, mut send) = ([0; MAX_LINE], [0; 512]);
/// let machine = smtp::Client::new("client.example.org")?;
/// let negotiated = starttls_embedded_io::negotiate(uart, machine, &mut receive, &mut send)?;
/// let transport = negotiated.transport; // is the TLS library's now
/// # drop(transport);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Session`] if the peer refuses or misbehaves, or a buffer is too small;
/// [`Error::Transport`] if the transport fails.
pub fn negotiate<'b, T: Read + Write, M: Negotiate>(
    transport: T,
    machine: M,
    receive: &'b mut [u8],
    send: &mut [u8],
) -> Result<Negotiated<'b, T, M>, Error<T::Error>> {
    negotiate_by(transport, machine, receive, send, Forever)
}

/// [`negotiate`], done before `deadline` or failed with [`Error::TimedOut`].
///
/// # Errors
/// As [`negotiate`].
pub fn negotiate_by<'b, T: Read + Write, M: Negotiate>(
    mut transport: T,
    machine: M,
    receive: &'b mut [u8],
    send: &mut [u8],
    mut deadline: impl Deadline<T>,
) -> Result<Negotiated<'b, T, M>, Error<T::Error>> {
    let mut job = Negotiating::new(machine, receive, send);
    drive(&mut transport, &mut job, &mut deadline);
    job.finish(transport)
}

/// Delivers what `submission` was told through a `stream` that another TLS library encrypts, behind
/// [`negotiate`] and a handshake in which the server was verified; `tls` came with the former.
/// `message` is read as the server takes it, and never held as a whole: `&[u8]` is one, and
/// [`Composed`](crate::Composed) another.
///
/// `tell` hears what becomes of the mail, such as [`Delivered`](Event::Delivered): nothing but that is
/// success. `receive` may be of any size, `send` holds 64 octets at least, and is written to the
/// stream when it is full. There is no deadline here: the transport below gives up by itself.
///
/// # Errors
/// [`Error::Session`] if the server misbehaves or leaves too early, [`Error::Transport`] if the stream
/// fails, [`Error::Message`] if `message` does. Behind any of them
/// [`in_doubt`](Submission::in_doubt) says whether the mail may have been delivered.
pub fn submit_inside<S: Read + Write>(
    stream: &mut S,
    tls: &ForeignTls,
    submission: &mut Submission<'_>,
    mut message: impl BufRead,
    receive: &mut [u8],
    send: &mut [u8],
    tell: impl FnMut(Event<'_>),
) -> Result<(), Error<S::Error>> {
    let mut job = Inside::new(tls, submission, receive, send, tell);
    loop {
        drive(stream, &mut job, &mut Forever);
        if !job.wants_message() {
            return job.finish();
        }
        let taken = job.message(message.fill_buf().map_err(|error| error.kind()));
        message.consume(taken);
    }
}

#[cfg(feature = "rustls")]
pub use secured::{
    accept, accept_by, accept_or_plaintext, connect, connect_by, connect_or_plaintext, submit,
    submit_by,
};

#[cfg(feature = "rustls")]
mod secured {
    use alloc::boxed::Box;

    use embedded_io::{BufRead, Error as _, Read, ReadReady, Write, WriteReady};
    use starttls::negotiate::{AllowPlaintext, Client, Negotiate, Server};
    use starttls::storage::Storage;
    use starttls::submission::{Report, Submission};
    use starttls::tls::{ClientTls, ServerTls};

    use super::drive;
    use crate::channel::{Buffers, Channel, Opening};
    use crate::deadline::{Deadline, Forever};
    use crate::stream::{By, Call, Link, Next, Stream};
    use crate::submit::Submitting;
    use crate::{Broken, Error};

    /// Negotiates TLS as the client and returns the encrypted stream. `name`, a DNS name or an IP
    /// address, is what the server's certificate has to be for.
    ///
    /// # Errors
    /// [`Error::Session`] if the server refuses, misbehaves or fails verification, or a buffer is
    /// too small; [`Error::Transport`] if the transport fails. The peer is told, by an alert or
    /// its protocol's goodbye.
    pub fn connect<T: Read + Write, N: Negotiate<Side = Client>, I: Storage, O: Storage>(
        transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        connect_by(transport, machine, tls, name, buffers, Forever)
    }

    /// [`connect`], done before `deadline` or failed with [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`connect`].
    pub fn connect_by<T: Read + Write, N: Negotiate<Side = Client>, I: Storage, O: Storage>(
        transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        deadline: impl Deadline<T>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        establish(Opening::client(transport, machine, tls, name, buffers)?, deadline)?.secured()
    }

    /// [`connect`] for a caller that accepts a server without TLS.
    ///
    /// # Errors
    /// As [`connect`], but for a refusal, which is [`Channel::Plaintext`].
    pub fn connect_or_plaintext<
        T: Read + Write,
        N: Negotiate<Side = Client>,
        I: Storage,
        O: Storage,
    >(
        transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        allow: AllowPlaintext,
    ) -> Result<Channel<T, N, I, O>, Error<T::Error>> {
        let opening = Opening::client(transport, machine, tls, name, buffers)?;
        establish(opening.or_plaintext(allow), Forever)
    }

    /// Negotiates TLS as the server and returns the encrypted stream.
    ///
    /// # Errors
    /// [`Error::Session`] if the client does not ask for TLS, misbehaves or fails the handshake,
    /// or a buffer is too small; [`Error::Transport`] if the transport fails.
    pub fn accept<T: Read + Write, N: Negotiate<Side = Server>, I: Storage, O: Storage>(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        accept_by(transport, machine, tls, buffers, Forever)
    }

    /// [`accept`], done before `deadline` or failed with [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`accept`].
    pub fn accept_by<T: Read + Write, N: Negotiate<Side = Server>, I: Storage, O: Storage>(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
        deadline: impl Deadline<T>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        establish(Opening::server(transport, machine, tls, buffers)?, deadline)?.secured()
    }

    /// [`accept`] for a caller that serves clients without TLS too. What the client asked for
    /// instead is the first thing read.
    ///
    /// # Errors
    /// As [`accept`], but for a client that does not ask, which is [`Channel::Plaintext`].
    pub fn accept_or_plaintext<
        T: Read + Write,
        N: Negotiate<Side = Server>,
        I: Storage,
        O: Storage,
    >(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
        allow: AllowPlaintext,
    ) -> Result<Channel<T, N, I, O>, Error<T::Error>> {
        let opening = Opening::server(transport, machine, tls, buffers)?;
        establish(opening.or_plaintext(allow), Forever)
    }

    fn establish<T: Read + Write, N: Negotiate, I: Storage, O: Storage>(
        opening: Opening<T, N, I, O>,
        deadline: impl Deadline<T>,
    ) -> Result<Channel<T, N, I, O>, Error<T::Error>> {
        let Opening { mut stream, server } = opening;
        let mut reached = false;
        stream.call(|link| link.establish(&mut reached, server), deadline)?;
        Channel::of(stream)
    }

    /// Negotiates TLS and delivers one mail: `submission` was told whom to log in, if anyone, and
    /// what to send ([`Submission::mail`], with QUIT behind it); `message` is read as the server
    /// takes it, and never held as a whole: `&[u8]` is one. A caller that knows the size of the
    /// message, or holds all of it, tells the submission before
    /// ([`Submission::declare`](starttls::submission::Submission::declare)). On a small stack give
    /// `submission` in a box, where it ends up.
    ///
    /// A server's refusals are no error: they are in the [`Report`].
    ///
    /// # Errors
    /// [`Broken`] if the connection, the session or the reading of `message` failed.
    pub fn submit<'a, T: Read + Write, N: Negotiate<Side = Client>, I: Storage, O: Storage>(
        transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        submission: impl Into<Box<Submission<'a>>>,
        message: impl BufRead,
    ) -> Result<Report, Broken<T::Error>> {
        submit_by(transport, machine, tls, name, buffers, submission, message, Forever)
    }

    /// [`submit`], done before `deadline` or failed with [`Error::TimedOut`]. Reading from
    /// `message` is not bound by it.
    ///
    /// # Errors
    /// As [`submit`].
    #[expect(clippy::too_many_arguments, reason = "those of submit, and the deadline")]
    pub fn submit_by<'a, T: Read + Write, N: Negotiate<Side = Client>, I: Storage, O: Storage>(
        mut transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        submission: impl Into<Box<Submission<'a>>>,
        mut message: impl BufRead,
        mut deadline: impl Deadline<T>,
    ) -> Result<Report, Broken<T::Error>> {
        let mut job = Submitting::begin(machine, tls, name, buffers, submission.into())?;
        loop {
            drive(&mut transport, &mut job, &mut deadline);
            if !job.wants_message() {
                return job.finish();
            }
            let taken = job.message(message.fill_buf().map_err(|error| error.kind()));
            message.consume(taken);
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Stream<T, N, I, O> {
        fn call<R>(
            &mut self,
            next: impl FnMut(&mut Link<N, I, O>) -> Result<Next<R>, starttls::Error>,
            mut deadline: impl Deadline<T>,
        ) -> Result<R, Error<T::Error>> {
            let mut call = Call::new(&mut self.link, next);
            drive(&mut self.transport, &mut call, &mut deadline);
            call.finish()
        }

        /// Sends close_notify: nothing can be written after it, reading goes on. With TLS 1.2 the
        /// peer may answer by dropping what it had still to say (RFC 5246 §7.2.1).
        ///
        /// # Errors
        /// Those of the transport.
        pub fn close_write(&mut self) -> Result<(), Error<T::Error>> {
            self.by(Forever).close_write()
        }

        /// Closes both ways: sends close_notify, waits for the peer's, and returns the transport.
        ///
        /// # Errors
        /// [`Truncated`](starttls::Error::Truncated) if the peer ends without close_notify,
        /// [`Error::Unread`] if it still had something to say; those of the transport.
        pub fn close(self) -> Result<T, Error<T::Error>> {
            self.close_by(Forever)
        }

        /// [`close`](Self::close), done before `deadline` or failed with [`Error::TimedOut`].
        ///
        /// # Errors
        /// As [`close`](Self::close).
        pub fn close_by(mut self, deadline: impl Deadline<T>) -> Result<T, Error<T::Error>> {
            let mut by = self.by(deadline);
            by.close_write()?;
            match by.read(&mut [0])? {
                0 => Ok(self.transport),
                _ => Err(Error::Unread),
            }
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage, D: Deadline<T>> By<'_, T, N, I, O, D> {
        /// [`Stream::close_write`], by the deadline.
        ///
        /// # Errors
        /// [`Error::TimedOut`], and those of the transport.
        pub fn close_write(&mut self) -> Result<(), Error<T::Error>> {
            self.stream.link.session.close();
            self.flush()
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Read for Stream<T, N, I, O> {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            self.by(Forever).read(buf)
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Write for Stream<T, N, I, O> {
        fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
            self.by(Forever).write(buf)
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            self.by(Forever).flush()
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage, D: Deadline<T>> Read
        for By<'_, T, N, I, O, D>
    {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            self.stream.call(|link| link.read(buf), &mut self.deadline)
        }
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage, D: Deadline<T>> Write
        for By<'_, T, N, I, O, D>
    {
        fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
            self.stream.call(|link| link.write(buf), &mut self.deadline)
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            self.stream.call(|link| Ok(link.flush()), &mut self.deadline)
        }
    }

    /// Takes in and decrypts what the transport has, without waiting: a part of a record is not
    /// ready to be read.
    impl<T: Read + Write + ReadReady, N: Negotiate, I: Storage, O: Storage> ReadReady
        for Stream<T, N, I, O>
    {
        fn read_ready(&mut self) -> Result<bool, Self::Error> {
            while self.link.is_starved() {
                if !self.transport.read_ready().map_err(Error::Transport)? {
                    return Ok(false);
                }
                let n = self.transport.read(self.link.session.spare_mut());
                uninterrupted(n.map_err(Error::Transport).and_then(|n| self.link.received(n)))?;
            }
            Ok(true)
        }
    }

    /// Hands over what the transport takes of the record before, without waiting.
    impl<T: Read + Write + WriteReady, N: Negotiate, I: Storage, O: Storage> WriteReady
        for Stream<T, N, I, O>
    {
        fn write_ready(&mut self) -> Result<bool, Self::Error> {
            while self.link.is_laden() {
                if !self.transport.write_ready().map_err(Error::Transport)? {
                    return Ok(false);
                }
                let n = self.transport.write(self.link.session.transmit());
                uninterrupted(n.map_err(Error::Transport).and_then(|n| self.link.transmitted(n)))?;
            }
            Ok(true)
        }
    }

    fn uninterrupted<E: embedded_io::Error>(result: Result<(), Error<E>>) -> Result<(), Error<E>> {
        match result {
            Err(error) if error.is_interruption() => Ok(()),
            result => result,
        }
    }
}
