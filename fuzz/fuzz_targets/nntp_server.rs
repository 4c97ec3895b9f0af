//! Fuzzes the server of `nntp`.
#![no_main]
starttls_fuzz::target!(Server, "nntp");
