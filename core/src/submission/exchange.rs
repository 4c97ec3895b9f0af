//! A session and a submission as one machine: from the first octet of the connection to the fate
//! of a mail, with the verbs of a [`Session`].

use alloc::boxed::Box;
use alloc::vec;

use zeroize::Zeroize;

use super::report::{Outcome, Report};
use super::{Event, Submission};
use crate::error::Error;
use crate::negotiate::{Client, Negotiate};
use crate::session::{self, Session};
use crate::storage::Storage;
use crate::tls::Security;
use crate::wire::{Decrypted, Out, Stretch};

/// The most octets of plaintext staged for TLS at a time; no more than the send buffer has.
const STAGE: usize = 4096;

/// What an [`Exchange`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Step {
    /// Receive more from the transport. Nothing is left to send: this is a wait for the peer.
    NeedInput,
    /// Send what [`Session::transmit`] holds.
    Transmit,
    /// Give the message with [`Exchange::body`], then [`Exchange::end_body`].
    Body,
    /// Over: close the transport and see [`Exchange::into_report`].
    Over,
}

/// What was said inside TLS, for a trace.
#[derive(Clone, Copy, Debug)]
pub enum Spoken<'a> {
    /// Sent, at any octet of a line; never a credential.
    Sent(&'a [u8]),
    /// Sent: this many octets of the login behind the name of its mechanism.
    Secret(usize),
    /// Sent: this many octets of the message.
    Body(usize),
    /// Received.
    Received(&'a [u8]),
}

/// What the submission wants after one event.
enum Turn {
    More,
    Body,
    Wait,
}

/// Plaintext on its way into TLS, wiped on drop.
struct Stage(Box<[u8]>);

impl Drop for Stage {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Receives a trace.
pub type Trace<'a> = Box<dyn FnMut(Spoken<'_>) + Send + 'a>;

/// One mail over one connection.
///
/// Credentials are sent only to a server that was verified ([`Security::Authenticated`]).
pub struct Exchange<'a, N, I, O> {
    session: Session<N, I, O>,
    submission: Box<Submission<'a>>,
    report: Report,
    stage: Stage,
    staged: Stretch,
    /// Credentials passed through the stage since it was wiped.
    secret: bool,
    done: bool,
    /// The transport takes nothing any more; whether the mail was in doubt when that showed.
    mute: Option<bool>,
    failed: Option<Error>,
    trace: Option<Trace<'a>>,
}

impl<'a, N: Negotiate<Side = Client>, I: Storage, O: Storage> Exchange<'a, N, I, O> {
    /// Joins a session and a submission of a mail that [`Submission::mail`] was told to end with
    /// QUIT; neither has begun. The submission is kept in a box, for its size: on a small stack,
    /// give it in one.
    pub fn new(session: Session<N, I, O>, submission: impl Into<Box<Submission<'a>>>) -> Self {
        let submission = submission.into();
        Self {
            session,
            report: Report::unsent(&submission),
            submission,
            stage: Stage(Box::default()),
            staged: Stretch::default(),
            secret: false,
            done: false,
            mute: None,
            failed: None,
            trace: None,
        }
    }

    /// Tells `trace` what is said inside TLS.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace<'a>) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The session: TLS parameters, and the details of errors.
    pub fn session(&self) -> &Session<N, I, O> {
        &self.session
    }

    /// The session, to move octets between it and the transport. Nothing else is to be done with
    /// it before the exchange is over.
    pub fn session_mut(&mut self) -> &mut Session<N, I, O> {
        &mut self.session
    }

    /// Whether the server has answered EHLO inside TLS, and let the user in if one logs in: the
    /// waits from here on are those of a mail.
    pub fn is_ready(&self) -> bool {
        self.session.is_established() && self.submission.is_ready()
    }

    /// What is known of the mail so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Goes on as far as the octets received allow. Send what [`Session::transmit`] holds
    /// on [`Step::Transmit`] and on an error; before that, more may join it in the same flight.
    ///
    /// # Errors
    /// Those of [`Session::process`] and [`Submission::process`], and
    /// [`Error::Unauthenticated`] before credentials would go to a peer that was not verified.
    /// All are final; [`into_report`](Self::into_report) then says what is known.
    pub fn process(&mut self) -> Result<Step, Error> {
        self.check_sound()?;
        let result = self.advance();
        self.failed = result.err();
        result
    }

