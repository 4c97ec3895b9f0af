//! TLS, by one library or the other.

#[cfg(feature = "embedded-tls")]
pub mod embedded_tls;
#[cfg(feature = "rustls")]
pub mod rustls;
