//! Fuzzes the server of `nnsp`.
#![no_main]
starttls_fuzz::target!(Server, "nnsp");
