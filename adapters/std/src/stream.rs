//! The encrypted stream, and the loop that gets there.

use std::io::{self, Read, Write};

use starttls::negotiate::Negotiate;
use starttls::session::Event;

use crate::deadline::{Forever, Limit};
use crate::{Error, HeapSession, Plaintext};

/// An encrypted channel over `S`.
///
/// A read at the end of the data is `Ok(0)` only if the peer said so; a transport that just ends
/// is [`io::ErrorKind::UnexpectedEof`] (RFC 8446 §6.1). Dropping a stream sends nothing: use
/// [`close`](Self::close).
#[derive(Debug)]
pub struct Stream<S, N> {
    session: HeapSession<N>,
    transport: S,
}

impl<S, N> Stream<S, N> {
    pub(crate) fn new(session: HeapSession<N>, transport: S) -> Self {
        Self { session, transport }
    }

    /// The session: TLS parameters, certificates, and the machine that negotiated.
    pub fn session(&self) -> &HeapSession<N> {
        &self.session
    }

    /// The transport, for its options. Do not read or write it.
    pub fn get_ref(&self) -> &S {
        &self.transport
    }
}

impl<S: Read + Write, N: Negotiate> Stream<S, N> {
    /// Runs to `Established`, whose last octets may still be unsent, or `Plaintext`.
    pub(crate) fn establish(&mut self, limit: &dyn Limit<S>) -> Result<Event, Error> {
        loop {
            match self.process(limit)? {
                Event::Transmit => self.send(limit)?,
                Event::NeedInput => self.receive(limit)?,
                event => return Ok(event),
            }
        }
    }

    /// Processes; on an error sends what is left to say, an alert or a goodbye.
    fn process(&mut self, limit: &dyn Limit<S>) -> Result<Event, Error> {
        self.session.process().map_err(|error| {
            // It is the error that matters: the transport may be gone already.
            let _ = self.send(limit);
            Error::of(&self.session, error)
        })
    }

    pub(crate) fn send(&mut self, limit: &dyn Limit<S>) -> io::Result<()> {
        send(&mut self.session, &mut self.transport, limit)
    }

    fn receive(&mut self, limit: &dyn Limit<S>) -> io::Result<()> {
        receive(&mut self.session, &mut self.transport, limit)
    }

    pub(crate) fn into_plaintext(self) -> Result<Plaintext<S, N>, Error> {
        Ok(Plaintext::new(self.transport, self.session.into_plaintext()?))
    }

    /// Sends close_notify: nothing can be written after it, reading goes on. With TLS 1.2 the peer
    /// may answer by dropping what it had still to say (RFC 5246 §7.2.1).
    ///
    /// # Errors
    /// Whatever the transport says.
    pub fn close_write(&mut self) -> io::Result<()> {
        self.session.close();
        self.send(&Forever)
    }

    /// Closes both ways: sends close_notify, waits for the peer's, and returns the transport.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the peer ends without close_notify,
    /// [`io::ErrorKind::InvalidData`] if it still had something to say.
    pub fn close(mut self) -> io::Result<S> {
        self.close_write()?;
        match self.read(&mut [0])? {
            0 => Ok(self.transport),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "data behind the end")),
        }
    }
}

impl<S: Read + Write, N: Negotiate> Read for Stream<S, N> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.process(&Forever)? {
                Event::Data => return Ok(self.session.read(buf)),
                Event::PeerClosed | Event::Closed => return Ok(0),
                Event::NeedInput => {
                    self.send(&Forever)?;
                    self.receive(&Forever)?;
                }
                _ => self.send(&Forever)?,
            }
        }
    }
}

impl<S: Read + Write, N: Negotiate> Write for Stream<S, N> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        loop {
            // What a transport with a time-out did not take before goes first.
            if !self.session.transmit().is_empty() {
                self.send(&Forever)?;
            }
            let n = self.session.write(buf)?;
            if n == 0 && !buf.is_empty() {
                continue;
            }
            return match self.send(&Forever) {
                // The octets are sealed and will be sent by the next call.
                Err(error)
                    if !matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    Err(error)
                }
                _ => Ok(n),
            };
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(&Forever)
    }
}

/// Empties what the session has to send.
pub(crate) fn send<S: Write, N: Negotiate>(
    session: &mut HeapSession<N>,
    transport: &mut S,
    limit: &dyn Limit<S>,
) -> io::Result<()> {
    while !session.transmit().is_empty() {
        limit.apply(transport)?;
        match transport.write(session.transmit()) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => session.transmitted(n)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(limit.judge(error)),
        }
    }
    transport.flush()
}

/// Waits for the transport once.
pub(crate) fn receive<S: Read, N: Negotiate>(
    session: &mut HeapSession<N>,
    transport: &mut S,
    limit: &dyn Limit<S>,
) -> io::Result<()> {
    loop {
        limit.apply(transport)?;
        match transport.read(session.spare_mut()) {
            Ok(n) => return Ok(session.received(n)?),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(limit.judge(error)),
        }
    }
}
