//! Opportunistic TLS over `embedded-io` and `embedded-io-async`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "rustls")]
extern crate alloc;

mod asynchronous;
mod blocking;
#[cfg(feature = "rustls")]
mod channel;
mod deadline;
mod error;
mod negotiation;
mod resumed;
mod step;
#[cfg(feature = "rustls")]
mod stream;
#[cfg(feature = "rustls")]
mod submit;

pub use asynchronous::{negotiate_async, negotiate_async_by};
pub use blocking::{negotiate, negotiate_by};
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
