//! USART1, received by interrupt: octets that come while TLS computes wait in a ring.
//!
//! A full ring leaves the next octet in the receiver. Where the modem is wired for RTS it waits
//! then; where it is not, the receiver overruns, which is an [`Error`]: an octet is lost, and no
//! session survives that.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use critical_section::Mutex;
use embedded_io::{ErrorKind, ErrorType, ReadReady, WriteReady};
use heapless::Deque;
use starttls_embedded_io::Deadline;

use crate::board::{BUS, USART1};
use crate::registers::Register;
use crate::time::{self, Instant};

/// Bits a second.
const BAUD: u32 = 115_200;

/// Octets that wait. At 11,520 a second that is for 88 ms of computing. The longest single step of a
/// handshake takes about as long, but a server has nothing to send then: it waits for the client.
pub const RING: usize = 1024;

const STATUS: Register = Register::at(0x4001_1000);
const DATA: Register = Register::at(0x4001_1004);
const RATE: Register = Register::at(0x4001_1008);
const CONTROL1: Register = Register::at(0x4001_100c);
const CONTROL3: Register = Register::at(0x4001_1014);
const NVIC_ENABLE: Register = Register::at(0xe000_e100 + 4 * (USART1 as usize / 32));
const NVIC_DISABLE: Register = Register::at(0xe000_e180 + 4 * (USART1 as usize / 32));
const NVIC_BIT: u32 = 1 << (USART1 % 32);

/// SR: parity, framing, noise; then overrun; an octet is there; there is room for one.
const FRAMING: u32 = 0b111;
const OVERRUN: u32 = 1 << 3;
const RECEIVED: u32 = 1 << 5;
const ROOM: u32 = 1 << 7;

/// Octets were lost: the connection is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// They came faster than they were taken.
    Overrun,
    /// What came is not what was sent: the rate is wrong, or the line is bad.
    Framing,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Overrun => "octets were lost",
            Self::Framing => "the line is bad",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

struct Receiver {
    error: Option<Error>,
    /// Its interrupt is off until there is room.
    full: bool,
    waker: Option<Waker>,
}

static RECEIVER: Mutex<RefCell<Receiver>> =
    Mutex::new(RefCell::new(Receiver { error: None, full: false, waker: None }));
/// Apart, for it begins as zeros, which take no flash.
static WAITING: Mutex<RefCell<Deque<u8, RING>>> = Mutex::new(RefCell::new(Deque::new()));

pub(crate) extern "C" fn interrupt() {
    let waker = with(|receiver, ring| {
        loop {
            let status = STATUS.read();
            if status & (RECEIVED | OVERRUN | FRAMING) == 0 {
                break;
            }
            if ring.is_full() {
                receiver.full = true;
                NVIC_DISABLE.write(NVIC_BIT);
                break;
            }
            // Reading it ends every error, too.
            let octet = DATA.read() as u8;
            match () {
                () if status & OVERRUN != 0 => receiver.error = Some(Error::Overrun),
                () if status & FRAMING != 0 => receiver.error = Some(Error::Framing),
                () => drop(ring.push_back(octet)),
            }
        }
        receiver.waker.take()
    });
    waker.into_iter().for_each(Waker::wake);
}

fn with<R>(work: impl FnOnce(&mut Receiver, &mut Deque<u8, RING>) -> R) -> R {
    critical_section::with(|cs| {
        work(&mut RECEIVER.borrow_ref_mut(cs), &mut WAITING.borrow_ref_mut(cs))
    })
}

/// The UART. Blocking reads and writes have no end of their own: see [`By`].
#[derive(Debug)]
pub struct Uart(());

impl Uart {
    pub(crate) fn start() -> Self {
        RATE.write((BUS + BAUD / 2) / BAUD);
        // RTS and CTS: a modem that is not wired for them needs CTS at ground.
        CONTROL3.write(1 << 8 | 1 << 9);
        // On, receiving by interrupt, sending.
        CONTROL1.write(1 << 13 | 1 << 5 | 1 << 3 | 1 << 2);
        NVIC_ENABLE.write(NVIC_BIT);
        Self(())
    }

