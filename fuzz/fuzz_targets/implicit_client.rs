//! Fuzzes the client of `implicit`.
#![no_main]
starttls_fuzz::target!(Client, "implicit");
