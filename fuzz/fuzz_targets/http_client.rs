//! Fuzzes the client of `http`.
#![no_main]
starttls_fuzz::target!(Client, "http");
