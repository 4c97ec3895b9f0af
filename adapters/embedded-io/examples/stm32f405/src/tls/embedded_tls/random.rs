//! Randomness that is there before it is asked for: whoever asks cannot be told that there is none.

use embedded_tls::CryptoRng;
use p256::elliptic_curve::rand_core::{Error, RngCore, impls};

use crate::entropy::Source;
use crate::failure::Failure;

/// The random of a ClientHello (RFC 8446 §4.1.2), and the key of its share.
const NEED: usize = 32 + 32;

pub(super) struct Random {
    drawn: [u8; NEED],
    left: usize,
}

impl Random {
    pub(super) fn draw() -> Result<Self, Failure> {
        let mut drawn = [0; NEED];
        Source::fill(&mut drawn).map_err(|_| Failure::Randomness)?;
        Ok(Self { drawn, left: NEED })
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        match self.left.checked_sub(buffer.len()) {
            Some(left) => {
                let octets = &mut self.drawn[left..self.left];
                buffer.copy_from_slice(octets);
                octets.fill(0);
                self.left = left;
            }
            // One key of 2^32 is none, and is drawn again. No key is worse than the program's end.
            None => Source::fill(buffer).expect("randomness"),
        }
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

impl CryptoRng for Random {}
