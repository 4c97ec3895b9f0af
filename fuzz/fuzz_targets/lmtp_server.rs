//! Fuzzes the server of `lmtp`.
#![no_main]
starttls_fuzz::target!(Server, "lmtp");
