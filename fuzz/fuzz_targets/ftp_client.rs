//! Fuzzes the client of `ftp`.
#![no_main]
starttls_fuzz::target!(Client, "ftp");
