//! Fuzzes the server of `acap`.
#![no_main]
starttls_fuzz::target!(Server, "acap");
