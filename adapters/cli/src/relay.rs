//! Octets both ways between a channel and this side's source and sink, and how that ends.
//!
//! ```text
//!   source ── up ──► channel        end of source: close_notify, the peer may go on
//!     sink ◄─ down ─ channel        close_notify: the sink ends, the source may go on
//! ```
//!
//! It is over when both ways are. Besides: `linger` after this side's end without an octet from
//! the peer; [`GRACE`] after the transport's end without an octet from the source; `idle` without
//! an octet at all; and at once when the channel breaks, behind the octets that came before.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::channel::Open;
use crate::exit::{self, Failure};
use crate::net;

/// How long a source is waited for when the peer has closed the channel and the transport. Long
/// enough for a pipe that has something to give; nobody should have to press a key to be rid of a
/// server that is gone.
const GRACE: Duration = Duration::from_millis(500);

/// How long the peer is to be silent before close_notify follows the last octet of the source. A
/// server that finds both at once may take it for a lost connection and drop its answer.
const SETTLE: Duration = Duration::from_millis(100);

const PIECE: usize = 1 << 16;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) linger: Duration,
    pub(crate) idle: Option<Duration>,
    /// Source and sink are a command: it may take its time, and need not listen to the end.
    pub(crate) command: bool,
}

/// What the two ways tell each other.
struct Shared {
    limits: Limits,
    half_close: bool,
    /// When an octet last moved, either way.
    moved: Cell<Instant>,
    /// When one last arrived from the peer.
    arrived: Cell<Instant>,
    /// An octet of the source is on its way to the transport.
    sending: Cell<bool>,
    peer_ended: Notify,
    give_up: Notify,
}

