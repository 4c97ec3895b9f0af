//! Fuzzes the server of `irc`.
#![no_main]
starttls_fuzz::target!(Server, "irc");
