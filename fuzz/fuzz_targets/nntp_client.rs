//! Fuzzes the client of `nntp`.
#![no_main]
starttls_fuzz::target!(Client, "nntp");
