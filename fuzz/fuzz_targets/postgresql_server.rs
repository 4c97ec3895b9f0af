//! Fuzzes the server of `postgresql`.
#![no_main]
starttls_fuzz::target!(Server, "postgresql");
