//! Milliseconds since the start, by SysTick, and waiting.

use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, Waker};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use heapless::Vec;

/// Milliseconds between two ticks: how exact a time is.
const TICK: u32 = 10;

static NOW: AtomicU32 = AtomicU32::new(0);
/// Cycles of the core.
static SLEPT: AtomicU32 = AtomicU32::new(0);
static SLEEPERS: Mutex<RefCell<Vec<Waker, 4>>> = Mutex::new(RefCell::new(Vec::new()));

/// Starts to count, with the core at `hertz`.
pub(crate) fn start(mut timer: SYST, hertz: u32) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(hertz / 1000 * TICK - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

#[exception]
fn SysTick() {
    NOW.store(now().wrapping_add(TICK), Ordering::Relaxed);
    let sleepers = critical_section::with(|cs| core::mem::take(&mut *SLEEPERS.borrow_ref_mut(cs)));
    sleepers.into_iter().for_each(Waker::wake);
}

/// Milliseconds since the start. Begins again after 49 days: see [`Instant`].
pub fn now() -> u32 {
    NOW.load(Ordering::Relaxed)
}

/// Cycles of the core since the start that it did not [`sleep`]; begins again with each 25 seconds
/// of work.
pub fn worked() -> u32 {
    critical_section::with(|_| {
        let mut ticks = now() / TICK;
        let mut left = SYST::get_current();
        if SCB::is_pendst_pending() {
            ticks += 1;
            left = SYST::get_current();
        }
        let cycles = ticks.wrapping_mul(SYST::get_reload() + 1).wrapping_add(SYST::get_reload());
        cycles.wrapping_sub(left).wrapping_sub(SLEPT.load(Ordering::Relaxed))
    })
}

/// Sleeps until the next interrupt, which is a tick at the latest. With interrupts off, one that
/// comes still ends the sleep, and is served afterwards.
pub(crate) fn sleep(_: CriticalSection<'_>) {
    let before = SYST::get_current();
    cortex_m::asm::wfi();
    let after = SYST::get_current();
    // It counts down, and begins again with a tick.
    let round = if SCB::is_pendst_pending() { SYST::get_reload() + 1 } else { 0 };
    SLEPT.fetch_add((before + round).wrapping_sub(after), Ordering::Relaxed);
}

/// A moment less than 24 days away.
#[derive(Clone, Copy, Debug)]
pub struct Instant(u32);

impl Instant {
    /// In so many milliseconds.
    pub fn after(millis: u32) -> Self {
        // The tick that is already running does not count.
        Self(now().wrapping_add(millis).wrapping_add(TICK))
    }

    /// Whether it is past.
    pub fn passed(self) -> bool {
        now().wrapping_sub(self.0) as i32 >= 0
    }

    /// Ends when it is past.
    pub async fn reached(self) {
        poll_fn(|cx| {
            if self.passed() {
                return Poll::Ready(());
            }
            critical_section::with(|cs| {
                let mut sleepers = SLEEPERS.borrow_ref_mut(cs);
                if let Err(waker) = sleepers.push(cx.waker().clone()) {
                    waker.wake();
                }
            });
            Poll::Pending
        })
        .await;
    }

    /// What `work` gives, or `None` if it takes longer.
    pub async fn bounds<R>(self, work: impl Future<Output = R>) -> Option<R> {
        let (mut work, mut end) = (pin!(work), pin!(self.reached()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => end.as_mut().poll(cx).map(|()| None),
        })
        .await
    }
}

/// Runs a future where there is no executor. The core sleeps between interrupts.
pub fn wait<R>(mut future: Pin<&mut impl Future<Output = R>>) -> R {
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        // An interrupt that came since then is not slept through for longer than a tick.
        critical_section::with(sleep);
    }
}
