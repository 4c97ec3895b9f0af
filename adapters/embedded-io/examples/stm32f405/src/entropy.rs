//! Randomness, for keys and nonces.

use crate::registers::Register;

/// The source of this device.
#[cfg(feature = "semihosting")]
pub type Source = Host;
/// The source of this device.
#[cfg(not(feature = "semihosting"))]
pub type Source = Rng;

/// The source failed, and what is in the buffer is not random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// The host's, by semihosting.
#[cfg(feature = "semihosting")]
#[derive(Clone, Copy, Debug)]
pub struct Host;

#[cfg(feature = "semihosting")]
impl Host {
    /// Fills a buffer.
    ///
    /// # Errors
    /// The host has none.
    pub fn fill(buffer: &mut [u8]) -> Result<(), Failed> {
        match crate::host::read(c"/dev/urandom", buffer) {
            true => Ok(()),
            false => Err(Failed),
        }
    }
}

/// The chip's generator (RM0090 §24), which runs on the 48 MHz that [`board`](crate::board) sets up.
#[derive(Clone, Copy, Debug)]
pub struct Rng;

const RNG_CONTROL: Register = Register::at(0x5006_0800);
const RNG_STATUS: Register = Register::at(0x5006_0804);
const RNG_DATA: Register = Register::at(0x5006_0808);
const RNG_ENABLE: u32 = 1 << 2;
const RNG_READY: u32 = 1;
/// CECS, SECS, CEIS and SEIS: the clock or the seed is not what it should be, or was not.
const RNG_ERRORS: u32 = 0b110_0110;

impl Rng {
    /// Fills a buffer.
    ///
    /// # Errors
    /// The generator fails its tests.
    pub fn fill(buffer: &mut [u8]) -> Result<(), Failed> {
        RNG_CONTROL.write(RNG_ENABLE);
        // FIPS 140-2, as §24.3.1 asks: the first number is not used, and each one differs from the
        // one before.
        let mut last = word()?;
        for piece in buffer.chunks_mut(4) {
            let next = word()?;
            if next == last {
                return Err(Failed);
            }
            piece.copy_from_slice(&next.to_ne_bytes()[..piece.len()]);
            last = next;
        }
        Ok(())
    }
}

fn word() -> Result<u32, Failed> {
    if RNG_STATUS.wait_for(RNG_READY) && RNG_STATUS.read() & RNG_ERRORS == 0 {
        return Ok(RNG_DATA.read());
    }
    // The next call starts it anew (§24.3.2).
    RNG_STATUS.write(0);
    RNG_CONTROL.write(0);
    Err(Failed)
}
