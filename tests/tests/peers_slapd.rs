//! Our client at OpenLDAP's slapd.

use starttls_tests::peers::{Ca, Channel, Client, PASSWORD, Slapd, skip_or_fail};

/// An element whose length takes one octet.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    assert!(contents.len() < 128);
    [&[tag, contents.len() as u8], contents].concat()
}

/// An LDAPMessage. StartTLS was number 1.
fn message(number: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, number], operation].concat())
}

fn bind(name: &str, password: &str) -> Vec<u8> {
    let name = element(0x04, name.as_bytes());
    let password = element(0x80, password.as_bytes());
    element(0x60, &[&[2, 1, 3][..], &name, &password].concat())
}

/// LDAPResult: the code, no name, no text.
fn result(tag: u8, code: u8) -> Vec<u8> {
    element(tag, &[0x0a, 1, code, 0x04, 0, 0x04, 0])
}

fn expect(ldap: &mut Channel, message: &[u8]) {
    assert_eq!(ldap.octets(message.len()), message);
}

#[test]
fn slapd_lets_the_administrator_in_inside_tls() {
    let ca = Ca::new();
    let Some(slapd) = skip_or_fail(Slapd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut ldap = client.connect("ldap", slapd.ldap);
        ldap.send(message(2, &bind(Slapd::ADMIN, "wrong")));
        expect(&mut ldap, &message(2, &result(0x61, 49)));
        ldap.send(message(3, &bind(Slapd::ADMIN, PASSWORD)));
        expect(&mut ldap, &message(3, &result(0x61, 0)));
        // Who am I? (RFC 4532)
        ldap.send(message(4, &element(0x77, &element(0x80, b"1.3.6.1.4.1.4203.1.11.3"))));
        let whoami = format!("dn:{}", Slapd::ADMIN);
        let result =
            [&[0x0a, 1, 0, 0x04, 0, 0x04, 0][..], &element(0x8b, whoami.as_bytes())].concat();
        expect(&mut ldap, &message(4, &element(0x78, &result)));
        ldap.send(message(5, &[0x42, 0]));
        assert!(ldap.ends());
    }
}

#[test]
fn slapd_is_not_taken_for_another() {
    let ca = Ca::new();
    let Some(slapd) = skip_or_fail(Slapd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        client.takes_for_no_other("ldap", slapd.ldap);
    }
}
