//! The line to the server, by a deadline.

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, Write};
use embedded_tls::TlsError;
use starttls_embedded_io::{Deadline, Error};

use super::cause;
use crate::failure::Failure;
use crate::time::Instant;
use crate::uart::{self, By, Uart};

/// A UART that gives up by itself, and remembers why: the TLS library only says that it did.
pub struct Line<'a> {
    uart: &'a mut Uart,
    by: By,
    failed: Option<Failure>,
    /// The two octets that were read last. When the library finds a record too large, it has read
    /// its header and nothing else, and they are its length (RFC 8446 §5.1).
    last: [u8; 2],
}

impl<'a> Line<'a> {
    /// A line up to this moment.
    pub fn new(uart: &'a mut Uart, end: Instant) -> Self {
        Self { uart, by: By(end), failed: None, last: [0; 2] }
    }

    /// What an error of the TLS library's means.
    pub fn failure(&self, error: TlsError) -> Failure {
        let length = u16::from_be_bytes(self.last).into();
        self.failed.unwrap_or_else(|| cause(error, length).into())
    }

    /// What an error behind the handshake means.
    pub fn broken(&self, error: Error<TlsError>) -> Failure {
        match error {
            Error::Transport(error) => self.failure(error),
            Error::Session(failure) => failure.error().into(),
            _ => Failure::Other,
        }
    }

    fn waited(&mut self, ready: Result<bool, uart::Error>) -> Result<(), ErrorKind> {
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.fail(Failure::TimedOut, ErrorKind::TimedOut)),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn lost(&mut self, error: uart::Error) -> ErrorKind {
        self.fail(Failure::Uart(error), error.kind())
    }

    fn fail(&mut self, why: Failure, kind: ErrorKind) -> ErrorKind {
        self.failed.get_or_insert(why);
        kind
    }
}

impl ErrorType for Line<'_> {
    type Error = ErrorKind;
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let ready = self.by.readable(&mut self.uart);
        self.waited(ready)?;
        let n = self.uart.read(buffer).map_err(|error| self.lost(error))?;
        for &octet in buffer.iter().take(n) {
            self.last = [self.last[1], octet];
        }
        Ok(n)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, octets: &[u8]) -> Result<usize, ErrorKind> {
        let ready = self.by.writable(&mut self.uart);
        self.waited(ready)?;
        self.uart.write(octets).map_err(|error| self.lost(error))
    }

    /// What the transmitter holds leaves by itself.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
