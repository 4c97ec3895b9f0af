//! The heap: its size is stated, and what TLS takes of it was measured.

#![expect(unsafe_code, reason = "what an allocator is")]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::addr_of_mut;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use embedded_alloc::LlffHeap;

use crate::failure::Failure;

/// The heap, in octets.
pub const SIZE: usize = NEED + 256;

/// What one mail takes of it at most, in octets: 7.3 KiB, and twice what the server's chain of
/// certificates is long. An allocation that fails inside TLS ends the program, so that a mail is not
/// begun with less.
pub const NEED: usize = match () {
    () if cfg!(feature = "long-chains") => 24 * 1024,
    () if cfg!(feature = "large-records") => 14_592,
    () if cfg!(feature = "pinned") => 10_752,
    () => 11_776,
};

#[global_allocator]
static HEAP: Measured = Measured {
    heap: LlffHeap::empty(),
    peak: AtomicUsize::new(0),
    exhausted: AtomicBool::new(false),
};

struct Measured {
    heap: LlffHeap,
    peak: AtomicUsize,
    exhausted: AtomicBool,
}

// SAFETY: the heap's own, unchanged.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: that of the caller.
        let block = unsafe { GlobalAlloc::alloc(&self.heap, layout) };
        self.exhausted.store(block.is_null(), Ordering::Relaxed);
        self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: that of the caller.
        unsafe { self.heap.dealloc(block, layout) }
    }
}

/// Gives the heap its memory.
pub(crate) fn start() {
    static mut MEMORY: [MaybeUninit<u8>; SIZE] = [const { MaybeUninit::uninit() }; SIZE];
    // SAFETY: called once, by the start of the board, and nothing else names the memory.
    unsafe { HEAP.heap.init(addr_of_mut!(MEMORY) as usize, SIZE) }
}

/// Whether it has what a mail takes.
///
/// # Errors
/// [`Failure::Heap`].
pub fn check() -> Result<(), Failure> {
    match HEAP.heap.free() {
        free @ ..NEED => Err(Failure::Heap(free)),
        _ => Ok(()),
    }
}

/// The most octets that were ever in use.
pub fn peak() -> usize {
    HEAP.peak.load(Ordering::Relaxed)
}

/// Whether the last allocation failed: that is what ended the program, then.
pub(crate) fn is_exhausted() -> bool {
    HEAP.exhausted.load(Ordering::Relaxed)
}
