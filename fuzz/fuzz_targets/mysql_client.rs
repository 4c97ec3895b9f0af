//! Fuzzes the client of `mysql`.
#![no_main]
starttls_fuzz::target!(Client, "mysql");
