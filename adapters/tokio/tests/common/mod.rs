//! A certificate, both configurations, a pair of secured streams, and a transport that waits.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use starttls::protocol::smtp;
use starttls::tls::{ClientTls, ServerTls};
use starttls_tokio::Stream;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

pub(crate) const NAME: &str = "mail.example.org";
pub(crate) const SMALL_TO_LARGE: [usize; 5] = [1, 7, 64, 1024, 1 << 16];
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

pub(crate) struct Tls {
    pub(crate) client: ClientTls,
    pub(crate) server: ServerTls,
}

impl Tls {
    pub(crate) fn new(version: &'static SupportedProtocolVersion) -> Self {
        let issued = rcgen::generate_simple_self_signed([NAME.to_string()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.into()], issued.signing_key.into())
            .unwrap();
        Self {
            client: ClientTls::new(Arc::new(client)),
            server: ServerTls::new(Arc::new(server)).unwrap(),
        }
    }
}

pub(crate) fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

pub(crate) fn server() -> smtp::Server<'static> {
    smtp::Server::new(NAME, &["8BITMIME"]).unwrap()
}

/// A client and a server at the two ends of a pipe of `width` octets.
pub(crate) async fn pair(
    tls: &Tls,
    width: usize,
) -> (Stream<DuplexStream, smtp::Client<'static>>, Stream<DuplexStream, smtp::Server<'static>>) {
    let (here, there) = duplex(width);
    pair_over(tls, here, there).await
}

/// A client on `here` and a server on `there`.
pub(crate) async fn pair_over<C, S>(
    tls: &Tls,
    here: C,
    there: S,
) -> (Stream<C, smtp::Client<'static>>, Stream<S, smtp::Server<'static>>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (client, server) = tokio::join!(
        starttls_tokio::connect(here, client(), &tls.client, NAME),
        starttls_tokio::accept(there, server(), &tls.server),
    );
    (client.unwrap(), server.unwrap())
}

/// `n` octets that repeat late and differ by `seed`.
pub(crate) fn pattern(n: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// What an error of a stream holds.
pub(crate) fn session_error(error: &std::io::Error) -> starttls::Error {
    *error.get_ref().expect("not the transport's").downcast_ref().unwrap()
}

/// The result of `future` if one poll is enough; else it is dropped.
pub(crate) async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A transport that takes and gives at most `most` octets at a time, waits twice before every one
/// of these, and can be told to fail.
pub(crate) struct Stutter<T> {
    inner: T,
    most: usize,
    /// How often it has waited.
    reading: u8,
    writing: u8,
    /// The next write fails, once.
    pub(crate) fail: bool,
}

impl<T> Stutter<T> {
    pub(crate) fn new(inner: T, most: usize) -> Self {
        Self { inner, most, reading: 0, writing: 0, fail: false }
    }
}

fn wait(waited: &mut u8, cx: &Context<'_>) -> bool {
    *waited = (*waited + 1) % 3;
    if *waited != 0 {
        cx.waker().wake_by_ref();
    }
    *waited != 0
}

impl<T: AsyncRead + Unpin> AsyncRead for Stutter<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if wait(&mut self.reading, cx) {
            return Poll::Pending;
        }
        let mut storage = vec![0; self.most.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut storage);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stutter<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.fail) {
            return Poll::Ready(Err(io::ErrorKind::HostUnreachable.into()));
        }
        if wait(&mut self.writing, cx) {
            return Poll::Pending;
        }
        let n = self.most.min(data.len());
        Pin::new(&mut self.inner).poll_write(cx, &data[..n])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if wait(&mut self.writing, cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if wait(&mut self.writing, cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
