//! Fuzzes the server of `telnet`.
#![no_main]
starttls_fuzz::target!(Server, "telnet");
