//! Fuzzes the client of `xmpp-client`.
#![no_main]
starttls_fuzz::target!(Client, "xmpp-client");
