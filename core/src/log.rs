//! What is said to the logs: each step that somebody would look for, each failure once, and never
//! what a peer or a user said.

/// `log!(level, "text {}", value…)` goes to `log`, to `defmt`, or to both, as features have it; the
/// values are `Display` and `Format`.
macro_rules! log {
    ($level:ident, $text:literal $(, $value:expr)*) => {{
        #[cfg(feature = "log")]
        ::log::$level!($text $(, $value)*);
        #[cfg(feature = "defmt")]
        ::defmt::$level!($text $(, $value)*);
        #[cfg(not(any(feature = "log", feature = "defmt")))]
        if false {
            $(let _ = &$value;)*
        }
    }};
}
pub(crate) use log;

#[cfg(all(test, feature = "log"))]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use std::sync::Mutex;

    use crate::negotiate::{Negotiation, Status};
    use crate::protocol::smtp;
    use crate::wire::{Out, RecvBuf};

    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Memory;

    impl ::log::Log for Memory {
        fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &::log::Record<'_>) {
            // Other tests log too.
            if std::thread::current().name().is_some_and(|name| name.ends_with("each_end_once")) {
                RECORDS.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
            }
        }

        fn flush(&self) {}
    }

    /// What is logged of a negotiation with a server that says this, asked once more at the end.
    fn logged(server: &[u8]) -> Vec<String> {
        let (mut received, mut sent) = ([0; 2048], [0; 512]);
        let mut recv = RecvBuf::new(&mut received);
        let mut negotiation = Negotiation::new(smtp::Client::new("client.example.org").unwrap());
        let (mut rest, mut over) = (server, false);
        loop {
            match negotiation.process(&mut recv, &mut Out::new(&mut sent)) {
                Ok(Status::Progress) => {}
                Ok(Status::NeedInput) if rest.is_empty() => {
                    negotiation.close_received();
                }
                Ok(Status::NeedInput) => {
                    let line = rest.iter().position(|&octet| octet == b'\n').unwrap() + 1;
                    recv.fill(&rest[..line]);
                    rest = &rest[line..];
                }
                _ if over => return core::mem::take(&mut *RECORDS.lock().unwrap()),
                _ => over = true,
            }
        }
    }

    #[test]
    fn each_end_once() {
        ::log::set_logger(&Memory).unwrap();
        ::log::set_max_level(::log::LevelFilter::Trace);
        assert_eq!(
            logged(b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n"),
            ["DEBUG smtp: TLS begins"]
        );
        assert_eq!(logged(b"220 mx\r\n"), ["WARN smtp: the peer closed the connection"]);
        assert_eq!(
            logged(b"220 mx\r\n250 mx\r\n454 later, says the peer\r\n"),
            ["WARN smtp: the server refused to start TLS (code 454, temporary: try again later)"]
        );
    }
}