    /// Forgets what was received, and what was lost: a new call begins.
    pub fn clear(&mut self) {
        while let Some(Ok(_) | Err(_)) = self.take(&mut [0; 16]) {
            with(|receiver, _| receiver.error = None);
        }
    }

    /// What was received, if anything was.
    fn take(&mut self, buffer: &mut [u8]) -> Option<Result<usize, Error>> {
        with(|receiver, ring| {
            if let Some(error) = receiver.error {
                return Some(Err(error));
            }
            let waiting = ring.len().min(buffer.len());
            for place in &mut buffer[..waiting] {
                *place = ring.pop_front()?;
            }
            if waiting > 0 && core::mem::take(&mut receiver.full) {
                NVIC_ENABLE.write(NVIC_BIT);
            }
            (waiting > 0).then_some(Ok(waiting))
        })
    }

    fn is_starved(&self) -> bool {
        with(|receiver, ring| ring.is_empty() && receiver.error.is_none())
    }

    /// What was received; else the task is woken when something is.
    fn poll(&mut self, buffer: &mut [u8], cx: &Context<'_>) -> Poll<Result<usize, Error>> {
        with(|receiver, _| receiver.waker = Some(cx.waker().clone()));
        self.take(buffer).map_or(Poll::Pending, Poll::Ready)
    }

    /// Gives octets to the transmitter while it has room; how many, or `None` if it has none.
    fn give(&mut self, octets: &[u8]) -> Option<usize> {
        let has_room = |_: &&u8| STATUS.read() & ROOM != 0;
        let given = octets.iter().take_while(has_room).map(|&octet| DATA.write(octet.into()));
        match given.count() {
            0 if !octets.is_empty() => None,
            n => Some(n),
        }
    }
}

impl ErrorType for Uart {
    type Error = Error;
}

impl embedded_io::Read for Uart {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.take(buffer) {
                None if buffer.is_empty() => return Ok(0),
                None => sleep_while(|| self.is_starved()),
                Some(result) => return result,
            }
        }
    }
}

impl embedded_io::Write for Uart {
    fn write(&mut self, octets: &[u8]) -> Result<usize, Error> {
        loop {
            if let Some(n) = self.give(octets) {
                return Ok(n);
            }
        }
    }

    /// What the transmitter holds leaves by itself.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Error> {
        Ok(!self.is_starved())
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, Error> {
        Ok(STATUS.read() & ROOM != 0)
    }
}

impl embedded_io_async::Read for Uart {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| match buffer.is_empty() {
            true => Poll::Ready(Ok(0)),
            false => self.poll(buffer, cx),
        })
        .await
    }
}

impl embedded_io_async::Write for Uart {
    /// The others run while it waits for room, but the core does not sleep: an octet is out in
    /// 87 µs.
    async fn write(&mut self, octets: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| match self.give(octets) {
            Some(n) => Poll::Ready(Ok(n)),
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A deadline for blocking calls. The core sleeps until something is received.
#[derive(Clone, Copy, Debug)]
pub struct By(
    /// The last moment.
    pub Instant,
);

impl Deadline<&mut Uart> for By {
    fn readable(&mut self, uart: &mut &mut Uart) -> Result<bool, Error> {
        while !self.0.passed() {
            if !uart.is_starved() {
                return Ok(true);
            }
            sleep_while(|| uart.is_starved());
        }
        Ok(false)
    }

    fn writable(&mut self, uart: &mut &mut Uart) -> Result<bool, Error> {
        while !self.0.passed() {
            if uart.write_ready()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Sleeps until the next interrupt, if not even one that came before ended the wait.
fn sleep_while(starved: impl FnOnce() -> bool) {
    critical_section::with(|cs| {
        if starved() {
            time::sleep(cs);
        }
    });
}
