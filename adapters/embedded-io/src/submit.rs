//! A mail, from the first octet of the connection to its fate: what is done, without the waiting.

use alloc::boxed::Box;

use embedded_io::ErrorKind;
use starttls::negotiate::{Client, Negotiate};
use starttls::session::Session;
use starttls::storage::Storage;
use starttls::submission::{Exchange, ExchangeStep, Report, Submission};

use crate::step::{Job, Patience, Step};
use crate::{Broken, Error};

/// One mail. It is [over](Step::Over), too, whenever it [wants](Self::wants_message) a piece of the
/// message.
pub(crate) struct Submitting<'a, N, I, O, E> {
    exchange: Exchange<'a, N, I, O>,
    unflushed: bool,
    wants_message: bool,
    /// The transport takes nothing any more.
    mute: bool,
    /// What the server said before the transport failed may be the reason, and is still read.
    lost: Option<Error<E>>,
    over: Option<Result<(), Error<E>>>,
}

impl<'a, N, I, O, E> Submitting<'a, N, I, O, E>
where
    N: Negotiate<Side = Client>,
    I: Storage,
    O: Storage,
{
    pub(crate) fn new(session: Session<N, I, O>, submission: Box<Submission<'a>>) -> Self {
        Self {
            exchange: Exchange::new(session, submission),
            unflushed: false,
            wants_message: false,
            mute: false,
            lost: None,
            over: None,
        }
    }

    pub(crate) fn wants_message(&self) -> bool {
        self.wants_message
    }

    /// A piece of the message, empty at its end; how much of it was taken.
    pub(crate) fn message(&mut self, piece: Result<&[u8], ErrorKind>) -> usize {
        self.wants_message = false;
        let taken = match piece {
            Ok([]) => self.exchange.end_body().map(|()| 0).map_err(Error::from),
            Ok(piece) => self.exchange.body(piece).map_err(Error::from),
            Err(kind) => Err(Error::Message(kind)),
        };
        taken.unwrap_or_else(|error| {
            self.over = Some(Err(error));
            0
        })
    }

    pub(crate) fn finish(self) -> Result<Report, Broken<E>> {
        let report = self.exchange.into_report();
        match self.over {
            Some(Err(error)) => Err(Broken::new(error, report)),
            _ => Ok(report),
        }
    }
}

impl<N, I, O, E> Job<E> for Submitting<'_, N, I, O, E>
where
    N: Negotiate<Side = Client>,
    I: Storage,
    O: Storage,
    E: embedded_io::Error,
{
    fn step(&mut self) -> Step {
        if self.over.is_none() {
            match self.exchange.process() {
                Ok(ExchangeStep::NeedInput) if !self.unflushed => return Step::Receive,
                Ok(ExchangeStep::NeedInput) => return Step::Flush(Patience::Wait),
                Ok(ExchangeStep::Transmit) => return Step::Send(Patience::Wait),
                Ok(ExchangeStep::Body) => {
                    self.wants_message = true;
                    return Step::Over;
                }
                Ok(ExchangeStep::Over) => self.over = Some(Ok(())),
                Err(error) => {
                    let lost = self.lost.take();
                    self.over = Some(Err(Error::of_lost(self.exchange.session(), error, lost)));
                }
            }
        }
        match () {
            () if self.mute => Step::Over,
            () if !self.transmit().is_empty() => Step::Send(Patience::Wait),
            () if self.unflushed => Step::Flush(Patience::Wait),
            () => Step::Over,
        }
    }

    fn spare_mut(&mut self) -> &mut [u8] {
        self.exchange.session_mut().spare_mut()
    }

    fn received(&mut self, n: Result<usize, Error<E>>) {
        let n = match n {
            Err(error) if error.is_interruption() => return,
            Err(error) => {
                self.lost.get_or_insert(error);
                0
            }
            Ok(n) => n,
        };
        if let Err(error) = self.exchange.session_mut().received(n) {
            self.over = Some(Err(error.into()));
        }
    }

    fn transmit(&self) -> &[u8] {
        self.exchange.session().transmit()
    }

    fn transmitted(&mut self, n: Result<usize, Error<E>>) {
        match n {
            Ok(0) => self.lose(Error::WriteZero),
            Ok(n) => {
                self.unflushed = true;
                if let Err(error) = self.exchange.session_mut().transmitted(n) {
                    self.over = Some(Err(error.into()));
                }
            }
            Err(error) => self.lose(error),
        }
    }

    fn flushed(&mut self, result: Result<(), Error<E>>) {
        match result {
            Ok(()) => self.unflushed = false,
            Err(error) => self.lose(error),
        }
    }
}

impl<N, I, O, E> Submitting<'_, N, I, O, E>
where
    N: Negotiate<Side = Client>,
    I: Storage,
    O: Storage,
    E: embedded_io::Error,
{
    /// The deadline passed: the transport is of no use any more. What the server said before may
    /// settle the matter all the same.
    pub(crate) fn time_out(&mut self) {
        self.lose(Error::TimedOut);
        loop {
            match self.step() {
                Step::Receive => self.received(Err(Error::TimedOut)),
                Step::Send(_) | Step::Flush(_) => self.lose(Error::TimedOut),
                Step::Over => break,
            }
        }
        self.over.get_or_insert(Err(Error::TimedOut));
    }

    fn lose(&mut self, error: Error<E>) {
        if !error.is_interruption() {
            (self.unflushed, self.mute) = (false, true);
            self.lost.get_or_insert(error);
            self.exchange.transmit_failed();
        }
    }
}
