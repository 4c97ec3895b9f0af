//! Fuzzes the server of `ldap`.
#![no_main]
starttls_fuzz::target!(Server, "ldap");
