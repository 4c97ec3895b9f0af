//! Our client at CUPS, whose answer to the request that asked for TLS comes inside TLS.

use starttls_tests::peers::{Ca, Client, Cups, skip_or_fail};

#[test]
fn a_page_comes_over_the_upgraded_connection() {
    let ca = Ca::new();
    let Some(cups) = skip_or_fail(Cups::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut http = client.connect("http", cups.http);
        // To the OPTIONS of before.
        let answer = http.until("\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 0\r\n"), "{answer}");

        http.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let head = http.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let (page, end) = http.rest();
        assert_eq!(page, Cups::PAGE);
        end.unwrap();
        client.takes_for_no_other("http", cups.http);
    }
}
