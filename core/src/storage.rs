//! Buffers that a session owns.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};

mod sealed {
    pub trait Sealed {}
}

/// Fixed storage of octets: an array, a `&mut [u8]`, or with `alloc` a `Vec<u8>` (its length, not
/// its capacity) or a `Box<[u8]>`.
pub trait Storage: sealed::Sealed {
    /// All of it.
    fn octets(&self) -> &[u8];
    /// All of it, to be written.
    fn octets_mut(&mut self) -> &mut [u8];
}

macro_rules! storage {
    ($(#[$meta:meta])* [$($generics:tt)*] $type:ty) => {
        $(#[$meta])*
        impl<$($generics)*> sealed::Sealed for $type {}
        $(#[$meta])*
        impl<$($generics)*> Storage for $type {
            fn octets(&self) -> &[u8] {
                &self[..]
            }
            fn octets_mut(&mut self) -> &mut [u8] {
                &mut self[..]
            }
        }
    };
}

storage!([const N: usize] [u8; N]);
storage!([] &mut [u8]);
storage!(#[cfg(feature = "alloc")] [] Vec<u8>);
storage!(#[cfg(feature = "alloc")] [] Box<[u8]>);
