//! Opportunistic TLS over tokio.
