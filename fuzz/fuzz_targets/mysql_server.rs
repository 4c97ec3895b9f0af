//! Fuzzes the server of `mysql`.
#![no_main]
starttls_fuzz::target!(Server, "mysql");
