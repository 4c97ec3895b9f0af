//! Fuzzes the client of `ldap`.
#![no_main]
starttls_fuzz::target!(Client, "ldap");
