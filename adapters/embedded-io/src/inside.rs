//! A mail through another TLS library: what is done, without the waiting.

use core::ops::Range;

use embedded_io::ErrorKind;
use starttls::negotiate::ForeignTls;
use starttls::submission::{Event, Submission};
use starttls::wire::Out;

use crate::Error;
use crate::step::{Job, Patience, Step};

/// One session with a server, over a stream that encrypts. It is [over](Step::Over), too, whenever
/// it [wants](Self::wants_message) a piece of the message.
pub(crate) struct Inside<'s, 'a, F, E> {
    tls: &'s ForeignTls,
    submission: &'s mut Submission<'a>,
    tell: F,
    receive: &'s mut [u8],
    filled: Range<usize>,
    send: &'s mut [u8],
    queued: Range<usize>,
    unflushed: bool,
    wants_message: bool,
    over: Option<Result<(), Error<E>>>,
}

impl<'s, 'a, F: FnMut(Event<'_>), E> Inside<'s, 'a, F, E> {
    pub(crate) fn new(
        tls: &'s ForeignTls,
        submission: &'s mut Submission<'a>,
        receive: &'s mut [u8],
        send: &'s mut [u8],
        tell: F,
    ) -> Self {
        Self {
            tls,
            submission,
            tell,
            receive,
            filled: 0..0,
            send,
            queued: 0..0,
            unflushed: false,
            wants_message: false,
            over: None,
        }
    }

    pub(crate) fn wants_message(&self) -> bool {
        self.wants_message
    }

    /// A piece of the message, empty at its end; how much of it was taken. Pieces are sent
    /// together, as many as there is room for.
    pub(crate) fn message(&mut self, piece: Result<&[u8], ErrorKind>) -> usize {
        let result = match piece {
            Ok([]) => {
                self.wants_message = false;
                self.submission.end_body().map(|()| 0).map_err(Error::from)
            }
            Ok(piece) => {
                let mut out = Out::new(self.send.get_mut(self.queued.end..).unwrap_or_default());
                let taken = self.submission.body(piece, &mut out);
                self.queued.end += out.len();
                self.wants_message = taken == Ok(piece.len());
                taken.map_err(Error::from)
            }
            Err(kind) => Err(Error::Message(kind)),
        };
        result.unwrap_or_else(|error| {
            self.end(Err(error));
            0
        })
    }

    pub(crate) fn finish(self) -> Result<(), Error<E>> {
        self.over.unwrap_or(Ok(()))
    }

    fn end(&mut self, result: Result<(), Error<E>>) {
        self.wants_message = false;
        self.over.get_or_insert(result);
    }
}

impl<F: FnMut(Event<'_>), E: embedded_io::Error> Job<E> for Inside<'_, '_, F, E> {
    fn step(&mut self) -> Step {
        loop {
            if self.over.is_some() || self.wants_message {
                return Step::Over;
            }
            if !self.queued.is_empty() {
                return Step::Send(Patience::Wait);
            }
            self.queued = 0..0;
            let mut out = Out::new(self.send);
            let input = self.receive.get(self.filled.clone()).unwrap_or_default();
            match self.submission.process(self.tls.decrypted(input), &mut out) {
                Ok((n, event)) => {
                    self.filled.start += n;
                    self.queued = 0..out.len();
                    match event {
                        Event::Send => {}
                        Event::NeedInput if self.unflushed => return Step::Flush(Patience::Wait),
                        Event::NeedInput => return Step::Receive,
                        Event::Body => self.wants_message = true,
                        Event::Done if self.unflushed => return Step::Flush(Patience::Wait),
                        Event::Done => self.end(Ok(())),
                        event => (self.tell)(event),
                    }
                }
                Err(error) => self.end(Err(error.into())),
            }
        }
    }

    fn spare_mut(&mut self) -> &mut [u8] {
        // Asked for when everything was processed.
        self.filled = 0..0;
        self.receive
    }

    fn received(&mut self, n: Result<usize, Error<E>>) {
        match n {
            Ok(0) => {
                let closed = self.submission.close_received();
                self.end(closed.map_err(Error::from));
            }
            Ok(n) => self.filled = 0..n,
            Err(error) if error.is_interruption() => {}
            Err(error) => self.end(Err(error)),
        }
    }

    fn transmit(&self) -> &[u8] {
        self.send.get(self.queued.clone()).unwrap_or_default()
    }

    fn transmitted(&mut self, n: Result<usize, Error<E>>) {
        match n {
            Ok(0) => self.end(Err(Error::WriteZero)),
            Ok(n) => {
                self.queued.start += n;
                self.unflushed = true;
            }
            Err(error) if error.is_interruption() => {}
            Err(error) => self.end(Err(error)),
        }
    }

    fn flushed(&mut self, result: Result<(), Error<E>>) {
        match result {
            Ok(()) => self.unflushed = false,
            Err(error) if error.is_interruption() => {}
            Err(error) => self.end(Err(error)),
        }
    }
}
