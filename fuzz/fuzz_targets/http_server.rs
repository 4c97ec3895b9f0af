//! Fuzzes the server of `http`.
#![no_main]
starttls_fuzz::target!(Server, "http");
