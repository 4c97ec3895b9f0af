//! A connection that stays in plaintext, as a type that cannot be taken for anything else.

use std::io::{self, Read, Write};

use starttls::error::Refusal;
use starttls::session::PlaintextChannel;

/// A channel without TLS, which the caller allowed and the peer made necessary.
#[derive(Debug)]
pub struct Plaintext<S, N> {
    transport: S,
    channel: PlaintextChannel<N, Box<[u8]>>,
}

impl<S, N> Plaintext<S, N> {
    pub(crate) fn new(transport: S, channel: PlaintextChannel<N, Box<[u8]>>) -> Self {
        Self { transport, channel }
    }

    /// Why there is no TLS.
    pub fn why(&self) -> Refusal {
        self.channel.why()
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        &self.transport
    }
}

impl<S: Read, N> Read for Plaintext<S, N> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let waiting = self.channel.octets();
        if waiting.is_empty() {
            return self.transport.read(buf);
        }
        let n = waiting.len().min(buf.len());
        buf[..n].copy_from_slice(&waiting[..n]);
        self.channel.consume(n)?;
        Ok(n)
    }
}

impl<S: Write, N> Write for Plaintext<S, N> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.transport.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()
    }
}
