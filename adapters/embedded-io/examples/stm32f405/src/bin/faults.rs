//! Goes wrong on purpose, as its argument says: for the tests of what guards the others.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;
use core::hint::black_box;
use core::pin::pin;

use starttls::tls::ClientTls;
use starttls_stm32f405::device::{Job, deliver};
use starttls_stm32f405::failure::Failure;
use starttls_stm32f405::{board, guard, heap, host, time};

#[cortex_m_rt::entry]
fn main() -> ! {
    guard::enter(program)
}

extern "C" fn program() -> ! {
    let uart = board::start();
    let mut argument = [0; 32];
    match host::argument(&mut argument) {
        b"stack" => {
            black_box(deeper(0));
        }
        b"heap" => loop {
            black_box(Vec::<u8>::with_capacity(1024).leak());
        },
        b"panic" => {
            let none: Option<u8> = black_box(None);
            none.expect("there is none");
        }
        // The heap is not what it is for a device that does nothing else.
        b"crowded" => {
            black_box(Vec::<u8>::with_capacity(heap::SIZE - heap::NEED + 64).leak());
            time::wait(pin!(deliver(uart, async |_: Job<'_, ClientTls>| Err(Failure::Other))));
        }
        _ => {}
    }
    board::halt(0)
}

#[inline(never)]
fn deeper(level: u32) -> u32 {
    let frame = black_box([level; 64]);
    match level {
        u32::MAX => 0,
        level => deeper(level + 1).wrapping_add(frame[level as usize % 64]),
    }
}
