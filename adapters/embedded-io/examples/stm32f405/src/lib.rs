//! A device that sends a mail: an STM32F405 with a modem at its UART.
//!
//! ```text
//!  flash ── config ─┐                       ┌─ clock ── RTC
//!                   ▼                       ▼
//!  UART ── modem ── starttls-embedded-io ── TLS ── entropy ── RNG
//!                   ▲                       ▲
//!          mail ────┘                       └── heap, stack: stated sizes, guarded
//! ```
//!
//! What can fail is a [`Failure`](failure::Failure), and the device tries again: see
//! [`device`]. The binaries differ in how they wait: `blocking` in the calls of
//! `starttls-embedded-io`, `asynchronous` on the executor of embassy; and `embedded_tls` in the TLS
//! library that the negotiation hands the line over to.
#![no_std]

#[cfg(feature = "rustls")]
extern crate alloc;

pub mod board;
pub mod clock;
pub mod config;
pub mod device;
pub mod entropy;
pub mod failure;
pub mod guard;
#[cfg_attr(not(feature = "rustls"), path = "no_heap.rs")]
pub mod heap;
#[cfg(feature = "semihosting")]
pub mod host;
pub mod log;
pub mod message;
pub mod modem;
mod registers;
pub mod time;
pub mod tls;
pub mod uart;
