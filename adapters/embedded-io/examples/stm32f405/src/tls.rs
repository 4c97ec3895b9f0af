//! TLS, by one library or the other.

#[cfg(feature = "rustls")]
pub mod rustls;
