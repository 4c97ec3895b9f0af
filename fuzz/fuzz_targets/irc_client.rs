//! Fuzzes the client of `irc`.
#![no_main]
starttls_fuzz::target!(Client, "irc");
