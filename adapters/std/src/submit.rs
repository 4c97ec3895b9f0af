//! A mail, from the first octet of the connection to its fate.

use std::io::{self, Read, Write};
use std::time::Instant;

use starttls::negotiate::{Client, Negotiate};
use starttls::submission::{Exchange, ExchangeStep as Step, Report, Submission};
use starttls::tls::ClientTls;

use crate::deadline::{Forever, Limit, Timeouts, Until};
use crate::stream::{receive, send};
use crate::{Broken, Error, HeapSession, client};

/// Octets of the message read at a time. A message that fits is measured first, so that its size
/// and its octets above 127 are declared.
const PIECE: usize = 64 << 10;

/// Negotiates TLS and delivers one mail: `submission` was told whom to log in, if anyone, and what
/// to send ([`Submission::mail`], with QUIT behind it); `message` is read as the server takes it,
/// and never held as a whole.
///
/// A server's refusals are no error: they are in the [`Report`].
///
/// # Errors
/// [`Broken`] if the connection, the session or the reading of `message` failed.
pub fn submit<S: Read + Write, N: Negotiate<Side = Client>>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    submission: Submission<'_>,
    message: impl Read,
) -> Result<Report, Broken> {
    run(transport, client(machine, tls, name), submission, message, &Forever)
}

/// [`submit`], done before `deadline` or failed with [`io::ErrorKind::TimedOut`].
///
/// # Errors
/// As [`submit`].
pub fn submit_by<S: Read + Write + Timeouts, N: Negotiate<Side = Client>>(
    transport: S,
    machine: N,
    tls: &ClientTls,
    name: &str,
    submission: Submission<'_>,
    message: impl Read,
    deadline: Instant,
) -> Result<Report, Broken> {
    run(transport, client(machine, tls, name), submission, message, &Until(deadline))
}

fn run<S: Read + Write, N: Negotiate<Side = Client>>(
    mut transport: S,
    session: Result<HeapSession<N>, Error>,
    mut submission: Submission<'_>,
    mut message: impl Read,
    limit: &dyn Limit<S>,
) -> Result<Report, Broken> {
    let mut piece = vec![0; PIECE];
    let begun = session.and_then(|session| Ok((session, fill(&mut message, &mut piece)?)));
    let (session, length) = match begun {
        Ok(begun) => begun,
        Err(error) => return Err(Broken::new(error, Report::unsent(&submission))),
    };
    if length < PIECE {
        submission.declare(&piece[..length]);
    }
    let mut exchange = Exchange::new(session, submission);
    let rest = io::Cursor::new(&piece[..length]).chain(message);
    match pump(&mut transport, &mut exchange, rest, limit) {
        Ok(()) => Ok(exchange.into_report()),
        Err(error) => {
            // It is the error that matters: the transport may be gone already.
            let _ = send(exchange.session_mut(), &mut transport, limit);
            Err(Broken::new(error, exchange.into_report()))
        }
    }
}

fn pump<S: Read + Write, N: Negotiate<Side = Client>>(
    transport: &mut S,
    exchange: &mut Exchange<'_, N, Box<[u8]>, Box<[u8]>>,
    mut message: impl Read,
    limit: &dyn Limit<S>,
) -> Result<(), Error> {
    let (mut piece, mut waiting) = (vec![0; PIECE], 0..0);
    // What the server said before the transport failed may be the reason, and is still read.
    let mut lost = None;
    loop {
        let step = match exchange.process() {
            Ok(step) => step,
            Err(error) => return Err(Error::of_lost(exchange.session(), error, lost)),
        };
        match step {
            Step::NeedInput => {
                if let Err(error) = receive(exchange.session_mut(), transport, limit) {
                    lost.get_or_insert(error);
                    exchange.session_mut().received(0)?;
                }
            }
            Step::Transmit => {
                if let Err(error) = send(exchange.session_mut(), transport, limit) {
                    lost.get_or_insert(error);
                    exchange.transmit_failed();
                }
            }
            Step::Body => {
                if waiting.is_empty() {
                    waiting = 0..fill(&mut message, &mut piece)?;
                }
                match waiting.is_empty() {
                    true => exchange.end_body()?,
                    false => waiting.start += exchange.body(&piece[waiting.clone()])?,
                }
            }
            Step::Over => return Ok(()),
        }
    }
}

/// Fills `piece` as far as the message goes.
fn fill(message: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < piece.len() {
        match message.read(&mut piece[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
