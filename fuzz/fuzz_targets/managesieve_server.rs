//! Fuzzes the server of `managesieve`.
#![no_main]
starttls_fuzz::target!(Server, "managesieve");
