//! Fuzzes the server of `imap`.
#![no_main]
starttls_fuzz::target!(Server, "imap");
