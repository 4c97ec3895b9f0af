//! Inside TLS at a real server: what a test says and hears, whatever adapter is below.

use std::fmt;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use starttls::negotiate::Negotiate;
use starttls::protocol::ClientMachine;
use starttls_tokio::HeapSession;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// A connection that our client upgraded.
pub struct Channel<N = ClientMachine<'static>> {
    stream: Stream<N>,
    limit: Duration,
}

/// The same by each adapter. The runtime of an asynchronous one runs while a call waits.
pub(super) enum Stream<N> {
    Std(starttls_std::Stream<std::net::TcpStream, N>),
    Tokio(starttls_tokio::Stream<tokio::net::TcpStream, N>, Runtime),
}

impl<N: Negotiate> Channel<N> {
    pub(super) fn new(stream: Stream<N>, limit: Duration) -> Self {
        Self { stream, limit }
    }

    /// The session.
    pub fn session(&self) -> &HeapSession<N> {
        match &self.stream {
            Stream::Std(stream) => stream.session(),
            Stream::Tokio(stream, _) => stream.session(),
        }
    }

    /// The machine that negotiated.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn machine(&self) -> &N {
        self.session().machine().expect("an upgraded session")
    }

    /// Sends octets.
    ///
    /// # Panics
    ///
    /// If they cannot be sent.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.write_all(octets.as_ref()).and_then(|()| self.flush()).expect("a connection");
    }

    /// The next octets, as many as asked for.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.read_exact(&mut octets).expect("octets of the server");
        octets
    }

    /// What arrives up to and including `end`.
    ///
    /// # Panics
    ///
    /// If the channel ends or is quiet for long before that.
    pub fn until(&mut self, end: &str) -> String {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            let mut octet = [0];
            let read = self.read_exact(&mut octet);
            read.unwrap_or_else(|error| panic!("{error} behind {:?}", text(&said)));
            said.push(octet[0]);
        }
        text(&said)
    }

    /// The next line, without CRLF.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn line(&mut self) -> String {
        let mut line = self.until("\r\n");
        line.truncate(line.len() - 2);
        line
    }

    /// The lines up to the one that begins with `last`, which is among them.
    ///
    /// # Panics
    ///
    /// If it does not come.
    pub fn lines_to(&mut self, last: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.starts_with(last)) {
            lines.push(self.line());
        }
        lines
    }

    /// What arrives up to the end, and how that comes.
    pub fn rest(mut self) -> (String, io::Result<()>) {
        let mut said = Vec::new();
        let end = self.read_to_end(&mut said).map(drop);
        (text(&said), end)
    }

    /// Whether the server closes by close_notify, and says nothing before.
    pub fn ends(self) -> bool {
        matches!(self.rest(), (said, Ok(())) if said.is_empty())
    }
}

impl<N: Negotiate> Read for Channel<N> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Std(stream) => stream.read(buffer),
            Stream::Tokio(stream, runtime) => {
                runtime.block_on(async { timeout(self.limit, stream.read(buffer)).await })?
            }
        }
    }
}

impl<N: Negotiate> Write for Channel<N> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Std(stream) => stream.write(octets),
            Stream::Tokio(stream, runtime) => runtime.block_on(stream.write(octets)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Std(stream) => stream.flush(),
            Stream::Tokio(stream, runtime) => runtime.block_on(stream.flush()),
        }
    }
}

impl<N> fmt::Debug for Channel<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What is read without waiting, such as memory, for an asynchronous reader.
pub(super) struct Blocking<R>(pub(super) R);

impl<R: Read + Unpin> AsyncRead for Blocking<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.0.read(buffer.initialize_unfilled())?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}
