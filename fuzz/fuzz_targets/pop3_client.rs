//! Fuzzes the client of `pop3`.
#![no_main]
starttls_fuzz::target!(Client, "pop3");
