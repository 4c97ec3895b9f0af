//! Fuzzes the server of `pop3`.
#![no_main]
starttls_fuzz::target!(Server, "pop3");