    fn check_sound(&self) -> Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    fn advance(&mut self) -> Result<Step, Error> {
        loop {
            if self.mute.is_some() {
                self.drop_output()?;
            }
            if !self.flush_stage()? {
                return Ok(Step::Transmit);
            }
            if self.done {
                self.session.close();
                return Ok(self.idle(Step::Over));
            }
            match self.session.process() {
                Ok(session::Event::Transmit) if self.mute.is_some() => {}
                Ok(session::Event::Transmit) => return Ok(Step::Transmit),
                Ok(session::Event::Established) => self.check_peer()?,
                Ok(session::Event::Data) => {
                    self.converse()?;
                }
                Ok(session::Event::NeedInput) if !self.session.is_established() => {
                    return Ok(self.idle(Step::NeedInput));
                }
                Ok(session::Event::NeedInput) => match self.converse()? {
                    Turn::More => {}
                    Turn::Body => return Ok(Step::Body),
                    Turn::Wait => return Ok(self.idle(Step::NeedInput)),
                },
                Ok(_) => self.end_of_transport(Error::Closed)?,
                Err(error @ Error::Truncated) => self.end_of_transport(error)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The transport takes nothing any more. What is to be sent is dropped, and
    /// [`process`](Self::process) goes on with what the server said before that, such as a refusal
    /// in the middle of the message: it wants neither [`Step::Transmit`] nor [`Step::Body`] again.
    pub fn transmit_failed(&mut self) {
        self.mute.get_or_insert(self.submission.in_doubt());
    }

    fn drop_output(&mut self) -> Result<(), Error> {
        self.staged = Stretch::default();
        while !self.session.transmit().is_empty() {
            self.session.transmitted(self.session.transmit().len())?;
        }
        Ok(())
    }

    /// Sends before waiting.
    fn idle(&self, step: Step) -> Step {
        let silent = self.mute.is_some() || self.session.transmit().is_empty();
        if silent { step } else { Step::Transmit }
    }

    /// The server ended: after QUIT that is how it goes.
    fn end_of_transport(&mut self, error: Error) -> Result<(), Error> {
        self.submission.close_received().map_err(|_| error)?;
        self.done = true;
        Ok(())
    }

    fn check_peer(&self) -> Result<(), Error> {
        match self.session.security() {
            Some(Security::Unauthenticated(why)) if self.submission.logs_in() => {
                Err(Error::Unauthenticated(why))
            }
            _ => Ok(()),
        }
    }

    /// Everything that is staged through TLS, or as much as there is room for.
    fn flush_stage(&mut self) -> Result<bool, Error> {
        while !self.staged.is_empty() {
            match self.session.write(self.staged.of(&self.stage.0))? {
                0 => return Ok(false),
                n => self.staged.consume(n)?,
            }
        }
        if core::mem::take(&mut self.secret) {
            self.stage.0.zeroize();
        }
        Ok(true)
    }

    /// Gives the submission what was decrypted and stages what it says, one event at a time.
    fn converse(&mut self) -> Result<Turn, Error> {
        if self.stage.0.is_empty() {
            // Not before: a handshake needs the memory too, and is over now.
            self.stage = Stage(vec![0; STAGE.min(self.session.send_buffer())].into());
        }
        let room = self.staged.spare(&mut self.stage.0);
        // Without room nothing is said, and so nothing said that would not arrive.
        let mute = self.mute.is_some();
        let mut out = Out::new(if mute { &mut [] } else { room });
        let (submission, report) = (&mut self.submission, &mut self.report);
        let (trace, done) = (&mut self.trace, &mut self.done);
        let mut turn = Ok(Turn::More);
        let mut talk = |data: Decrypted<'_>| match submission.process(data, &mut out) {
            Ok((consumed, event)) => {
                match event {
                    Event::Send | Event::Body if mute => turn = Ok(Turn::Wait),
                    Event::NeedInput | Event::Ready => turn = Ok(Turn::Wait),
                    Event::Body => turn = Ok(Turn::Body),
                    Event::Done => *done = true,
                    _ => report.record(event),
                }
                if let Some(trace) = trace
                    && let Some(heard @ [_, ..]) = data.octets().get(..consumed)
                {
                    trace(Spoken::Received(heard));
                }
                consumed
            }
            Err(error) => {
                turn = Err(error);
                data.len()
            }
        };
        let mut heard = false;
        self.session.lend(|data| {
            heard = true;
            talk(data)
        });
        if !heard {
            talk(Decrypted::new(&[]));
        }
        let turn = turn?;
        let said = out.len();
        // A login waits for its reply before anything else is said.
        let secret = self.submission.speaks_secrets();
        self.secret |= secret;
        if let Some(trace) = &mut self.trace {
            say(trace, out.octets(), secret);
        }
        self.staged.grow(said, self.stage.0.len())?;
        Ok(turn)
    }

    /// Takes some of `piece`, the next part of the message, on [`Step::Body`], and says how many
    /// octets; if not all, call [`process`](Self::process).
    ///
    /// # Errors
    /// As [`Submission::body`].
    pub fn body(&mut self, piece: &[u8]) -> Result<usize, Error> {
        self.check_sound()?;
        if !self.flush_stage()? {
            return Ok(0);
        }
        let mut out = Out::new(self.staged.spare(&mut self.stage.0));
        let taken = self.submission.body(piece, &mut out)?;
        let said = out.len();
        if let Some(trace) = &mut self.trace {
            trace(Spoken::Body(said));
        }
        self.staged.grow(said, self.stage.0.len())?;
        Ok(taken)
    }

    /// The message is complete.
    ///
    /// # Errors
    /// As [`Submission::end_body`].
    pub fn end_body(&mut self) -> Result<(), Error> {
        self.check_sound()?;
        self.submission.end_body()
    }

    /// What became of the mail, as far as is known; ask when it is over, or after an error of the
    /// exchange or of the transport.
    pub fn into_report(mut self) -> Report {
        if self.submission.in_doubt() && self.mute != Some(false) {
            self.report.in_doubt();
        }
        self.report.end(&Outcome::NotSent);
        self.report
    }
}

/// A login is shown up to the name of its mechanism.
fn say(trace: &mut Trace<'_>, said: &[u8], secret: bool) {
    let shown = match said.splitn(3, |&octet| octet == b' ').nth(2) {
        _ if !secret => said.len(),
        Some(response) if said.starts_with(b"AUTH ") => said.len() - response.len(),
        None if said.starts_with(b"AUTH ") => said.len(),
        _ => 0,
    };
    let (open, hidden) = said.split_at(shown);
    if !open.is_empty() {
        trace(Spoken::Sent(open));
    }
    if !hidden.is_empty() {
        trace(Spoken::Secret(hidden.len()));
    }
}

impl<N, I, O> core::fmt::Debug for Exchange<'_, N, I, O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Exchange")
            .field("session", &self.session)
            .field("submission", &self.submission)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}
