//! Fuzzes the client of `lmtp`.
#![no_main]
starttls_fuzz::target!(Client, "lmtp");
