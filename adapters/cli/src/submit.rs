//! One mail over one connection: octets between an exchange, a transport and a message.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use starttls::Error;
use starttls::io::Error as Failed;
use starttls::protocol::ClientMachine;
use starttls::session::{RECEIVE_BUFFER, Session};
use starttls::submission::{Exchange, ExchangeStep, Outcome, Report, Submission};
use starttls::tls::ClientTls;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::channel::{self, Facts};
use crate::exit::{self, Failure};
use crate::net::{self, Transport};
use crate::trace::Traced;

/// One record and what TLS puts around it.
const SEND_BUFFER: usize = (16 << 10) + 64;

/// The longest a reply is waited for once the server lets us in: what RFC 5321 §4.5.3.2.6 allows it
/// for the end of the message.
const PATIENCE: Duration = Duration::from_secs(600);

/// The longest wait for the reply to a goodbye, when the fate of the mail is known, and for what
/// the server said before the transport failed.
const GOODBYE: Duration = Duration::from_secs(5);

const PIECE: usize = 1 << 16;

/// A session of this program, and one with a submission.
type Machine = Session<Traced<ClientMachine<'static>>, Vec<u8>, Vec<u8>>;
pub(crate) type Mailing<'a> = Exchange<'a, Traced<ClientMachine<'static>>, Vec<u8>, Vec<u8>>;

/// What became of it.
pub(crate) struct Sent {
    pub(crate) report: Report,
    pub(crate) facts: Option<Facts>,
    pub(crate) result: Result<(), Failure>,
    /// Waits for the peer: up to the channel, and in all.
    pub(crate) waits: (usize, usize),
}

/// A mail that is ready to go.
pub(crate) struct Outgoing<'a, R> {
    pub(crate) exchange: Mailing<'a>,
    pub(crate) message: R,
    /// For the whole way to a working channel.
    pub(crate) timeout: Duration,
    pub(crate) started: Instant,
    /// The transport's failure. What the server said before it may be the reason, and is read.
    pub(crate) lost: Option<Failure>,
    /// Since when a reply is waited for. Octets of it do not count: a server that drips them
    /// would be waited for without end.
    pub(crate) waiting: Option<Instant>,
}

/// A session and a submission, joined.
pub(crate) fn exchange<'a>(
    machine: Traced<ClientMachine<'static>>,
    tls: &ClientTls,
    name: &str,
    submission: Submission<'a>,
) -> Result<Mailing<'a>, Failure> {
    let (input, output) = (vec![0; RECEIVE_BUFFER], vec![0; SEND_BUFFER]);
    let session = Machine::client(machine, tls, name, input, output).map_err(Failure::machine)?;
    Ok(Exchange::new(session, submission))
}

