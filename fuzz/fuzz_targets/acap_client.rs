//! Fuzzes the client of `acap`.
#![no_main]
starttls_fuzz::target!(Client, "acap");
