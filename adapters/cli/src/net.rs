//! Resolving, connecting, listening; and the transport, which may be watched and traced.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::exit::Failure;
use crate::target::Target;
use crate::trace::Trace;

/// The longest wait for a peer to take notice of our leaving.
pub(crate) const PARTING: Duration = Duration::from_millis(200);

/// Resolves the target and tries each of its addresses in turn.
pub(crate) async fn connect(target: &Target, bind: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let mut errors = Vec::new();
    for address in resolve(target).await? {
        match connect_to(address, bind).await {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push(format!("{address}: {error}")),
        }
    }
    Err(unreachable(&format!("could not connect: {}", errors.join("; "))))
}

async fn connect_to(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = bind {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Listens on the first address of the target that can be had.
pub(crate) async fn listen(target: &Target) -> Result<TcpListener, Failure> {
    let mut errors = Vec::new();
    for address in resolve(target).await? {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) => errors.push(format!("{address}: {error}")),
        }
    }
    Err(unreachable(&format!("could not listen: {}", errors.join("; "))))
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Failure> {
    match lookup_host((target.host.as_str(), target.port)).await {
        Ok(addresses) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() {
                return Err(unreachable("the name has no address"));
            }
            Ok(addresses)
        }
        Err(error) => Err(Failure::network("could not resolve the name", &error)),
    }
}

fn unreachable(text: &str) -> Failure {
    Failure::new(crate::exit::NETWORK, text)
}

/// A TCP connection that is shared with whoever watches for its end.
#[derive(Debug)]
pub(crate) struct Transport {
    tcp: Arc<TcpStream>,
    trace: Option<Arc<Trace>>,
    /// Shutting down ends the transport's writing half too: inside TLS close_notify does.
    fin: bool,
    /// The last thing done was to wait, and how often that followed something else.
    waiting: bool,
    waits: usize,
}

impl Transport {
    pub(crate) fn new(tcp: TcpStream, trace: Option<Arc<Trace>>) -> (Self, Arc<TcpStream>) {
        let tcp = Arc::new(tcp);
        (Self { tcp: tcp.clone(), trace, fin: false, waiting: false, waits: 0 }, tcp)
    }

    /// How often the peer was waited for.
    pub(crate) fn waits(&self) -> usize {
        self.waits
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// From now on a shutdown ends the transport's writing half: there is no TLS to do it.
    pub(crate) fn end_with_fin(&mut self) {
        self.fin = true;
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.waiting, true) {
            self.waits += 1;
        }
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            match self.tcp.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    if let Some(trace) = &self.trace {
                        trace.received(buf.initialize_unfilled().get(..n).unwrap_or_default());
                    }
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.waiting = false;
        loop {
            ready!(self.tcp.poll_write_ready(cx))?;
            match self.tcp.try_write(buf) {
                Ok(n) => {
                    if let Some(trace) = &self.trace {
                        trace.sent(buf.get(..n).unwrap_or_default());
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A FIN behind close_notify would tell the peer that nobody reads any more.
        if !self.fin {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(match shutdown(&self.tcp) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

/// Ends the transport's writing half.
fn shutdown(tcp: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(tcp).shutdown(std::net::Shutdown::Write)
}

/// Waits for the end of a transport on which nothing that is still to come counts.
pub(crate) async fn ended(tcp: &TcpStream) {
    let mut ignored = [0; 4096];
    while tcp.readable().await.is_ok() {
        match tcp.try_read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Leaves a peer with whom there will be no channel. Octets of its that nobody reads would turn the
/// end into a reset, and the alert or the goodbye with it might be lost: so they are read, briefly.
pub(crate) async fn part(tcp: &TcpStream) {
    if shutdown(tcp).is_ok() {
        let _ = tokio::time::timeout(PARTING, ended(tcp)).await;
    }
}
