//! Registers, by their addresses in the reference manual (RM0090).

/// A 32-bit register of the chip.
pub(crate) struct Register(usize);

impl Register {
    /// The register at an address that is one: all are constants of this crate.
    pub(crate) const fn at(address: usize) -> Self {
        Self(address)
    }

    #[expect(unsafe_code, reason = "what a register is")]
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: an aligned register, see `at`. None of those read here faults.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    #[expect(unsafe_code, reason = "what a register is")]
    pub(crate) fn write(&self, value: u32) {
        // SAFETY: as `read`; none of those written here moves memory.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }

    /// Replaces the bits of `mask`.
    pub(crate) fn modify(&self, mask: u32, value: u32) {
        self.write(self.read() & !mask | value);
    }

    /// Waits until all bits of `mask` are set, but not for ever.
    pub(crate) fn wait_for(&self, mask: u32) -> bool {
        (0..1_000_000).any(|_| self.read() & mask == mask)
    }
}
