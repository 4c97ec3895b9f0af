//! Deadlines, over transports that can keep one.

use std::io;
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A transport whose reads and writes can be made to end.
pub trait Timeouts {
    /// Bounds every later read and write; `None` takes the bound away. After it they fail with
    /// [`io::ErrorKind::TimedOut`] or [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// Whatever the transport says.
    fn set_timeouts(&self, each: Option<Duration>) -> io::Result<()>;
}

impl Timeouts for TcpStream {
    fn set_timeouts(&self, each: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(each)?;
        self.set_write_timeout(each)
    }
}

#[cfg(unix)]
impl Timeouts for UnixStream {
    fn set_timeouts(&self, each: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(each)?;
        self.set_write_timeout(each)
    }
}

impl<T: Timeouts + ?Sized> Timeouts for &T {
    fn set_timeouts(&self, each: Option<Duration>) -> io::Result<()> {
        (**self).set_timeouts(each)
    }
}

/// What is asked before each read and write of the transport.
pub(crate) trait Limit<S> {
    fn apply(&self, transport: &S) -> io::Result<()>;
    fn lift(&self, transport: &S) -> io::Result<()>;
    /// What an error of the transport means under this limit.
    fn judge(&self, error: io::Error) -> io::Error {
        error
    }
}

/// No deadline.
pub(crate) struct Forever;

impl<S> Limit<S> for Forever {
    fn apply(&self, _: &S) -> io::Result<()> {
        Ok(())
    }

    fn lift(&self, _: &S) -> io::Result<()> {
        Ok(())
    }
}

/// A deadline for all of it: each read and write gets what is left.
pub(crate) struct Until(pub(crate) Instant);

impl<S: Timeouts> Limit<S> for Until {
    fn apply(&self, transport: &S) -> io::Result<()> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        transport.set_timeouts(Some(left))
    }

    fn lift(&self, transport: &S) -> io::Result<()> {
        transport.set_timeouts(None)
    }

    fn judge(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        }
    }
}
