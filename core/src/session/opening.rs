//! What is said first inside TLS, as a session says it.

use alloc::vec;
use alloc::vec::Vec;

use super::MAX_MESSAGE;
use crate::error::{Error, Misuse};
use crate::inside::{Gathered, Inside, Opened};
use crate::tls::{Connection, Poll, Spill};
use crate::wire::{Decrypted, Out};

/// Octets of the first room for an answer. Where one does not fit, the room is doubled.
const ROOM: usize = 512;

/// An opening on its way.
#[derive(Debug)]
pub(super) struct Opening {
    gathered: Gathered<Vec<u8>>,
    /// Said and not yet encrypted.
    said: Vec<u8>,
    ready: bool,
}

/// How far it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opens {
    /// More records are needed, this many octets of input before there can be progress.
    NeedInput(usize),
    Progress,
    /// The channel is the application's.
    Ready,
}

impl Opening {
    pub(super) fn new<I: Inside + ?Sized>(inside: &I) -> Self {
        Self {
            gathered: Gathered::new(vec![0; inside.max_frame()]),
            said: Vec::new(),
            ready: false,
        }
    }

    /// Answers at most one frame, once all that was said before is on its way.
    pub(super) fn advance<I: Inside + ?Sized>(
        &mut self,
        inside: &mut I,
        tls: &mut Connection,
        input: &mut [u8],
        spill: &mut Spill,
        poll: Poll,
    ) -> Result<Opens, Error> {
        if !self.said.is_empty() {
            return Ok(Opens::Progress);
        }
        if self.ready {
            return Ok(Opens::Ready);
        }
        let mut opened = Ok(Opened::NeedInput);
        match poll {
            Poll::Data => {
                tls.lend(input, spill, |data| {
                    let result = self.answer(inside, data);
                    opened = result.map(|(_, opened)| opened);
                    result.map_or(0, |(used, _)| used)
                });
            }
            _ => opened = self.answer(inside, Decrypted::default()).map(|(_, opened)| opened),
        }
        Ok(match (opened?, poll) {
            (Opened::Ready, _) => {
                tls.put_back(self.gathered.application());
                self.ready = true;
                Opens::Ready
            }
            (Opened::NeedInput, Poll::NeedInput(need)) => Opens::NeedInput(need),
            (Opened::NeedInput, Poll::PeerClosed) => return Err(self.gathered.close_received()),
            _ => Opens::Progress,
        })
    }

    fn answer<I: Inside + ?Sized>(
        &mut self,
        inside: &mut I,
        data: Decrypted<'_>,
    ) -> Result<(usize, Opened), Error> {
        let mut room = ROOM;
        loop {
            let mut storage = vec![0; room];
            let mut out = Out::new(&mut storage);
            let result = self.gathered.process(inside, data, &mut out);
            self.said.extend_from_slice(out.octets());
            match result {
                Err(Error::OutputFull) if room < MAX_MESSAGE => room *= 2,
                // No room will ever do.
                Err(Error::OutputFull) => return Err(Misuse::Line.into()),
                result => return result,
            }
        }
    }

    /// Encrypts what was said, as far as there is room for it; how many octets that came to.
    pub(super) fn seal(
        &mut self,
        tls: &mut Connection,
        input: &mut [u8],
        room: &mut [u8],
        spill: &mut Spill,
    ) -> Result<usize, Error> {
        let mut written = 0;
        loop {
            let left = room.get_mut(written..).unwrap_or_default();
            let (taken, sealed) = tls.seal(input, &self.said, left, spill)?;
            if taken == 0 {
                return Ok(written);
            }
            self.said.drain(..taken);
            written += sealed;
        }
    }
}
