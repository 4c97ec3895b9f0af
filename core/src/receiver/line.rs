//! One line of the client's, gathered from input of any cut.

use core::fmt;
use core::ops::Range;

use heapless::Vec;
use zeroize::Zeroize;

use crate::error::{Error, Misbehaviour};
use crate::wire::{Frame, MAX_LINE, line};

/// A line, perhaps with a password in it: wiped when it is done with, and never shown.
#[derive(Default)]
pub(super) struct Line {
    octets: Vec<u8, MAX_LINE>,
    whole: bool,
}

impl Line {
    /// Takes octets up to the end of the line; how many, and whether the line is whole. A whole
    /// line stays until the next call.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<(usize, bool), Error> {
        if self.whole {
            self.wipe();
        }
        let scanned = self.octets.len();
        let room = MAX_LINE - scanned;
        let fits = input.get(..room).unwrap_or(input);
        // No more than this line is copied, so that a pipeline is not copied again and again.
        let n = fits.iter().position(|&octet| octet == b'\n').map_or(fits.len(), |at| at + 1);
        let more = fits.get(..n).unwrap_or_default();
        self.octets.extend_from_slice(more).map_err(|_| Misbehaviour::FrameTooLong)?;
        match line(&self.octets, scanned)? {
            Frame::Whole(_) => self.whole = true,
            Frame::Partial if self.octets.is_full() => {
                return Err(Misbehaviour::FrameTooLong.into());
            }
            Frame::Partial => {}
        }
        Ok((n, self.whole))
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The line without its CR LF.
    pub(super) fn text(&self) -> &[u8] {
        self.octets.strip_suffix(b"\r\n").unwrap_or(&self.octets)
    }

    /// The same, of which only `at`, to be changed.
    pub(super) fn text_mut(&mut self, at: Range<usize>) -> &mut [u8] {
        self.octets.get_mut(at).unwrap_or_default()
    }

    pub(super) fn is_ascii(&self, at: &Range<usize>) -> bool {
        self.octets.get(at.clone()).is_some_and(<[u8]>::is_ascii)
    }

    fn wipe(&mut self) {
        self.octets.as_mut_slice().zeroize();
        self.octets.clear();
        self.whole = false;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} octets)", self.octets.len())
    }
}
