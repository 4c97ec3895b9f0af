//! Fuzzes the server of `ftp`.
#![no_main]
starttls_fuzz::target!(Server, "ftp");
