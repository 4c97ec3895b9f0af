//! The time of day, by which certificates are judged.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::registers::Register;
use crate::time;

/// A clock that runs while the device is off.
pub trait Clock {
    /// Seconds since 1970, UTC; `None` if it was never set.
    fn read(&self) -> Option<u64>;
}

/// The clock of this device.
#[cfg(feature = "semihosting")]
pub const CLOCK: Host = Host;
/// The clock of this device.
#[cfg(not(feature = "semihosting"))]
pub const CLOCK: Rtc = Rtc;

/// The clock of the host, by semihosting.
#[cfg(feature = "semihosting")]
#[derive(Clone, Copy, Debug)]
pub struct Host;

#[cfg(feature = "semihosting")]
impl Clock for Host {
    fn read(&self) -> Option<u64> {
        Some(crate::host::time())
    }
}

/// The chip's own (RM0090 §26), which a battery keeps: UTC, in the years from 2000 to 2099. What the
/// application [sets](Rtc::set) it from is its own choice: a receiver of satellites, the network's
/// time by the modem (`AT+CCLK?`), a person.
#[derive(Clone, Copy, Debug)]
pub struct Rtc;

const RTC_TIME: Register = Register::at(0x4000_2800);
const RTC_DATE: Register = Register::at(0x4000_2804);
const RTC_STATUS: Register = Register::at(0x4000_280c);
/// INITS: the year is not that of a clock without power.
const RTC_SET: u32 = 1 << 4;

impl Clock for Rtc {
    fn read(&self) -> Option<u64> {
        if RTC_STATUS.read() & RTC_SET == 0 {
            return None;
        }
        // Reading the time locks the date until that is read (§26.3.6).
        let (time, date) = (RTC_TIME.read(), RTC_DATE.read());
        let field = |register: u32, at: u32, bits: u32| {
            let bcd = u64::from(register >> at & ((1 << bits) - 1));
            (bcd >> 4) * 10 + (bcd & 15)
        };
        let days = days(field(date, 16, 8), field(date, 8, 5), field(date, 0, 6));
        let seconds = field(time, 16, 6) * 3600 + field(time, 8, 7) * 60 + field(time, 0, 7);
        Some(days * 86_400 + seconds)
    }
}

impl Rtc {
    /// Sets the clock: year from 2000 on, month, day; hour, minute, second. `false` if it does not
    /// take it: try again, for the 32 kHz oscillator may take two seconds to start.
    pub fn set(&self, [year, month, day]: [u8; 3], [hour, minute, second]: [u8; 3]) -> bool {
        const POWER_CONTROL: Register = Register::at(0x4000_7000);
        const RCC_BACKUP: Register = Register::at(0x4002_3870);
        const RTC_PROTECTION: Register = Register::at(0x4000_2824);
        // The domain of the battery may be written, its oscillator runs, and is the clock's
        // (§5.1.2, §7.3.20).
        POWER_CONTROL.modify(1 << 8, 1 << 8);
        RCC_BACKUP.modify(1, 1);
        if !RCC_BACKUP.wait_for(1 << 1) {
            return false;
        }
        RCC_BACKUP.modify(0b11 << 8 | 1 << 15, 0b01 << 8 | 1 << 15);
        // The keys, and the state in which it stands still (§26.3.5).
        RTC_PROTECTION.write(0xca);
        RTC_PROTECTION.write(0x53);
        RTC_STATUS.write(1 << 7);
        let standing = RTC_STATUS.wait_for(1 << 6);
        if standing {
            let field = |value: u8, at: u32| u32::from(value / 10 << 4 | value % 10) << at;
            RTC_TIME.write(field(hour, 16) | field(minute, 8) | field(second, 0));
            // Any day of the week, which is not used; none is no valid date.
            RTC_DATE.write(field(year, 16) | 1 << 13 | field(month, 8) | field(day, 0));
        }
        RTC_STATUS.write(0);
        RTC_PROTECTION.write(0xff);
        standing
    }
}

/// Days from 1970 to a day of a year counted from 2000, of which each fourth is a leap year.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    // Of a year that begins in March, the days before each month go up by 153 in five months.
    let (years, month) = (year + (month > 2) as u64, (month + 9) % 12);
    // 10,651 days before 1999-03-01.
    10_650 + years * 365 + (years + 3) / 4 + (153 * month + 2) / 5 + day
}

const _: () = {
    assert!(days(0, 1, 1) == 10_957);
    assert!(days(0, 2, 29) + 1 == days(0, 3, 1));
    assert!(days(1, 2, 28) + 1 == days(1, 3, 1));
    assert!(days(26, 11, 28) == 20_785);
    assert!(days(99, 12, 31) == 47_481);
};

/// The clock as TLS asks for it: read once for each try, and counted on from there.
#[derive(Debug)]
pub struct Reading(());

static SECONDS: AtomicU32 = AtomicU32::new(0);
static READ_AT: AtomicU32 = AtomicU32::new(0);

impl Reading {
    /// The clock's time from now on; `None` if it was never set: it says nothing, or a time
    /// before `since`, in which the device did not exist.
    pub(crate) fn take(clock: &impl Clock, since: u64) -> Option<Self> {
        let seconds = clock.read().filter(|&seconds| seconds >= since)?;
        SECONDS.store(u32::try_from(seconds).ok()?, Ordering::Relaxed);
        READ_AT.store(time::now(), Ordering::Relaxed);
        Some(Self(()))
    }

    /// Seconds since 1970.
    pub fn seconds(&self) -> u64 {
        let since = time::now().wrapping_sub(READ_AT.load(Ordering::Relaxed)) / 1000;
        u64::from(SECONDS.load(Ordering::Relaxed)) + u64::from(since)
    }
}
