//! Fuzzes the client of `smtp`.
#![no_main]
starttls_fuzz::target!(Client, "smtp");
