//! Fuzzes the server of `xmpp-client`.
#![no_main]
starttls_fuzz::target!(Server, "xmpp-client");
