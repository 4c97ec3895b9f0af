//! Semihosting: what an emulator or a debugger does for the device.

#![expect(unsafe_code, reason = "every call hands addresses to the host")]

use cortex_m_semihosting::{nr, syscall, syscall1};

/// SYS_EXIT_EXTENDED, which takes a status.
const EXIT_EXTENDED: usize = 0x20;

/// ADP_Stopped_ApplicationExit.
const APPLICATION_EXIT: usize = 0x20026;

/// Ends the emulation with a status.
pub fn exit(status: u8) -> ! {
    let block = [APPLICATION_EXIT, status.into()];
    loop {
        // SAFETY: the block is the one of this call.
        unsafe { syscall(EXIT_EXTENDED, &block) };
    }
}

/// Writes octets to the console.
pub fn print(octets: &[u8]) {
    for octet in octets {
        // SAFETY: the call reads one octet at the address.
        unsafe { syscall1(nr::WRITEC, core::ptr::from_ref(octet) as usize) };
    }
}

/// Seconds since 1970, UTC.
pub fn time() -> u64 {
    // SAFETY: the call takes no block.
    unsafe { syscall1(nr::TIME, 0) as u64 }
}

/// The argument of the emulation, behind its name: as much of it as there is room for.
pub fn argument(buffer: &mut [u8]) -> &[u8] {
    let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the host writes as much as is said, and then how much that was.
    if unsafe { syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) } != 0 {
        return &[];
    }
    let line = buffer.get(..block[1]).unwrap_or_default();
    let name = line.iter().position(|&octet| octet == b' ').map_or(line.len(), |at| at + 1);
    &line[name..]
}

/// Fills a buffer from a file of the host.
pub fn read(file: &core::ffi::CStr, buffer: &mut [u8]) -> bool {
    const BINARY: usize = 1;
    let open = [file.as_ptr() as usize, BINARY, file.count_bytes()];
    // SAFETY: the blocks are those of the calls, and the buffer is as long as is said.
    unsafe {
        let handle = syscall(nr::OPEN, &open);
        if handle == usize::MAX {
            return false;
        }
        let left = syscall(nr::READ, &[handle, buffer.as_mut_ptr() as usize, buffer.len()]);
        syscall(nr::CLOSE, &[handle]);
        left == 0
    }
}
