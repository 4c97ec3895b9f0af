//! What ends a program that went wrong: a panic, an exhausted heap, an overflown stack, a fault.
//! Each is logged, and the device starts again, or the emulation ends with a status of its own.
//!
//! The program runs on the process stack, at the bottom of the memory: an overflow leaves the
//! memory, and the fault that this is has the main stack to be handled on.

#![expect(unsafe_code, reason = "stacks are swapped and looked at")]

use core::arch::asm;
use core::panic::PanicInfo;

use cortex_m::register::psp;
use cortex_m_rt::exception;

use crate::registers::Register;
use crate::{board, heap, log};

unsafe extern "C" {
    static mut _stack_floor: u32;
    static mut _stack_top: u32;
}

/// What is under the stack, until it is used.
const PAINT: u32 = 0xcccc_cccc;

const CFSR: Register = Register::at(0xe000_ed28);
const BFAR: Register = Register::at(0xe000_ed38);
/// CFSR: BFAR holds the address that was accessed.
const ADDRESS_VALID: u32 = 1 << 15;

/// Why a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum End {
    /// A panic.
    Panic,
    /// An allocation failed where TLS cannot go on without.
    HeapExhausted,
    /// The stack is too small.
    StackOverflow,
    /// The processor could not go on.
    Fault,
}

impl End {
    /// What is logged.
    pub fn text(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::HeapExhausted => "heap exhausted",
            Self::StackOverflow => "stack overflow",
            Self::Fault => "fault",
        }
    }

    /// The exit status under an emulator.
    pub fn status(self) -> u8 {
        match self {
            Self::Panic => 101,
            Self::HeapExhausted => 102,
            Self::StackOverflow => 103,
            Self::Fault => 104,
        }
    }
}

/// Runs the program on its guarded stack. To be called at the start, from `main`.
pub fn enter(program: extern "C" fn() -> !) -> ! {
    // SAFETY: the region is the stack's alone (memory.x), and not in use before it is switched to.
    unsafe {
        let (floor, top) = stack();
        let mut word = floor;
        while word < top {
            word.write_volatile(PAINT);
            word = word.add(1);
        }
        asm!(
            "msr psp, {top}",
            "msr control, {process}",
            "isb",
            "bx {program}",
            top = in(reg) top,
            process = in(reg) 2,
            program = in(reg) program,
            options(noreturn),
        )
    }
}

/// The most octets of the stack that were ever in use.
pub fn stack_peak() -> usize {
    let (mut word, top) = stack();
    // SAFETY: within the stack's region, which is memory.
    unsafe {
        while word < top && word.read_volatile() == PAINT {
            word = word.add(1);
        }
        top.byte_offset_from_unsigned(word)
    }
}

fn stack() -> (*mut u32, *mut u32) {
    (&raw mut _stack_floor, &raw mut _stack_top)
}

#[exception(trampoline = false)]
unsafe fn HardFault() -> ! {
    let floor = stack().0 as u32;
    // Whoever leaves the stack at its bottom stands there, or has just touched what is below it.
    let below = (floor - 0x1_0000)..floor;
    let touched = CFSR.read() & ADDRESS_VALID != 0 && below.contains(&BFAR.read());
    let stands = (below.start..floor + 64).contains(&psp::read());
    end(match () {
        () if touched || stands => End::StackOverflow,
        // A panic that is compiled to a trap.
        () if heap::is_exhausted() => End::HeapExhausted,
        () if CFSR.read() >> 16 & 1 != 0 => End::Panic,
        () => End::Fault,
    })
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    end(if heap::is_exhausted() { End::HeapExhausted } else { End::Panic })
}

fn end(why: End) -> ! {
    cortex_m::interrupt::disable();
    log::ended(why);
    board::halt(why.status())
}
