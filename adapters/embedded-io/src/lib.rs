//! Opportunistic TLS over `embedded-io` and `embedded-io-async`: for a UART, a modem, or a TCP
//! stack without an operating system. `no_std`, and every buffer is the application's.
//!
//! | blocking | asynchronous | gives |
//! |---|---|---|
//! | [`connect`], [`connect_by`] | [`connect_async`], [`connect_async_by`] | a [`Stream`], as the client |
//! | [`accept`], [`accept_by`] | [`accept_async`], [`accept_async_by`] | a [`Stream`], as the server |
//! | [`connect_or_plaintext`], [`accept_or_plaintext`] | [`connect_or_plaintext_async`], [`accept_or_plaintext_async`] | a [`Channel`] |
//! | [`submit`], [`submit_by`] | [`submit_async`], [`submit_async_by`] | what became of a mail |
//! | [`Composed`] | [`Composed`] | the mail for it, written as it is sent |
//! | [`negotiate`], [`negotiate_by`] | [`negotiate_async`], [`negotiate_async_by`] | the transport, for another TLS library |
//! | [`submit_inside`] | [`submit_inside_async`] | a mail through that one |
//!
//! The transport is anything that is `Read + Write`, by value or as a `&mut` that is had back
//! afterwards; the stream is `Read + Write` again.
//!
//! # Blocking
//!
//! ```
//! use embedded_io::{Read, Write};
//! use starttls::protocol::smtp;
//! use starttls::tls::ClientTls;
//! use starttls_embedded_io::Buffers;
//! # use std::{net::{TcpListener, TcpStream}, sync::Arc};
//! # use embedded_io_adapters::std::FromStd;
//! # use starttls_tests::pki::Pki;
//! # let (pki, listener) = (Pki::default(), TcpListener::bind("127.0.0.1:0")?);
//! # let config = pki.client(&rustls::version::TLS13);
//! # let mut uart = FromStd::new(TcpStream::connect(listener.local_addr()?)?);
//! # let server = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let tls = starttls::tls::ServerTls::new(Arc::new(pki.server())).unwrap();
//! #     let machine = smtp::Server::new("mail.example.org", &[]).unwrap();
//! #     let transport = listener.accept().unwrap().0;
//! #     let mut stream = starttls_std::accept(transport, machine, &tls).unwrap();
//! #     stream.read_exact(&mut [0; 6]).unwrap();
//! #     stream.write_all(b"250 inside TLS\r\n").unwrap();
//! #     stream.close().unwrap();
//! # });
//!
//! let tls = ClientTls::new(Arc::new(config)); // a rustls configuration of yours
//! let machine = smtp::Client::new("client.example.org")?;
//! let (mut receive, mut send) = ([0; 16_645], [0; 1024]); // or two `&'static mut [u8]`
//! let buffers = Buffers { receive: &mut receive[..], send: &mut send[..] };
//!
//! let mut stream =
//!     starttls_embedded_io::connect(&mut uart, machine, &tls, "mail.example.org", buffers)?;
//! stream.write_all(b"NOOP\r\n")?;
//! stream.flush()?; // nothing is sent before
//! let mut reply = [0; 16];
//! stream.read_exact(&mut reply).unwrap();
//! assert_eq!(&reply, b"250 inside TLS\r\n");
//! stream.close()?;
//! # server.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Asynchronous
//!
//! ```
//! # use std::{net::{TcpListener, TcpStream}, sync::Arc};
//! # use starttls_tests::pki::Pki;
//! # struct Socket(embedded_io_adapters::std::FromStd<TcpStream>);
//! # impl embedded_io::ErrorType for Socket { type Error = std::io::Error; }
//! # impl embedded_io_async::Read for Socket {
//! #     async fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
//! #         embedded_io::Read::read(&mut self.0, buf)
//! #     }
//! # }
//! # impl embedded_io_async::Write for Socket {
//! #     async fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
//! #         embedded_io::Write::write(&mut self.0, buf)
//! #     }
//! #     async fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # struct Delay;
//! # impl DelayNs for Delay {
//! #     async fn delay_ns(&mut self, _: u32) { std::future::pending().await }
//! # }
//! use embedded_hal_async::delay::DelayNs;
//! use embedded_io_async::{Read, Write};
//! use starttls::protocol::smtp;
//! use starttls::tls::ClientTls;
//! use starttls_embedded_io::{Buffers, Error, connect_async_by};
//!
//! async fn say<S: Read + Write>(
//!     socket: S,
//!     tls: &ClientTls,
//!     mut delay: impl DelayNs,
//! ) -> Result<[u8; 16], Error<S::Error>> {
//!     let machine = smtp::Client::new("client.example.org")?;
//!     let (mut receive, mut send) = ([0; 16_645], [0; 1024]);
//!     let buffers = Buffers { receive: &mut receive[..], send: &mut send[..] };
//!     let (name, half_a_minute) = ("mail.example.org", delay.delay_ms(30_000));
//!     let connecting = connect_async_by(socket, machine, tls, name, buffers, half_a_minute);
//!     let mut stream = connecting.await?;
//!
//!     stream.write_all(b"NOOP\r\n").await?;
//!     stream.flush().await?; // nothing is sent before
//!     let mut reply = [0; 16];
//!     stream.read(&mut reply).await?;
//!     stream.close_async().await?;
//!     Ok(reply)
//! }
//! # let (pki, listener) = (Pki::default(), TcpListener::bind("127.0.0.1:0")?);
//! # let tls = ClientTls::new(Arc::new(pki.client(&rustls::version::TLS13)));
//! # let transport = TcpStream::connect(listener.local_addr()?)?;
//! # let server = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let tls = starttls::tls::ServerTls::new(Arc::new(pki.server())).unwrap();
//! #     let machine = smtp::Server::new("mail.example.org", &[]).unwrap();
//! #     let transport = listener.accept().unwrap().0;
//! #     let mut stream = starttls_std::accept(transport, machine, &tls).unwrap();
//! #     stream.read_exact(&mut [0; 6]).unwrap();
//! #     stream.write_all(b"250 inside TLS\r\n").unwrap();
//! #     stream.close().unwrap();
//! # });
//! # let socket = Socket(embedded_io_adapters::std::FromStd::new(transport));
//! # assert_eq!(&pollster::block_on(say(socket, &tls, Delay))?, b"250 inside TLS\r\n");
//! # server.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Deadlines
//!
//! A UART knows no lost carrier, so that a peer that is gone is only ever noticed by a clock.
//!
//! - **Blocking.** A transport that gives up by itself ([`TimedOut`](embedded_io::ErrorKind)) needs
//!   nothing more; that error is passed on, and the stream lives. One that is
//!   [`ReadReady`](embedded_io::ReadReady) and [`WriteReady`](embedded_io::WriteReady) can be given
//!   a deadline by your clock: [`Until`] (or [`UntilRead`], where writes end by themselves) goes to
//!   the functions in `_by` and to [`Stream::by`]. With neither there is no deadline. A flush cannot
//!   be asked whether it waits, so that a transport's own must end.
//! - **Asynchronous.** A timer of yours is any future, such as
//!   [`delay_ms`](https://docs.rs/embedded-hal-async/1/embedded_hal_async/delay/trait.DelayNs.html).
//!
//! A deadline that passed is [`Error::TimedOut`] and final: a dropped future of the transport may
//! have lost octets, and so the stream says that and nothing else from then on.
//!
//! # Another TLS library
//!
//! Without the feature `rustls` this crate needs neither an allocator nor compare-and-swap. What is
//! left are [`negotiate`] and its kin: they go up to the hand-over, and give the transport to the
//! TLS library of your choice, embedded-tls for example, and a
//! [`ForeignTls`](starttls::negotiate::ForeignTls), with which the machines behind the hand-over
//! are told what it decrypted. [`submit_inside`] does so for a mail, and the firmware `embedded_tls`
//! of `examples/stm32f405` is a whole device that does it. Whom to trust is the library's business, or
//! that of a verifier of yours: [`pins`](starttls::pins) has what one needs that trusts a key.
//!
//! # Features
//!
//! - `rustls` (on by default): the stream and `submit`.
//! - `log`, `defmt`: how negotiations, sessions and submissions go; errors as `defmt::Format`.
#![cfg_attr(
    not(feature = "rustls"),
    allow(rustdoc::broken_intra_doc_links, reason = "half of the tables is not there")
)]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "rustls")]
extern crate alloc;

mod asynchronous;
mod blocking;
#[cfg(feature = "rustls")]
mod channel;
mod compose;
mod deadline;
mod error;
mod inside;
mod negotiation;
mod resumed;
mod step;
#[cfg(feature = "rustls")]
mod stream;
#[cfg(feature = "rustls")]
mod submit;

pub use asynchronous::{negotiate_async, negotiate_async_by, submit_inside_async};
pub use blocking::{negotiate, negotiate_by, submit_inside};
pub use compose::Composed;
pub use deadline::{Deadline, Until, UntilRead};
pub use error::{Error, Failure};
pub use negotiation::{FirstRecords, Negotiated};
pub use resumed::{Ahead, Resumed};

#[cfg(feature = "rustls")]
pub use crate::{
    asynchronous::{
        accept_async, accept_async_by, accept_or_plaintext_async, connect_async, connect_async_by,
        connect_or_plaintext_async, submit_async, submit_async_by,
    },
    blocking::{
        accept, accept_by, accept_or_plaintext, connect, connect_by, connect_or_plaintext, submit,
        submit_by,
    },
    channel::{Buffers, Channel, Plaintext},
    error::Broken,
    stream::{By, Stream},
};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
