//! The negotiation alone, for a TLS library of the caller's.

use core::ops::Range;

use starttls::negotiate::{ForeignTls, Negotiate, Negotiation, Status};
use starttls::wire::{Cipher, Clear, Out, RecvBuf};

use crate::Error;
use crate::resumed::{Ahead, Resumed};
use crate::step::{Job, Patience, Step};

/// What a negotiation hands over.
#[derive(Debug)]
pub struct Negotiated<'b, T, M> {
    /// The transport, for the TLS library. It is the protocol's own from here on: nothing may be
    /// read or written in plaintext.
    pub transport: Resumed<T, FirstRecords<'b>>,
    /// The right to vouch for what the TLS library decrypts, towards
    /// [`Submission`](starttls::submission::Submission) and [`Opening`](starttls::inside::Opening).
    pub tls: ForeignTls,
    /// The protocol's machine, to ask what it learnt.
    pub machine: M,
}

/// TLS records that the peer sent before the hand-over, where its protocol lets it.
#[derive(Debug)]
pub struct FirstRecords<'b> {
    recv: RecvBuf<'b, Cipher>,
    taken: usize,
}

impl Ahead for FirstRecords<'_> {
    fn octets(&self) -> &[u8] {
        self.recv.octets().get(self.taken..).unwrap_or_default()
    }

    fn take(&mut self, n: usize) {
        self.taken += n;
    }
}

/// Up to the hand-over.
pub(crate) struct Negotiating<'b, 'o, M, E> {
    negotiation: Negotiation<M>,
    recv: RecvBuf<'b, Clear>,
    output: &'o mut [u8],
    queued: Range<usize>,
    unflushed: bool,
    status: Result<Status, Error<E>>,
}

impl<'b, 'o, M: Negotiate, E> Negotiating<'b, 'o, M, E> {
    pub(crate) fn new(machine: M, receive: &'b mut [u8], send: &'o mut [u8]) -> Self {
        Self {
            negotiation: Negotiation::new(machine),
            recv: RecvBuf::new(receive),
            output: send,
            queued: 0..0,
            unflushed: false,
            status: Ok(Status::Progress),
        }
    }

    pub(crate) fn finish<T>(self, transport: T) -> Result<Negotiated<'b, T, M>, Error<E>> {
        let _: Status = self.status?;
        let (upgrade, machine) = self.negotiation.upgrade(self.recv)?;
        let (recv, tls) = upgrade.into_foreign_tls();
        let transport = Resumed::new(transport, FirstRecords { recv, taken: 0 });
        Ok(Negotiated { transport, tls, machine })
    }

    /// The transport failed. A goodbye behind an error is not worth another.
    fn lose(&mut self, error: Error<E>) {
        self.queued = 0..0;
        self.unflushed = false;
        if self.status.is_ok() {
            self.status = Err(error);
        }
    }
}

impl<M: Negotiate, E: embedded_io::Error> Job<E> for Negotiating<'_, '_, M, E> {
    fn step(&mut self) -> Step {
        loop {
            if !self.queued.is_empty() {
                return Step::Send(Patience::Wait);
            }
            match self.status {
                Ok(Status::Progress) => {}
                _ if self.unflushed => return Step::Flush(Patience::Wait),
                Ok(Status::NeedInput) => return Step::Receive,
                Ok(Status::Ready) | Err(_) => return Step::Over,
            }
            let mut out = Out::new(self.output);
            self.status = self.negotiation.process(&mut self.recv, &mut out).map_err(Error::from);
            self.queued = 0..out.len();
        }
    }

    fn spare_mut(&mut self) -> &mut [u8] {
        self.recv.spare_mut()
    }

    fn received(&mut self, n: Result<usize, Error<E>>) {
        self.status = match n {
            Ok(0) => Err(self.negotiation.close_received().into()),
            Ok(n) => self.recv.received(n).map(|()| Status::Progress).map_err(Error::from),
            Err(error) if error.is_interruption() => return,
            Err(error) => Err(error),
        }
    }

    fn transmit(&self) -> &[u8] {
        self.output.get(self.queued.clone()).unwrap_or_default()
    }

    fn transmitted(&mut self, n: Result<usize, Error<E>>) {
        match n {
            Ok(0) => self.lose(Error::WriteZero),
            Ok(n) => {
                self.queued.start += n;
                self.unflushed = true;
            }
            Err(error) if error.is_interruption() => {}
            Err(error) => self.lose(error),
        }
    }

    fn flushed(&mut self, result: Result<(), Error<E>>) {
        match result {
            Ok(()) => self.unflushed = false,
            Err(error) if error.is_interruption() => {}
            Err(error) => self.lose(error),
        }
    }
}
