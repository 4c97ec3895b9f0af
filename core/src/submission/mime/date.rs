//! The time, as a header has it.

use crate::error::{Error, Misuse};
use crate::submission::writer::Writer;

/// A time with its zone (RFC 5322 §3.3), to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Date {
    /// Local, from the beginning of the year 0 on.
    days: u64,
    second: u32,
    zone: i16,
}

/// From 1 March of the year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

const MONTHS: [&str; 12] =
    ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
const WEEKDAYS: [&str; 7] = ["Wed", "Thu", "Fri", "Sat", "Sun", "Mon", "Tue"];

impl Date {
    /// A time by the seconds that passed since 1 January 1970 UTC, leap seconds not counted, for
    /// a place whose clocks are `zone` minutes ahead of UTC.
    ///
    /// # Errors
    /// [`Misuse::Date`] before 1970 or after the year 9999 there, and for a zone of a day or more.
    pub fn new(unix_seconds: u64, zone: i16) -> Result<Self, Error> {
        let local = unix_seconds.checked_add_signed(i64::from(zone) * 60);
        match local {
            Some(local @ 0..253_402_300_800) if zone.unsigned_abs() < 24 * 60 => {
                // The remainder fits, being less than a day.
                let (days, second) = (local / 86_400 + EPOCH, (local % 86_400) as u32);
                Ok(Self { days, second, zone })
            }
            _ => Err(Misuse::Date.into()),
        }
    }

    /// `Sat, 28 Nov 2026 17:31:02 +0000`
    pub(super) fn write(self, writer: &mut Writer<'_, '_>) {
        // Years that begin in March end in the leap day, so that all before is regular: 146,097
        // days in 400 of them, and five months of 153 days over and over.
        let (era, of_era) = (self.days / 146_097, self.days % 146_097);
        let of_cycle = of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096;
        let mut year = of_cycle / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        year += era * 400 + u64::from(month >= 10);

        let name = |names: &[&'static str], at| names.get(at as usize).copied().unwrap_or_default();
        writer.put(name(&WEEKDAYS, self.days % 7).as_bytes());
        writer.put(b", ");
        writer.decimal(day);
        writer.put(b" ");
        writer.put(name(&MONTHS, month).as_bytes());
        writer.put(b" ");
        writer.decimal(year);
        writer.put(b" ");
        two_digits(writer, self.second / 3600);
        writer.put(b":");
        two_digits(writer, self.second / 60 % 60);
        writer.put(b":");
        two_digits(writer, self.second % 60);
        writer.put(if self.zone < 0 { b" -" } else { b" +" });
        let zone = u32::from(self.zone.unsigned_abs());
        two_digits(writer, zone / 60);
        two_digits(writer, zone % 60);
    }
}

fn two_digits(writer: &mut Writer<'_, '_>, number: u32) {
    writer.decimal(u64::from(number / 10 % 10));
    writer.decimal(u64::from(number % 10));
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::wire::Out;

    fn written(seconds: u64, zone: i16) -> String {
        let mut storage = [0; 64];
        let mut out = Out::new(&mut storage);
        let mut writer = Writer::new(&mut out, 0);
        Date::new(seconds, zone).unwrap().write(&mut writer);
        assert!(writer.finish().1);
        String::from_utf8(out.octets().to_vec()).unwrap()
    }

    #[test]
    fn dates() {
        for (seconds, zone, date) in [
            (0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (0, 90, "Thu, 1 Jan 1970 01:30:00 +0130"),
            (951_782_399, 0, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (951_868_800, 0, "Wed, 1 Mar 2000 00:00:00 +0000"),
            (1_795_887_062, 60, "Sat, 28 Nov 2026 18:31:02 +0100"),
            (1_798_761_600, -210, "Thu, 31 Dec 2026 20:30:00 -0330"),
            (4_107_542_400, 0, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (253_402_300_799, 0, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            assert_eq!(written(seconds, zone), date);
        }
    }

    #[test]
    fn years_follow_each_other() {
        let mut days = 0;
        for year in 1970..10_000 {
            let date = written(days * 86_400, 0);
            assert!(date.contains(&alloc::format!(", 1 Jan {year} ")), "{date}");
            days += if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
        }
    }

    #[test]
    fn times_that_cannot_be_written() {
        for (seconds, zone) in
            [(0, -1), (253_402_300_799, 1), (253_402_300_800, 0), (u64::MAX, 0), (u64::MAX, 1)]
        {
            assert_eq!(Date::new(seconds, zone), Err(Misuse::Date.into()));
        }
        for zone in [1440, -1440, i16::MIN, i16::MAX] {
            assert_eq!(Date::new(1 << 32, zone), Err(Misuse::Date.into()));
        }
    }
}
