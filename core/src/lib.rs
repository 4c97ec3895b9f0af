//! Opportunistic TLS, the upgrade of a plaintext connection to TLS (STARTTLS and its kin), as pure
//! state machines: octets in, octets out, over buffers the caller owns. No sockets, no clock, and
//! for the negotiation no allocator.
//!
//! ```text
//!   plaintext                         ║  TLS                          application
//!                                     ║
//!   protocol::smtp::Client ──┐        ║
//!   protocol::smtp::Server ──┤ Negotiation ─► Upgrade ─► tls ─► Decrypted ─► submission
//!   protocol::Implicit ──────┘        ║                                      receiver, yours
//!   RecvBuf<Clear>                    ║  RecvBuf<Cipher>
//!   └────────────────────────── session::Session ──────────────────────────┘
//! ```
//!
//! The double line is what this crate is for. Octets from before TLS, TLS records and decrypted
//! octets are three types that do not convert into each other; [`Negotiation::upgrade`] is the only
//! way across, it consumes the plaintext buffer, and octets that were injected behind the go-ahead
//! end the connection, in either role.
//!
//! # Levels
//!
//! | use | for | needs |
//! |---|---|---|
//! | [`negotiate::Negotiation`] | the upgrade alone, with a TLS library of your own | nothing |
//! | `session::Session` | negotiation, TLS through rustls and data as one machine | feature `rustls` |
//! | [`inside::Opening`] | what a protocol says first inside TLS, up to a known state | nothing |
//! | [`submission::Submission`] | what an SMTP client says inside TLS | nothing |
//! | [`pins::PublicKey`] | the key of a certificate, for a verifier of your own | nothing |
//!
//! The adapters `starttls-std` and `starttls-tokio` put a session over sockets,
//! `starttls-embedded-io` over what a device without std has.
//!
//! # The negotiation by hand
//!
//! ```
//! use starttls::negotiate::{Negotiation, Status};
//! use starttls::protocol::smtp;
//! use starttls::wire::{MAX_LINE, Out, RecvBuf};
//! # use std::collections::VecDeque;
//! # struct Wire(VecDeque<&'static [u8]>, Vec<u8>);
//! # impl Wire {
//! #     fn send(&mut self, octets: &[u8]) { self.1.extend(octets) }
//! #     fn receive(&mut self, room: &mut [u8]) -> usize {
//! #         let next = self.0.pop_front().unwrap_or_default();
//! #         room[..next.len()].copy_from_slice(next);
//! #         next.len()
//! #     }
//! # }
//! # let mut wire = Wire([
//! #     &b"220 mail.example.org ESMTP service ready\r\n"[..],
//! #     b"250-mail.example.org offers a warm hug of welcome\r\n250 STARTTLS\r\n",
//! #     b"220 Go ahead\r\n",
//! # ].into(), vec![]);
//!
//! let (mut storage, mut output) = ([0; MAX_LINE], [0; 512]);
//! let mut recv = RecvBuf::new(&mut storage);
//! let mut negotiation = Negotiation::new(smtp::Client::new("client.example.org")?);
//! loop {
//!     let mut out = Out::new(&mut output);
//!     let status = negotiation.process(&mut recv, &mut out);
//!     wire.send(out.octets()); // whatever the status
//!     match status? {
//!         Status::Progress => {}
//!         Status::Ready => break,
//!         Status::NeedInput => match wire.receive(recv.spare_mut()) {
//!             0 => return Err(negotiation.close_received()),
//!             n => recv.received(n)?,
//!         },
//!     }
//! }
//! let (upgrade, _machine) = negotiation.upgrade(recv)?;
//! let (_first_records, _tls) = upgrade.into_foreign_tls(); // the TLS library takes the wire
//! # assert_eq!(wire.1, b"EHLO client.example.org\r\nSTARTTLS\r\n");
//! # Ok::<(), starttls::Error>(())
//! ```
//!
//! # Features
//!
//! All are additive, none changes what another does, and there is none per protocol: a machine
//! that is not used is not linked.
//!
//! - `alloc`: buffers on the heap, machines chosen at run time.
//! - `rustls`: TLS through rustls 0.23, sessions, and the exchange of a mail over one. Implies `alloc`.
//!   Which versions of TLS there are is for the application's own features of rustls to say.
//! - `std`: rustls with the system's clock. Implies `alloc`.
//! - `log`: how negotiations, sessions and submissions go, for the crate log.
//! - `defmt`: the same for defmt, and every public type as `defmt::Format`. Errors, events and what
//!   holds no buffer are formatted by defmt itself; machines by their `Debug`, which links
//!   [`core::fmt`] where one is logged.
//!
//! [`Negotiation::upgrade`]: negotiate::Negotiation::upgrade
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod either;
pub mod error;
#[cfg(feature = "defmt")]
mod format;
pub mod inside;
#[cfg(all(feature = "std", feature = "rustls"))]
pub mod io;
mod log;
pub mod negotiate;
pub mod pins;
pub mod protocol;
pub mod receiver;
#[cfg(feature = "rustls")]
pub mod session;
pub mod storage;
pub mod submission;
#[cfg(feature = "rustls")]
pub mod tls;
pub mod wire;

pub use error::Error;
