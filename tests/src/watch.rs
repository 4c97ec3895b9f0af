//! A machine under watch: which frames it answers, and what its framing looks at.

use std::cell::RefCell;

use starttls::Error;
use starttls::negotiate::{Negotiate, Next, Residue};
use starttls::protocol::Row;
use starttls::wire::{Frame, Out};

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) examined: usize,
}

/// A machine, and a record of what its driver shows it.
#[derive(Debug)]
pub(crate) struct Watch<M> {
    pub(crate) machine: M,
    pub(crate) again: (usize, usize),
    pub(crate) seen: RefCell<Seen>,
}

impl<M: Negotiate> Negotiate for Watch<M> {
    type Side = M::Side;

    fn row(&self) -> &'static Row {
        self.machine.row()
    }

    fn max_frame(&self) -> usize {
        self.machine.max_frame()
    }

    fn residue(&self) -> Residue {
        self.machine.residue()
    }

    fn requires_alpn(&self) -> bool {
        self.machine.requires_alpn()
    }

    fn allow_plaintext(&mut self) {
        self.machine.allow_plaintext();
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        self.machine.start(out)
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        assert!(scanned <= input.len() && input.len() <= self.max_frame());
        let found = self.machine.frame(input, scanned);
        let end = match found {
            Ok(Frame::Whole(length)) => {
                assert!((1..=input.len()).contains(&length), "a frame of {length}");
                length
            }
            _ => input.len(),
        };
        self.seen.borrow_mut().examined += end - scanned;
        // What was examined before may have become anything: it is not looked at again.
        let (front, back) = self.again;
        if front + back < scanned {
            let mut poisoned = input.to_vec();
            poisoned[front..scanned - back].fill(b'\n');
            assert_eq!(self.machine.frame(&poisoned, scanned), found, "examined twice");
        }
        found
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        let next = self.machine.process(frame, behind, out);
        if next != Err(Error::OutputFull) {
            self.seen.borrow_mut().frames.push(frame.to_vec());
        }
        next
    }
}
