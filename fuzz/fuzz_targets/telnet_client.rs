//! Fuzzes the client of `telnet`.
#![no_main]
starttls_fuzz::target!(Client, "telnet");
