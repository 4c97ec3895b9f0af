//! What is done with a transport, cut where it would wait for it.
//!
//! A [`Job`] knows what comes next and never touches the transport; two drivers do, and differ in
//! nothing but how they wait: [`blocking::drive`](crate::blocking) and
//! [`asynchronous::drive`](crate::asynchronous).

use crate::Error;

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read into [`Job::spare_mut`], and tell [`Job::received`].
    Receive,
    /// Write some of [`Job::transmit`], and tell [`Job::transmitted`].
    Send(Patience),
    /// Flush, and tell [`Job::flushed`].
    Flush(Patience),
    /// Nothing: the job has its result.
    Over,
}

/// Whether to wait for the transport to take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Wait,
    /// As far as it goes without waiting, where that can be had: it is for the peer's information,
    /// and nothing depends on it. What is not taken is [`Error::WriteZero`].
    #[cfg(feature = "rustls")]
    Try,
}

/// One job over one connection. `E` is the transport's error.
pub(crate) trait Job<E> {
    fn step(&mut self) -> Step;

    fn spare_mut(&mut self) -> &mut [u8];
    /// 0 is the end of the transport.
    fn received(&mut self, n: Result<usize, Error<E>>);

    fn transmit(&self) -> &[u8];
    fn transmitted(&mut self, n: Result<usize, Error<E>>);
    fn flushed(&mut self, result: Result<(), Error<E>>);
}
