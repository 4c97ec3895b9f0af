//! Ports of 127.0.0.1.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The ports below those that the system gives to outgoing connections.
const FIRST: u16 = 10_000;
const BLOCKS: u16 = 550;
const BLOCK: u16 = 40;

/// A port on which nothing listens.
///
/// Between this call and the server's start another process could take it. So tests that run
/// at the same time look in different places: each process begins at a block of its own, and
/// none in the range of outgoing connections.
///
/// # Panics
///
/// If every port is taken.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let block = (std::process::id() % u32::from(BLOCKS)) as u16;
    for _ in 0..BLOCKS * BLOCK {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed) % (BLOCKS * BLOCK));
        let offset = (u32::from(block * BLOCK) + next) % u32::from(BLOCKS * BLOCK);
        let port = FIRST + offset as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// Waits until something listens on a port; false if nothing does in time.
///
/// It asks the system and does not connect, so that the server's log begins with the test.
pub fn wait_for_port(port: u16, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if listens(port) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Looks for a socket with this local port in the state LISTEN, 0A in the system's tables.
fn listens(port: u16) -> bool {
    let suffix = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&suffix))
                && fields.nth(1) == Some("0A")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_until_something_listens() {
        let port = free_port();
        assert_ne!(port, free_port());
        assert!(!wait_for_port(port, Duration::from_millis(20)));
        let _listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        assert!(wait_for_port(port, Duration::ZERO));
    }
}