impl<R: AsyncRead + Unpin> Outgoing<'_, R> {
    /// Sends the mail; `up` is called when there is a channel.
    pub(crate) async fn send(
        mut self,
        mut transport: Transport,
        mut up: impl FnMut(&Facts),
    ) -> Sent {
        let mut facts = None;
        let mut waits = 0;
        let mut result = loop {
            if facts.is_none() && self.exchange.session().is_established() {
                let established = channel::facts(self.exchange.session());
                up(&established);
                waits = transport.waits();
                facts = Some(established);
            }
            match self.step(&mut transport).await {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(failure) => break Err(failure),
            }
        };
        if result.is_err() {
            // In the middle of a message the end has to look like a truncation.
            if settled(self.exchange.report()) {
                self.exchange.session_mut().close();
            }
            // The alert, as far as it goes.
            let rest = self.exchange.session().transmit().to_vec();
            let _ = timeout_at(Instant::now() + net::PARTING, transport.write_all(&rest)).await;
        }
        net::part(transport.tcp()).await;
        let total = transport.waits();
        let report = self.exchange.into_report();
        // A failed goodbye takes nothing back.
        if settled(&report) {
            result = Ok(());
        }
        Sent { report, facts, result, waits: (waits, total) }
    }

    /// Whether it is over.
    async fn step(&mut self, transport: &mut Transport) -> Result<bool, Failure> {
        let step = self.exchange.process();
        let waiting = (step == Ok(ExchangeStep::NeedInput)).then(Instant::now);
        self.waiting = waiting.map(|now| self.waiting.unwrap_or(now));
        let since = self.waiting.unwrap_or_else(Instant::now);
        let (deadline, late) = match self.exchange.is_ready() {
            _ if self.lost.is_some() => (since + GOODBYE, too_late()),
            _ if settled(self.exchange.report()) => (since + GOODBYE, too_late()),
            false => (self.started + self.timeout, Failure::late(self.timeout)),
            true => (since + PATIENCE, too_late()),
        };
        match step {
            Ok(ExchangeStep::Over) => return Ok(true),
            Ok(ExchangeStep::Transmit) => {
                let session = self.exchange.session_mut();
                let writing = transport.write(session.transmit());
                let written = self::within(deadline, late, writing).await;
                self.transmitted(written)?;
            }
            Ok(ExchangeStep::NeedInput) => {
                let session = self.exchange.session_mut();
                let mut buffer = ReadBuf::new(session.spare_mut());
                let reading = poll_fn(|cx| Pin::new(&mut *transport).poll_read(cx, &mut buffer));
                if let Err(failure) = self::within(deadline, late, reading).await {
                    self.lost.get_or_insert(failure);
                }
                let n = buffer.filled().len();
                session.received(n).map_err(misuse)?;
            }
            Ok(ExchangeStep::Body) => self.body(transport).await?,
            Err(error) => {
                let ended =
                    matches!(error, Error::Closed | Error::ClosedInHandshake | Error::Truncated);
                let told = || channel::failure(Failed::of(self.exchange.session(), error));
                return Err(self.lost.take().filter(|_| ended).unwrap_or_else(told));
            }
        }
        Ok(false)
    }

    /// What the transport took, or why it takes nothing any more.
    fn transmitted(&mut self, written: Result<usize, Failure>) -> Result<(), Failure> {
        let failure = match written {
            Ok(0) => failed(io::ErrorKind::WriteZero.into()),
            Ok(n) => return self.exchange.session_mut().transmitted(n).map_err(misuse),
            Err(failure) => failure,
        };
        self.lost.get_or_insert(failure);
        self.exchange.transmit_failed();
        Ok(())
    }

    /// The message, or as much of it as goes before a reply or the transport is waited for.
    async fn body(&mut self, transport: &mut Transport) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE];
        let n = self.message.read(&mut piece).await;
        let n = n.map_err(|error| Failure::usage(format!("the message: {error}")))?;
        let mut rest = piece.get(..n).unwrap_or_default();
        if n == 0 {
            return self.exchange.end_body().map_err(misuse);
        }
        while !rest.is_empty() {
            let taken = self.exchange.body(rest).map_err(misuse)?;
            rest = rest.get(taken..).unwrap_or_default();
            while self.lost.is_none() && !self.exchange.session().transmit().is_empty() {
                let deadline = Instant::now() + PATIENCE;
                let writing = transport.write(self.exchange.session().transmit());
                let written = self::within(deadline, too_late(), writing).await;
                self.transmitted(written)?;
            }
            if self.lost.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether all is known that there is to know.
fn settled(report: &Report) -> bool {
    let known = |to: &Outcome| matches!(to, Outcome::Delivered(_) | Outcome::Refused(_));
    report.hello_refused.is_some()
        || report.login_refused.is_some()
        || report.sender_refused.is_some()
        || report.lacks.is_some()
        || report.recipients.iter().all(known)
}

async fn within<T>(
    deadline: Instant,
    late: Failure,
    way: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, way).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(late),
    }
}

fn too_late() -> Failure {
    Failure::new(exit::NETWORK, "the time ran out")
}

fn failed(error: io::Error) -> Failure {
    Failure::stream(&error)
}

fn misuse(error: starttls::Error) -> Failure {
    Failure::session(error, None, None)
}
