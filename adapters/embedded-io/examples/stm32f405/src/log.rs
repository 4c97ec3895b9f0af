//! What the device says of itself: by defmt where that is chosen, else as lines on the host's
//! console, and nowhere without either. Nothing is formatted on the device.

use crate::failure::Failure;
use crate::guard::End;

#[cfg(all(feature = "defmt", not(feature = "semihosting")))]
use defmt_rtt as _;
#[cfg(all(feature = "defmt", feature = "semihosting"))]
use defmt_semihosting as _;

/// Logs a line, with a number if there is one.
#[macro_export]
macro_rules! info {
    ($text:literal) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($text);
        #[cfg(not(feature = "defmt"))]
        $crate::log::line($text, None);
    }};
    ($text:literal, $number:expr) => {{
        let number: u32 = $number;
        #[cfg(feature = "defmt")]
        defmt::info!("{=istr} {}", defmt::intern!($text), number);
        #[cfg(not(feature = "defmt"))]
        $crate::log::line($text, Some(number));
    }};
}

/// Logs why a try failed.
pub fn failed(why: &Failure) {
    #[cfg(feature = "defmt")]
    defmt::error!("{}", why);
    #[cfg(not(feature = "defmt"))]
    {
        let (text, number) = why.text();
        line(text, number);
    }
}

pub(crate) fn ended(why: End) {
    #[cfg(feature = "defmt")]
    defmt::error!("{}", why);
    #[cfg(not(feature = "defmt"))]
    line(why.text(), None);
}

#[cfg(not(feature = "defmt"))]
#[doc(hidden)]
pub fn line(text: &str, number: Option<u32>) {
    #[cfg(not(feature = "semihosting"))]
    let _ = (text, number);
    #[cfg(feature = "semihosting")]
    {
        crate::host::print(text.as_bytes());
        if let Some(mut number) = number {
            let mut digits = [b' '; 11];
            for digit in digits[1..].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
            let zeros = digits[1..10].iter().take_while(|&&digit| digit == b'0').count();
            crate::host::print(&digits[..1]);
            crate::host::print(&digits[1 + zeros..]);
        }
        crate::host::print(b"\n");
    }
}
