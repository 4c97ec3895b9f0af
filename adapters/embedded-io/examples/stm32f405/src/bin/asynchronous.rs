//! Sends the device's mail on embassy's executor, beside which another task runs.
#![no_std]
#![no_main]

use embassy_executor::{Executor, Spawner};
use starttls::tls::ClientTls;
use starttls_embedded_io::{Buffers, submit_async_by};
use starttls_stm32f405::device::{Job, deliver};
use starttls_stm32f405::failure::Failure;
use starttls_stm32f405::time::Instant;
use starttls_stm32f405::uart::Uart;
use starttls_stm32f405::{board, guard};
use static_cell::StaticCell;

#[cortex_m_rt::entry]
fn main() -> ! {
    guard::enter(program)
}

extern "C" fn program() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let uart = board::start();
    EXECUTOR.init(Executor::new()).run(|spawner| start(spawner, uart))
}

fn start(spawner: Spawner, uart: Uart) {
    // Each is spawned once, for which there is room.
    if let (Ok(mail), Ok(light)) = (mail(uart), light()) {
        spawner.spawn(mail);
        spawner.spawn(light);
    }
}

#[embassy_executor::task]
async fn mail(uart: Uart) {
    deliver(uart, async |job: Job<'_, ClientTls>| {
        let submission = job.boxed_submission()?;
        let machine = job.machine()?;
        let Job { uart, tls, receive, send, message, end, config, .. } = job;
        let buffers = Buffers { receive, send };
        let by = end.reached();
        let sent =
            submit_async_by(uart, machine, tls, config.server, buffers, submission, message, by);
        Failure::of(sent.await)
    })
    .await
}

/// Shows that the device lives while it waits for the server.
#[embassy_executor::task]
async fn light() {
    loop {
        board::toggle_light();
        Instant::after(500).reached().await;
    }
}
