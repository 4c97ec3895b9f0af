//! What is said first inside TLS, to real servers, and what those answer who are asked for TLS
//! again.

use starttls::inside::Inside;
use starttls::negotiate::{self, Negotiate, Server};
use starttls::protocol::{InsideClient, Names, http, mysql, postgresql, scheme, xmpp};
use starttls::wire::Out;
use starttls_tests::peers::{Ca, Client, Cups, MariaDb, PostgreSql, Prosody, skip_or_fail};

/// The client's machine of a scheme for the inside.
fn inside(name: &str) -> InsideClient<'static> {
    let names = Names { peer: Prosody::DOMAIN, ..Names::new("client.test") };
    scheme(name).unwrap().inside_client(names).unwrap()
}

/// What our server would answer to one frame.
fn answer(mut machine: impl Inside<Side = Server>, frame: &[u8]) -> Vec<u8> {
    let mut storage = [0; 512];
    let mut out = Out::new(&mut storage);
    machine.process(frame, b"", &mut out).expect_err("a refusal");
    out.octets().to_vec()
}

#[test]
fn cups_has_answered_when_the_channel_is_the_applications() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(Cups::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let machine = http::Client::new("localhost").unwrap().then(inside("http"));
        let mut connection = client.connect_by(machine, server.http);
        connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        // The first line is of the answer to this, and not to OPTIONS.
        assert_eq!(connection.line(), "HTTP/1.1 200 OK");
        let fields = connection.lines_to("Content-Length: ");
        let length = format!("Content-Length: {}", Cups::PAGE.len());
        assert_eq!(fields.last(), Some(&length));
    }
}

#[test]
fn prosody_has_told_its_features_when_the_channel_is_the_applications() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(Prosody::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let machine = xmpp::Client::to_server(Prosody::DOMAIN).unwrap().then(inside("xmpp-client"));
        let mut connection = client.connect_by(machine, server.client);
        // "\0alice\0secret"
        connection.send(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
         AGFsaWNlAHNlY3JldA==</auth>",
        );
        let success = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
        assert_eq!(connection.octets(success.len()), success);

        let machine = xmpp::Client::server_to_server("client.test", Prosody::DOMAIN).unwrap();
        let machine = machine.then(inside("xmpp-server"));
        let mut connection = client.connect_by(machine, server.server);
        connection.send("</stream:stream>");
        assert_eq!(connection.octets(16), b"</stream:stream>");
    }
}

#[test]
fn prosody_refuses_starttls_inside_tls_as_our_server_does() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(Prosody::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let machine = xmpp::Client::to_server(Prosody::DOMAIN).unwrap().then(inside("xmpp-client"));
        let mut connection = client.connect_by(machine, server.client);
        connection.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        let refusal = b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
        assert_eq!(
            connection.octets(refusal.len()).escape_ascii().to_string(),
            refusal.escape_ascii().to_string()
        );
    }
}

#[test]
fn postgresql_refuses_requests_inside_tls_as_our_server_does() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(PostgreSql::start(&ca)) else { return };
    for client in Client::both(&ca) {
        for code in [47, 48] {
            let machine = postgresql::Client::new().then(inside("postgresql"));
            let mut connection = client.connect_by(machine, server.postgresql);
            let request = [0, 0, 0, 8, 4, 210, 22, code];
            connection.send(request);
            let ours = answer(postgresql::InsideServer::new(), &request);
            // All but the length and the text, which is the last field of ours.
            let theirs = connection.octets(ours.len());
            let text = ours.iter().rposition(|&octet| octet == b'M').unwrap();
            assert_eq!((theirs[0], &theirs[5..=text]), (ours[0], &ours[5..=text]));
        }
    }
}

#[test]
fn mariadb_refuses_a_request_inside_tls_as_our_server_does() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(MariaDb::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let machine = mysql::Client::new().then(inside("mysql"));
        let mut connection = client.connect_by(machine, server.mysql);
        let mut request = [0; 36];
        request[..13].copy_from_slice(&[32, 0, 0, 2, 5, 0x8a, 8, 0, 0, 0, 0, 1, 45]);
        connection.send(request);
        let ours = answer(mysql::InsideServer::new(), &request[..6]);
        let theirs = connection.octets(ours.len());
        assert_eq!(theirs.escape_ascii().to_string(), ours.escape_ascii().to_string());
    }
}

/// The machines of the table fit those that negotiate.
#[test]
fn machines_are_for_the_same_row() {
    fn row(machine: &impl Negotiate<Side = negotiate::Client>) -> &'static str {
        machine.row().name
    }
    for name in ["http", "xmpp-client", "xmpp-server", "postgresql", "mysql", "telnet"] {
        let client = scheme(name).unwrap().client(Names::new("client.test")).unwrap();
        assert_eq!(row(&client), inside(name).row().name);
    }
}
