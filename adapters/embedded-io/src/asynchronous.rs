//! Over transports that are awaited.

use core::future::{Future, pending, poll_fn};
use core::pin::pin;
use core::task::Poll;

use embedded_io_async::{BufRead, Error as _, Read, Write};
use starttls::negotiate::{ForeignTls, Negotiate};
use starttls::submission::{Event, Submission};

use crate::Error;
use crate::inside::Inside;
use crate::negotiation::{Negotiated, Negotiating};
use crate::step::{Job, Patience, Step};

/// Does `job`. May be dropped where the transport's futures may: nothing happens between the end
/// of one of them and the job's hearing of it.
pub(crate) async fn drive<T: Read + Write>(transport: &mut T, job: &mut impl Job<T::Error>) {
    loop {
        match job.step() {
            Step::Receive => {
                let n = transport.read(job.spare_mut()).await.map_err(Error::Transport);
                job.received(n);
            }
            Step::Send(patience) => {
                let n = patiently(patience, transport.write(job.transmit())).await;
                job.transmitted(n);
            }
            Step::Flush(patience) => {
                let result = patiently(patience, transport.flush()).await;
                job.flushed(result);
            }
            Step::Over => return,
        }
    }
}

async fn patiently<R, E>(
    patience: Patience,
    work: impl Future<Output = Result<R, E>>,
) -> Result<R, Error<E>> {
    match patience {
        Patience::Wait => work.await.map_err(Error::Transport),
        #[cfg(feature = "rustls")]
        Patience::Try => match before(core::future::ready(()), work).await {
            Some(result) => result.map_err(Error::Transport),
            None => Err(Error::WriteZero),
        },
    }
}

/// What `work` gives, or `None` if the timer fired first. Work that is done in time counts.
async fn before<R>(timer: impl Future<Output = ()>, work: impl Future<Output = R>) -> Option<R> {
    let (mut timer, mut work) = (pin!(timer), pin!(work));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// [`negotiate`](crate::negotiate), asynchronously. Dropping the future drops the transport.
///
/// # Errors
/// As [`negotiate`](crate::negotiate).
pub async fn negotiate_async<'b, T: Read + Write, M: Negotiate>(
    transport: T,
    machine: M,
    receive: &'b mut [u8],
    send: &mut [u8],
) -> Result<Negotiated<'b, T, M>, Error<T::Error>> {
    negotiate_async_by(transport, machine, receive, send, pending()).await
}

/// [`negotiate_async`], done before `timer` or failed with [`Error::TimedOut`]: a future of the
/// caller's, such as `delay.delay_ms(30_000)`
/// ([`DelayNs`](https://docs.rs/embedded-hal-async/1/embedded_hal_async/delay/trait.DelayNs.html)).
/// Once it fired the transport is dropped, or of no use if it was lent: octets may be lost.
///
/// # Errors
/// As [`negotiate`](crate::negotiate).
pub async fn negotiate_async_by<'b, T: Read + Write, M: Negotiate>(
    mut transport: T,
    machine: M,
    receive: &'b mut [u8],
    send: &mut [u8],
    timer: impl Future<Output = ()>,
) -> Result<Negotiated<'b, T, M>, Error<T::Error>> {
    let mut job = Negotiating::new(machine, receive, send);
    match before(timer, drive(&mut transport, &mut job)).await {
        Some(()) => job.finish(transport),
        None => Err(Error::TimedOut),
    }
}

/// [`submit_inside`](crate::submit_inside), asynchronously. Dropping the future may lose octets of
/// the stream, which is of no use then.
///
/// # Errors
/// As [`submit_inside`](crate::submit_inside).
pub async fn submit_inside_async<S: Read + Write>(
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
        drive(stream, &mut job).await;
        if !job.wants_message() {
            return job.finish();
        }
        let piece = message.fill_buf().await;
        let taken = job.message(piece.map_err(|error| error.kind()));
        message.consume(taken);
    }
}

#[cfg(feature = "rustls")]
pub use secured::{
    accept_async, accept_async_by, accept_or_plaintext_async, connect_async, connect_async_by,
    connect_or_plaintext_async, submit_async, submit_async_by,
};

#[cfg(feature = "rustls")]
mod secured {
    use alloc::boxed::Box;
    use core::future::{Future, pending};
    use core::pin::pin;

