//! A mail, from the first octet of the connection to its fate.

use std::io;

use starttls::negotiate::{Client, Negotiate};
use starttls::session::Session;
use starttls::submission::{Exchange, ExchangeStep, Report, Submission, Trace};
use starttls::tls::ClientTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::stream::buffers;
use crate::{Broken, Error};

/// Octets of the message read at a time. A message that fits is measured first, so that its size
/// and its octets above 127 are declared.
const PIECE: usize = 64 << 10;

/// An exchange with buffers on the heap.
type Heap<'a, N> = Exchange<'a, N, Box<[u8]>, Box<[u8]>>;

/// Negotiates TLS and delivers one mail: `submission` was told whom to log in, if anyone, and what
/// to send ([`Submission::mail`], with QUIT behind it); `message` is read as the server takes it,
/// and never held as a whole. `trace` hears what is said inside TLS.
///
/// A server's refusals are no error: they are in the [`Report`]. Dropping the future drops the
/// transport; the mail may then have been delivered or not.
///
/// # Errors
/// [`Broken`] if the connection, the session or the reading of `message` failed.
pub async fn submit<S, N>(
    mut transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    mut submission: Submission<'_>,
    mut message: impl AsyncRead + Unpin,
    trace: Option<Trace<'_>>,
) -> Result<Report, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Client>,
{
    let (input, output) = buffers();
    let mut piece = vec![0; PIECE];
    let session = Session::client(machine, tls, name, input, output).map_err(Error::from);
    let read = fill(&mut message, &mut piece).await.map_err(Error::from);
    let (session, length) = match (session, read) {
        (Ok(session), Ok(length)) => (session, length),
        (Err(error), _) | (_, Err(error)) => {
            return Err(Broken::new(error, Report::unsent(&submission)));
        }
    };
    if length < PIECE {
        submission.declare(&piece[..length]);
    }
    let mut exchange = Exchange::new(session, submission);
    if let Some(trace) = trace {
        exchange = exchange.with_trace(trace);
    }
    let rest = (&piece[..length]).chain(message);
    match pump(&mut transport, &mut exchange, rest).await {
        Ok(()) => Ok(exchange.into_report()),
        Err(error) => Err(Broken::new(error, exchange.into_report())),
    }
}

async fn pump<S, N>(
    transport: &mut S,
    exchange: &mut Heap<'_, N>,
    mut message: impl AsyncRead + Unpin,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    N: Negotiate<Side = Client>,
{
    let (mut piece, mut waiting) = (vec![0; PIECE], 0..0);
    // What the server said before the transport failed may be the reason, and is still read.
    let mut lost = None;
    loop {
        match exchange.process() {
            Ok(ExchangeStep::NeedInput) => {
                let n = match transport.read(exchange.session_mut().spare_mut()).await {
                    Ok(n) => n,
                    Err(error) => {
                        lost.get_or_insert(error);
                        0
                    }
                };
                exchange.session_mut().received(n)?;
            }
            Ok(ExchangeStep::Transmit) => {
                if let Err(error) = send(transport, exchange).await {
                    lost.get_or_insert(error);
                    exchange.transmit_failed();
                }
            }
            Ok(ExchangeStep::Body) => {
                if waiting.is_empty() {
                    waiting = 0..fill(&mut message, &mut piece).await?;
                }
                match waiting.is_empty() {
                    true => exchange.end_body()?,
                    false => waiting.start += exchange.body(&piece[waiting.clone()])?,
                }
            }
            Ok(ExchangeStep::Over) => return Ok(()),
            Err(error) => {
                let error = Error::of_lost(exchange.session(), error, lost);
                // It is the error that matters: the transport may be gone already.
                let _ = send(transport, exchange).await;
                return Err(error);
            }
        }
    }
}

async fn send<S, N>(transport: &mut S, exchange: &mut Heap<'_, N>) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
    N: Negotiate<Side = Client>,
{
    while !exchange.session().transmit().is_empty() {
        let n = transport.write(exchange.session().transmit()).await?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        exchange.session_mut().transmitted(n)?;
    }
    transport.flush().await
}

/// Fills `piece` as far as the message goes.
async fn fill(message: &mut (impl AsyncRead + Unpin), piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < piece.len() {
        match message.read(&mut piece[length..]).await? {
            0 => break,
            n => length += n,
        }
    }
    Ok(length)
}
