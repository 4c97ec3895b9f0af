//! Sends the device's mail with the blocking calls.
#![no_std]
#![no_main]

use starttls_embedded_io::submit_by;
use starttls_stm32f405::device::{Job, deliver};
use starttls_stm32f405::failure::Failure;
use starttls_stm32f405::{board, guard, time, uart::By};

#[cortex_m_rt::entry]
fn main() -> ! {
    guard::enter(program)
}

extern "C" fn program() -> ! {
    time::wait(deliver(board::start(), async |job| {
        let submission = job.submission()?;
        let Job { uart, machine, tls, server, buffers, message, end, .. } = job;
        let by = By(end);
        Failure::of(submit_by(uart, machine, tls, server, buffers, submission, message, by))
    }))
}
