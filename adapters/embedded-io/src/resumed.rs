//! A transport of which something was read before.

use embedded_io::ErrorType;

/// A transport, and octets that were received from it and are read first. Everything else is the
/// transport's own, and so is what happens when a future is dropped.
#[derive(Debug)]
pub struct Resumed<T, A> {
    transport: T,
    ahead: A,
}

/// Octets that are read first.
pub trait Ahead {
    /// Those not taken yet.
    fn octets(&self) -> &[u8];

    /// The first `n` of them were taken; there are as many.
    fn take(&mut self, n: usize);
}

impl<T, A> Resumed<T, A> {
    pub(crate) fn new(transport: T, ahead: A) -> Self {
        Self { transport, ahead }
    }

    /// The transport.
    pub fn get_ref(&self) -> &T {
        &self.transport
    }

    /// The transport. Reading from it passes over what was received before.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// What was received before.
    pub fn ahead(&self) -> &A {
        &self.ahead
    }

    /// Both.
    pub fn into_parts(self) -> (T, A) {
        (self.transport, self.ahead)
    }
}

impl<T, A: Ahead> Resumed<T, A> {
    /// Octets that are there already; `None` if the transport is to be asked.
    fn first(&mut self, buf: &mut [u8]) -> Option<usize> {
        let waiting = self.ahead.octets();
        let n = waiting.len().min(buf.len());
        buf[..n].copy_from_slice(&waiting[..n]);
        let any = !waiting.is_empty();
        self.ahead.take(n);
        any.then_some(n)
    }
}

impl<T: ErrorType, A> ErrorType for Resumed<T, A> {
    type Error = T::Error;
}

impl<T: embedded_io::Read, A: Ahead> embedded_io::Read for Resumed<T, A> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        match self.first(buf) {
            Some(n) => Ok(n),
            None => self.transport.read(buf),
        }
    }
}

impl<T: embedded_io::ReadReady, A: Ahead> embedded_io::ReadReady for Resumed<T, A> {
    fn read_ready(&mut self) -> Result<bool, T::Error> {
        if self.ahead.octets().is_empty() { self.transport.read_ready() } else { Ok(true) }
    }
}

impl<T: embedded_io::WriteReady, A> embedded_io::WriteReady for Resumed<T, A> {
    fn write_ready(&mut self) -> Result<bool, T::Error> {
        self.transport.write_ready()
    }
}

impl<T: embedded_io_async::Read, A: Ahead> embedded_io_async::Read for Resumed<T, A> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        match self.first(buf) {
            Some(n) => Ok(n),
            None => self.transport.read(buf).await,
        }
    }
}

impl<T: embedded_io::Write, A> embedded_io::Write for Resumed<T, A> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        self.transport.write(buf)
    }

    fn flush(&mut self) -> Result<(), T::Error> {
        self.transport.flush()
    }
}

impl<T: embedded_io_async::Write, A> embedded_io_async::Write for Resumed<T, A> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        self.transport.write(buf).await
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        self.transport.flush().await
    }
}
