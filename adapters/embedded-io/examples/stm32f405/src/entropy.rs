//! Randomness, for keys and nonces.

use rustls::crypto::GetRandomFailed;
use starttls_rustcrypto::Entropy;

use crate::registers::Register;

/// The source of this device.
#[cfg(feature = "semihosting")]
pub type Source = Host;
/// The source of this device.
#[cfg(not(feature = "semihosting"))]
pub type Source = Rng;

/// The host's, by semihosting.
#[cfg(feature = "semihosting")]
#[derive(Clone, Copy, Debug)]
pub struct Host;

#[cfg(feature = "semihosting")]
impl Entropy for Host {
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        match crate::host::read(c"/dev/urandom", buffer) {
            true => Ok(()),
            false => Err(GetRandomFailed),
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

impl Entropy for Rng {
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        RNG_CONTROL.write(RNG_ENABLE);
        // FIPS 140-2, as §24.3.1 asks: the first number is not used, and each one differs from the
        // one before.
        let mut last = word()?;
        for piece in buffer.chunks_mut(4) {
            let next = word()?;
            if next == last {
                return Err(GetRandomFailed);
            }
            piece.copy_from_slice(&next.to_ne_bytes()[..piece.len()]);
            last = next;
        }
        Ok(())
    }
}

fn word() -> Result<u32, GetRandomFailed> {
    if RNG_STATUS.wait_for(RNG_READY) && RNG_STATUS.read() & RNG_ERRORS == 0 {
        return Ok(RNG_DATA.read());
    }
    // The next call starts it anew (§24.3.2).
    RNG_STATUS.write(0);
    RNG_CONTROL.write(0);
    Err(GetRandomFailed)
}
