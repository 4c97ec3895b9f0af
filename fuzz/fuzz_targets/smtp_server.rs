//! Fuzzes the server of `smtp`.
#![no_main]
starttls_fuzz::target!(Server, "smtp");
