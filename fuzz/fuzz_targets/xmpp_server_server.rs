//! Fuzzes the server of `xmpp-server`.
#![no_main]
starttls_fuzz::target!(Server, "xmpp-server");
