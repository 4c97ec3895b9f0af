//! Fuzzes the client of `xmpp-server`.
#![no_main]
starttls_fuzz::target!(Client, "xmpp-server");
