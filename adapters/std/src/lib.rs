//! Opportunistic TLS over std.
