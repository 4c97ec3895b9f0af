//! Fuzzes the client of `postgresql`.
#![no_main]
starttls_fuzz::target!(Client, "postgresql");
