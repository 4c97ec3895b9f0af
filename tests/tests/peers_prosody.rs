//! Our client at Prosody, for clients and for servers.

use starttls_tests::peers::{Ca, Client, Prosody, skip_or_fail};

/// A stream header as it is sent again inside TLS (RFC 6120 §4.2).
fn header(namespace: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{namespace}' \
         xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
         to='{}' from='client.test' version='1.0'>",
        Prosody::DOMAIN
    )
}

#[test]
fn a_client_logs_in() {
    let ca = Ca::new();
    let Some(prosody) = skip_or_fail(Prosody::start(&ca)) else { return };
    for client in Client::both(&ca).map(|client| client.calling(Prosody::DOMAIN)) {
        let mut channel = client.connect("xmpp-client", prosody.client);
        channel.send(header("jabber:client").replace(" from='client.test'", ""));
        let features = channel.until("</stream:features>");
        assert!(features.contains("<mechanism>PLAIN</mechanism>"), "{features}");
        assert!(!features.contains("urn:ietf:params:xml:ns:xmpp-tls"), "{features}");

        // "\0alice\0secret"
        channel.send(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
             AGFsaWNlAHNlY3JldA==</auth>",
        );
        assert_eq!(channel.until(">"), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        channel.send(header("jabber:client").replace(" from='client.test'", ""));
        let features = channel.until("</stream:features>");
        assert!(features.contains("urn:ietf:params:xml:ns:xmpp-bind"), "{features}");
        channel.send("</stream:stream>");
        let (said, end) = channel.rest();
        assert_eq!(said, "</stream:stream>");
        end.unwrap();
        client.takes_for_no_other("xmpp-client", prosody.client);
    }
}

#[test]
fn a_server_is_offered_dialback() {
    let ca = Ca::new();
    let Some(prosody) = skip_or_fail(Prosody::start(&ca)) else { return };
    for client in Client::both(&ca).map(|client| client.calling(Prosody::DOMAIN)) {
        let mut channel = client.connect("xmpp-server", prosody.server);
        channel.send(header("jabber:server"));
        let features = channel.until("</stream:features>");
        assert!(features.contains("<dialback xmlns='urn:xmpp:features:dialback'/>"), "{features}");
        assert!(!features.contains("urn:ietf:params:xml:ns:xmpp-tls"), "{features}");
        channel.send("</stream:stream>");
        let (said, end) = channel.rest();
        assert_eq!(said, "</stream:stream>");
        end.unwrap();
        client.takes_for_no_other("xmpp-server", prosody.server);
    }
}
