//! Fuzzes the client of `imap`.
#![no_main]
starttls_fuzz::target!(Client, "imap");