    use embedded_io_async::{BufRead, Error as _, Read, Write};
    use starttls::negotiate::{AllowPlaintext, Client, Negotiate, Server};
    use starttls::storage::Storage;
    use starttls::submission::{Report, Submission};
    use starttls::tls::{ClientTls, ServerTls};

    use super::{before, drive};
    use crate::channel::{Buffers, Channel, Opening};
    use crate::stream::{By, Call, Link, Next, Stream};
    use crate::submit::Submitting;
    use crate::{Broken, Error};

    /// [`connect`](crate::connect), asynchronously. Dropping the future drops the transport.
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect_async<
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
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        connect_async_by(transport, machine, tls, name, buffers, pending()).await
    }

    /// [`connect_async`], done before `timer`, a future of the caller's, or failed with
    /// [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`connect`](crate::connect).
    pub async fn connect_async_by<
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
        timer: impl Future<Output = ()>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        let opening = Opening::client(transport, machine, tls, name, buffers)?;
        establish(opening, timer).await?.secured()
    }

    /// [`connect_or_plaintext`](crate::connect_or_plaintext), asynchronously. Dropping the future
    /// drops the transport.
    ///
    /// # Errors
    /// As [`connect_or_plaintext`](crate::connect_or_plaintext).
    pub async fn connect_or_plaintext_async<
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
        establish(opening.or_plaintext(allow), pending()).await
    }

    /// [`accept`](crate::accept), asynchronously. Dropping the future drops the transport.
    ///
    /// # Errors
    /// As [`accept`](crate::accept).
    pub async fn accept_async<
        T: Read + Write,
        N: Negotiate<Side = Server>,
        I: Storage,
        O: Storage,
    >(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        accept_async_by(transport, machine, tls, buffers, pending()).await
    }

    /// [`accept_async`], done before `timer`, a future of the caller's, or failed with
    /// [`Error::TimedOut`].
    ///
    /// # Errors
    /// As [`accept`](crate::accept).
    pub async fn accept_async_by<
        T: Read + Write,
        N: Negotiate<Side = Server>,
        I: Storage,
        O: Storage,
    >(
        transport: T,
        machine: N,
        tls: &ServerTls,
        buffers: Buffers<I, O>,
        timer: impl Future<Output = ()>,
    ) -> Result<Stream<T, N, I, O>, Error<T::Error>> {
        establish(Opening::server(transport, machine, tls, buffers)?, timer).await?.secured()
    }

    /// [`accept_or_plaintext`](crate::accept_or_plaintext), asynchronously. Dropping the future
    /// drops the transport.
    ///
    /// # Errors
    /// As [`accept_or_plaintext`](crate::accept_or_plaintext).
    pub async fn accept_or_plaintext_async<
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
        establish(opening.or_plaintext(allow), pending()).await
    }

    async fn establish<T: Read + Write, N: Negotiate, I: Storage, O: Storage>(
        opening: Opening<T, N, I, O>,
        timer: impl Future<Output = ()>,
    ) -> Result<Channel<T, N, I, O>, Error<T::Error>> {
        let Opening { mut stream, server } = opening;
        let mut reached = false;
        stream.call_async(|link| link.establish(&mut reached, server), timer).await?;
        Channel::of(stream)
    }

    /// [`submit`](crate::submit), asynchronously. Dropping the future drops the transport and what
    /// is known of the mail, which may then have been delivered or not.
    ///
    /// # Errors
    /// As [`submit`](crate::submit).
    pub async fn submit_async<
        'a,
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
        submission: impl Into<Box<Submission<'a>>>,
        message: impl BufRead,
    ) -> Result<Report, Broken<T::Error>> {
        let timer = pending();
        submit_async_by(transport, machine, tls, name, buffers, submission, message, timer).await
    }

    /// [`submit_async`], done before `timer`, a future of the caller's, or failed with
    /// [`Error::TimedOut`] and what is known then.
    ///
    /// # Errors
    /// As [`submit`](crate::submit).
    #[expect(clippy::too_many_arguments, reason = "those of submit_async, and the timer")]
    pub async fn submit_async_by<
        'a,
        T: Read + Write,
        N: Negotiate<Side = Client>,
        I: Storage,
        O: Storage,
    >(
        mut transport: T,
        machine: N,
        tls: &ClientTls,
        name: &str,
        buffers: Buffers<I, O>,
        submission: impl Into<Box<Submission<'a>>>,
        mut message: impl BufRead,
        timer: impl Future<Output = ()>,
    ) -> Result<Report, Broken<T::Error>> {
        let mut job = Submitting::begin(machine, tls, name, buffers, submission.into())?;
        let pump = async {
            loop {
                drive(&mut transport, &mut job).await;
                if !job.wants_message() {
                    return;
                }
                let piece = message.fill_buf().await;
                let taken = job.message(piece.map_err(|error| error.kind()));
                message.consume(taken);
            }
        };
        if before(timer, pump).await.is_none() {
            job.time_out();
        }
        job.finish()
    }

    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Stream<T, N, I, O> {
        async fn call_async<R>(
            &mut self,
            next: impl FnMut(&mut Link<N, I, O>) -> Result<Next<R>, starttls::Error>,
            timer: impl Future<Output = ()>,
        ) -> Result<R, Error<T::Error>> {
            let mut call = Call::new(&mut self.link, next);
            match before(timer, drive(&mut self.transport, &mut call)).await {
                Some(()) => call.finish(),
                None => {
                    self.link.dead = true;
                    Err(Error::TimedOut)
                }
            }
        }

        /// [`close_write`](Self::close_write), asynchronously. A future that was dropped may be
        /// asked for again, where the transport's may.
        ///
        /// # Errors
        /// Those of the transport.
        pub async fn close_write_async(&mut self) -> Result<(), Error<T::Error>> {
            self.by(pending()).close_write_async().await
        }

        /// [`close`](Self::close), asynchronously. Dropping the future drops the transport.
        ///
        /// # Errors
        /// As [`close`](Self::close).
        pub async fn close_async(self) -> Result<T, Error<T::Error>> {
            self.close_async_by(pending()).await
        }

        /// [`close_async`](Self::close_async), done before `timer` or failed with
        /// [`Error::TimedOut`].
        ///
        /// # Errors
        /// As [`close`](Self::close).
        pub async fn close_async_by(
            mut self,
            timer: impl Future<Output = ()>,
        ) -> Result<T, Error<T::Error>> {
            let timer = pin!(timer);
            let mut by = self.by(timer);
            by.close_write_async().await?;
            match by.read(&mut [0]).await? {
                0 => Ok(self.transport),
                _ => Err(Error::Unread),
            }
        }
    }

    impl<T, N, I, O, D> By<'_, T, N, I, O, D>
    where
        T: Read + Write,
        N: Negotiate,
        I: Storage,
        O: Storage,
        D: Future<Output = ()> + Unpin,
    {
        /// [`Stream::close_write_async`], by the timer.
        ///
        /// # Errors
        /// [`Error::TimedOut`], and those of the transport.
        pub async fn close_write_async(&mut self) -> Result<(), Error<T::Error>> {
            self.stream.link.session.close();
            self.flush().await
        }
    }

    /// Dropping a `read` is as safe as it is with the transport.
    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Read for Stream<T, N, I, O> {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            self.by(pending()).read(buf).await
        }
    }

    /// Dropping a `write` or `flush` is as safe as it is with the transport: a `write` takes octets
    /// last of all, and what a `flush` has not sent is sent by the next.
    impl<T: Read + Write, N: Negotiate, I: Storage, O: Storage> Write for Stream<T, N, I, O> {
        async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
            self.by(pending()).write(buf).await
        }

        async fn flush(&mut self) -> Result<(), Self::Error> {
            self.by(pending()).flush().await
        }
    }

    /// Dropping a `read` is as safe as it is with the transport. Do not `read` again behind the
    /// timer's end.
    impl<T, N, I, O, D> Read for By<'_, T, N, I, O, D>
    where
        T: Read + Write,
        N: Negotiate,
        I: Storage,
        O: Storage,
        D: Future<Output = ()> + Unpin,
    {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
            self.stream.call_async(|link| link.read(buf), &mut self.deadline).await
        }
    }

    /// Dropping a `write` or `flush` is as safe as it is with the transport.
    impl<T, N, I, O, D> Write for By<'_, T, N, I, O, D>
    where
        T: Read + Write,
        N: Negotiate,
        I: Storage,
        O: Storage,
        D: Future<Output = ()> + Unpin,
    {
        async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
            self.stream.call_async(|link| link.write(buf), &mut self.deadline).await
        }

        async fn flush(&mut self) -> Result<(), Self::Error> {
            self.stream.call_async(|link| Ok(link.flush()), &mut self.deadline).await
        }
    }
}
