//! Fuzzes the client of `managesieve`.
#![no_main]
starttls_fuzz::target!(Client, "managesieve");
