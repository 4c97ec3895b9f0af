//! Deadlines of blocking calls, over transports that say whether they would wait.

use embedded_io::{ErrorType, ReadReady, WriteReady};

/// What is asked before each read and write of the transport. [`Until`] and [`UntilRead`] poll;
/// implement it to sleep until an interrupt instead.
pub trait Deadline<T: ErrorType> {
    /// Waits until a read would not wait; `false` if the deadline passed.
    ///
    /// # Errors
    /// Those of the transport.
    fn readable(&mut self, transport: &mut T) -> Result<bool, T::Error>;

    /// Waits until a write would not wait; `false` if the deadline passed.
    ///
    /// # Errors
    /// Those of the transport.
    fn writable(&mut self, transport: &mut T) -> Result<bool, T::Error>;
}

impl<T: ErrorType, D: Deadline<T> + ?Sized> Deadline<T> for &mut D {
    fn readable(&mut self, transport: &mut T) -> Result<bool, T::Error> {
        (**self).readable(transport)
    }

    fn writable(&mut self, transport: &mut T) -> Result<bool, T::Error> {
        (**self).writable(transport)
    }
}

/// A deadline by the caller's clock: `F` says whether it passed. It is asked before each read and
/// write and, while the transport has nothing, between polls of it: there it may sleep a little.
///
/// ```
/// # let clock = || 7_u32;
/// let end = clock() + 30_000; // milliseconds
/// let deadline = starttls_embedded_io::Until(|| clock() >= end);
/// ```
#[derive(Clone, Debug)]
pub struct Until<F>(
    /// Whether the deadline passed.
    pub F,
);

impl<T: ReadReady + WriteReady, F: FnMut() -> bool> Deadline<T> for Until<F> {
    fn readable(&mut self, transport: &mut T) -> Result<bool, T::Error> {
        poll(&mut self.0, || transport.read_ready())
    }

    fn writable(&mut self, transport: &mut T) -> Result<bool, T::Error> {
        poll(&mut self.0, || transport.write_ready())
    }
}

/// As [`Until`], for a transport whose writes end by themselves, such as a UART without flow
/// control.
#[derive(Clone, Debug)]
pub struct UntilRead<F>(
    /// Whether the deadline passed.
    pub F,
);

impl<T: ReadReady, F: FnMut() -> bool> Deadline<T> for UntilRead<F> {
    fn readable(&mut self, transport: &mut T) -> Result<bool, T::Error> {
        poll(&mut self.0, || transport.read_ready())
    }

    fn writable(&mut self, _: &mut T) -> Result<bool, T::Error> {
        Ok(!(self.0)())
    }
}

/// The clock is asked first, so that a peer that always has an octet more does not outlast it.
fn poll<E>(
    passed: &mut impl FnMut() -> bool,
    mut ready: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    loop {
        if passed() {
            return Ok(false);
        }
        if ready()? {
            return Ok(true);
        }
    }
}

/// No deadline: the transport waits, for ever or by a time-out of its own.
pub(crate) struct Forever;

impl<T: ErrorType> Deadline<T> for Forever {
    fn readable(&mut self, _: &mut T) -> Result<bool, T::Error> {
        Ok(true)
    }

    fn writable(&mut self, _: &mut T) -> Result<bool, T::Error> {
        Ok(true)
    }
}
