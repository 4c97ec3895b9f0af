//! WIP
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod error;
pub mod negotiate;
pub mod protocol;
pub mod submission;
pub mod wire;

pub use error::Error;
