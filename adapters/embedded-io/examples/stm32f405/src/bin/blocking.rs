//! Sends the device's mail with the blocking calls.
#![no_std]
#![no_main]

use core::pin::pin;

use starttls::tls::ClientTls;
use starttls_embedded_io::{Buffers, submit_by};
use starttls_stm32f405::device::{Job, deliver};
use starttls_stm32f405::failure::Failure;
use starttls_stm32f405::{board, guard, time, uart::By};

#[cortex_m_rt::entry]
fn main() -> ! {
    guard::enter(program)
}

extern "C" fn program() -> ! {
    time::wait(pin!(deliver(board::start(), async |job| submit(job))))
}

// The stack of what is before and behind it is another's.
#[inline(never)]
fn submit(job: Job<'_, ClientTls>) -> Result<(), Failure> {
    let submission = job.boxed_submission()?;
    let machine = job.machine()?;
    let Job { uart, tls, receive, send, message, end, config, .. } = job;
    let buffers = Buffers { receive, send };
    let by = By(end);
    Failure::of(submit_by(uart, machine, tls, config.server, buffers, submission, message, by))
}
