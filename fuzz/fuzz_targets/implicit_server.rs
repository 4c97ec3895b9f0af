//! Fuzzes the server of `implicit`.
#![no_main]
starttls_fuzz::target!(Server, "implicit");
