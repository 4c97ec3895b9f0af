//! Fuzzes the client of `nnsp`.
#![no_main]
starttls_fuzz::target!(Client, "nnsp");
