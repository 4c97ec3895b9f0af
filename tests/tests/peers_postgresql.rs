//! Our client at PostgreSQL.

use starttls_tests::peers::{Ca, Channel, Client, PostgreSql, skip_or_fail};

/// A length, which counts itself, and what it is the length of.
fn counted(contents: &[u8]) -> Vec<u8> {
    [&(contents.len() as u32 + 4).to_be_bytes(), contents].concat()
}

/// The next message: its type and its contents.
fn message(connection: &mut Channel) -> (u8, Vec<u8>) {
    let head = connection.octets(5);
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    (head[0], connection.octets(length as usize - 4))
}

/// The messages up to ReadyForQuery, which is not among them.
fn messages(connection: &mut Channel) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    loop {
        match message(connection) {
            (b'Z', state) => {
                assert_eq!(state, b"I");
                return messages;
            }
            message => messages.push(message),
        }
    }
}

#[test]
fn postgresql_lets_us_in_inside_tls() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(PostgreSql::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut connection = client.connect("postgresql", server.postgresql);
        let startup =
            [&[0, 3, 0, 0], &b"user\0"[..], PostgreSql::ADMIN.as_bytes(), b"\0\0"].concat();
        connection.send(counted(&startup));
        // AuthenticationOk.
        assert_eq!(messages(&mut connection)[0], (b'R', vec![0; 4]));
        let query = b"SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()\0";
        connection.send([b"Q", &counted(query)[..]].concat());
        let [(b'T', _), (b'D', row), (b'C', tag)] = &messages(&mut connection)[..] else {
            panic!("{}", server.log());
        };
        assert_eq!(row, b"\0\x02\0\0\0\x01t\0\0\0\x07TLSv1.3");
        assert_eq!(tag, b"SELECT 1\0");
        connection.send([b"X", &counted(b"")[..]].concat());
    }
}

#[test]
fn postgresql_is_not_taken_for_another() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(PostgreSql::start(&ca)) else { return };
    for client in Client::both(&ca) {
        client.takes_for_no_other("postgresql", server.postgresql);
    }
}