/// Carries octets until both sides have ended.
///
/// # Errors
/// A broken or truncated channel, source octets that could not be sent, an unusable source or
/// sink, or no traffic for too long.
pub(crate) async fn relay<R, W>(
    open: Open,
    source: &mut R,
    sink: W,
    limits: Limits,
) -> Result<(), Failure>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let now = Instant::now();
    let shared = Shared {
        limits,
        half_close: open.half_close,
        moved: Cell::new(now),
        arrived: Cell::new(now),
        sending: Cell::new(false),
        peer_ended: Notify::new(),
        give_up: Notify::new(),
    };
    let tcp = open.tcp;
    let (reader, writer) = tokio::io::split(open.io);
    let mut up = pin!(shared.up(source, writer));
    let mut down = pin!(shared.down(reader, sink));
    let mut gone = pin!(net::ended(&tcp));
    let mut sent: Option<(Instant, Result<(), Failure>)> = None;
    let (mut received, mut gone_at, mut gave_up) = (false, None, false);
    loop {
        let (deadline, reason) = shared.deadline(&sent, gone_at, gave_up);
        tokio::select! {
            biased;
            result = &mut down, if !received => {
                result?;
                received = true;
            }
            result = &mut up, if sent.is_none() => sent = Some((Instant::now(), result)),
            () = &mut gone, if received && gone_at.is_none() => gone_at = Some(Instant::now()),
            () = sleep_until(deadline) => match (reason, &sent) {
                // Something may have moved since.
                _ if shared.deadline(&sent, gone_at, gave_up).0 > Instant::now() => {}
                (Reason::Idle, _) => return Err(quiet(limits.idle)),
                (Reason::Stuck, None) if !gave_up => return Err(unsent("the peer is gone")),
                (Reason::Grace, None) => {
                    gave_up = true;
                    shared.give_up.notify_one();
                }
                (_, None) => return Ok(()),
                (_, Some((_, result))) => return result.clone(),
            },
        }
        match &sent {
            Some((_, result)) if received || (!shared.half_close && result.is_ok()) => {
                return result.clone();
            }
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Reason {
    Idle,
    Linger,
    Grace,
    Stuck,
    Never,
}

impl Shared {
    /// Octets of the source to the peer.
    async fn up<R, W>(&self, source: &mut R, mut channel: W) -> Result<(), Failure>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (mut piece, mut silent) = (vec![0; PIECE], true);
        loop {
            let n = tokio::select! {
                n = source.read(&mut piece) => n,
                () = self.give_up.notified() => Ok(0),
            };
            let n = n.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
            if n == 0 {
                break;
            }
            silent = false;
            self.moved.set(Instant::now());
            self.sending.set(true);
            let octets = piece.get(..n).unwrap_or_default();
            let result = match channel.write_all(octets).await {
                Ok(()) => channel.flush().await,
                error => error,
            };
            result.map_err(|error| unsent(&Failure::stream(&error).text))?;
            self.sending.set(false);
            self.moved.set(Instant::now());
        }
        match self.half_close {
            false => self.peer_end(self.limits.linger).await,
            true if silent => {}
            true => self.peer_end(SETTLE).await,
        }
        // All was sent. If this fails the transport is gone, and reading tells.
        let _ = channel.shutdown().await;
        Ok(())
    }

    /// Lets the peer end first, or say nothing for `quiet`. TLS 1.2 has no half-close: what the peer
    /// still has to say must come before.
    async fn peer_end(&self, quiet: Duration) {
        let ended = Instant::now();
        let mut end = pin!(self.peer_ended.notified());
        loop {
            let deadline = self.arrived.get().max(ended) + quiet;
            tokio::select! {
                () = &mut end => return,
                () = sleep_until(deadline) => {}
            }
            if self.arrived.get().max(ended) + quiet <= deadline {
                return;
            }
        }
    }

    /// Octets of the peer to the sink.
    async fn down<R, W>(&self, mut channel: R, sink: W) -> Result<(), Failure>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut piece = vec![0; PIECE];
        let mut sink = Some(sink);
        loop {
            let n = channel.read(&mut piece).await.map_err(|error| Failure::stream(&error))?;
            if n == 0 {
                // Dropping the sink is the end of a command's input.
                drop(sink);
                self.peer_ended.notify_one();
                return Ok(());
            }
            self.moved.set(Instant::now());
            self.arrived.set(Instant::now());
            let octets = piece.get(..n).unwrap_or_default();
            if let Some(writer) = &mut sink {
                let result = match writer.write_all(octets).await {
                    Ok(()) => writer.flush().await,
                    error => error,
                };
                match result {
                    Ok(()) => {}
                    // It does not want to hear more; the peer may not notice.
                    Err(_) if self.limits.command => sink = None,
                    Err(error) => return Err(Failure::network("standard output", &error)),
                }
            }
        }
    }

    /// The next moment at which something may be over, and what.
    fn deadline(
        &self,
        sent: &Option<(Instant, Result<(), Failure>)>,
        gone_at: Option<Instant>,
        gave_up: bool,
    ) -> (Instant, Reason) {
        let Limits { linger, idle, command } = self.limits;
        let now = Instant::now();
        let far = (now + Duration::from_secs(86_400), Reason::Never);
        let end = match (sent, gone_at) {
            (Some((at, _)), _) => (self.arrived.get().max(*at) + linger, Reason::Linger),
            (None, Some(_)) if self.sending.get() || gave_up => {
                (self.moved.get() + linger, Reason::Stuck)
            }
            (None, Some(at)) => {
                let grace = if command { linger } else { GRACE };
                (self.moved.get().max(at) + grace, Reason::Grace)
            }
            (None, None) => far,
        };
        match idle {
            Some(idle) if self.moved.get() + idle < end.0 => {
                (self.moved.get() + idle, Reason::Idle)
            }
            _ => end,
        }
    }
}

fn quiet(idle: Option<Duration>) -> Failure {
    let seconds = idle.unwrap_or_default().as_secs_f64();
    Failure::new(exit::NETWORK, format!("nothing moved for {seconds} s (--idle)"))
}

fn unsent(why: &str) -> Failure {
    Failure::new(exit::NETWORK, format!("not all of the input was sent: {why}"))
}
