//! A modem with the commands of V.250: it is told to dial, and is transparent then.
//!
//! ```text
//!  ATE0V1 ─OK─► ATD… ─CONNECT─► the server's octets and ours ─► silence +++ silence ─OK─► ATH ─OK─►
//!                 └─ NO CARRIER, BUSY, NO DIALTONE, NO ANSWER, ERROR, silence: an [`Error`]
//! ```

use embedded_io_async::{Read, Write};
use heapless::Vec;

use crate::time::Instant;
use crate::uart::{self, Uart};

/// How long an answer takes that needs no line, in milliseconds.
const PROMPT: u32 = 1000;

/// The silence around the escape, in milliseconds: S12 is one second unless it was changed.
const GUARD: u32 = 1200;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// It says nothing.
    Silent,
    /// `NO CARRIER`.
    NoCarrier,
    /// `BUSY`.
    Busy,
    /// `NO DIALTONE`.
    NoDialtone,
    /// `NO ANSWER`.
    NoAnswer,
    /// `ERROR`: it does not know the command.
    Refused,
    /// The line to the modem failed.
    Uart(uart::Error),
}

impl From<uart::Error> for Error {
    fn from(error: uart::Error) -> Self {
        Self::Uart(error)
    }
}

/// Dials, and gives up after `millis`.
///
/// # Errors
/// See [`Error`]. The modem is left in the state to take commands.
pub async fn dial(uart: &mut Uart, number: &str, millis: u32) -> Result<(), Error> {
    let mut ready = Err(Error::Silent);
    // One that is waking up, or within a line that was cut off, misses the first.
    for _ in 0..3 {
        uart.clear();
        ready = command(uart, &["ATE0V1"], PROMPT).await;
        if ready.is_ok() {
            break;
        }
    }
    ready?;
    let connected = command(uart, &["ATD", number], millis).await;
    if connected == Err(Error::Silent) {
        // Anything that it is told while it dials ends that.
        say(uart, &["\r"]).await?;
    }
    connected
}

/// Ends the connection, whatever state it is in. One that does not answer is found out at the next
/// [`dial`].
///
/// # Errors
/// See [`Error`].
pub async fn hang_up(uart: &mut Uart) -> Result<(), Error> {
    Instant::after(GUARD).reached().await;
    uart.clear();
    say(uart, &["+++"]).await?;
    // No answer if the server was the one to hang up: the modem takes commands already.
    let _ = answer(uart, Instant::after(GUARD + PROMPT)).await;
    uart.clear();
    command(uart, &["ATH"], PROMPT).await
}

async fn command(uart: &mut Uart, parts: &[&str], millis: u32) -> Result<(), Error> {
    say(uart, parts).await?;
    say(uart, &["\r"]).await?;
    answer(uart, Instant::after(millis)).await
}

async fn say(uart: &mut Uart, parts: &[&str]) -> Result<(), Error> {
    // Bounded by the modem's flow control alone, which in this state it has no use for.
    for part in parts {
        Instant::after(PROMPT)
            .bounds(uart.write_all(part.as_bytes()))
            .await
            .ok_or(Error::Silent)??;
    }
    Ok(())
}

/// The first line that is an answer. What follows CONNECT is the server's, and is not read.
async fn answer(uart: &mut Uart, by: Instant) -> Result<(), Error> {
    let mut line = Vec::<u8, 16>::new();
    loop {
        let mut octet = [0];
        by.bounds(uart.read(&mut octet)).await.ok_or(Error::Silent)??;
        match octet {
            [b'\n'] => {
                if let Some(result) = result(&line) {
                    return result;
                }
                line.clear();
            }
            [b'\r'] => {}
            // The end of a long line is not what tells answers apart.
            [octet] => drop(line.push(octet)),
        }
    }
}

fn result(line: &[u8]) -> Option<Result<(), Error>> {
    Some(match line {
        b"OK" => Ok(()),
        // The speed may follow.
        [b'C', b'O', b'N', b'N', b'E', b'C', b'T', ..] => Ok(()),
        b"NO CARRIER" => Err(Error::NoCarrier),
        b"BUSY" => Err(Error::Busy),
        b"NO DIALTONE" | b"NO DIAL TONE" => Err(Error::NoDialtone),
        b"NO ANSWER" => Err(Error::NoAnswer),
        b"ERROR" => Err(Error::Refused),
        _ => return None,
    })
}
