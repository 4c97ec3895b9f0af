//! Our client at MariaDB: what the machine knows from before TLS is what it takes to log in.

use starttls::protocol::mysql;
use starttls_tests::peers::{
    Ca, Channel, Client, MariaDb, Missing, PASSWORD, USER, native_password, skip_or_fail,
};

type Connection = Channel<mysql::Client>;

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [a, b, c, _] = (payload.len() as u32).to_le_bytes();
    [&[a, b, c, sequence], payload].concat()
}

/// The next packet: its sequence number and its payload.
fn next(connection: &mut Connection) -> (u8, Vec<u8>) {
    let head = connection.octets(4);
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    (head[3], connection.octets(length as usize))
}

/// HandshakeResponse41 with the flags of SSLRequest.
fn response(machine: &mysql::Client, password: &str) -> Result<Vec<u8>, Missing> {
    let answer = native_password(password, &machine.nonce())?;
    Ok([
        &machine.flags().to_le_bytes()[..],
        &mysql::MAX_PACKET.to_le_bytes(),
        &[mysql::CHARACTER_SET],
        &[0; 23],
        USER.as_bytes(),
        &[0, answer.len() as u8],
        &answer,
        b"mysql_native_password\0",
    ]
    .concat())
}

#[test]
fn mariadb_lets_us_in_with_what_the_machine_knows() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(MariaDb::start(&ca)) else { return };
    for client in Client::both(&ca) {
        for (password, let_in) in [(PASSWORD, true), ("wrong", false)] {
            let mut connection = client.connect_by(mysql::Client::new(), server.mysql);
            let machine = connection.machine();
            let Some(response) = skip_or_fail(response(machine, password)) else { return };
            let sequence = machine.sequence();
            connection.send(packet(sequence, &response));
            let (sequence, payload) = next(&mut connection);
            assert_eq!(sequence, 3);
            if !let_in {
                // ER_ACCESS_DENIED_ERROR.
                assert_eq!(payload[..3], [0xff, 0x15, 0x04], "{}", payload.escape_ascii());
                continue;
            }
            assert_eq!(payload[0], 0, "{}", payload.escape_ascii());
            connection.send(packet(0, b"\x03SHOW STATUS LIKE 'Ssl_version'"));
            // The number of columns, both of them, an end; the row, an end.
            let packets: Vec<_> = (0..6).map(|_| next(&mut connection)).collect();
            assert_eq!(packets[0], (1, vec![2]));
            assert_eq!(packets[4], (5, b"\x0bSsl_version\x07TLSv1.3".to_vec()));
            connection.send(packet(0, b"\x01"));
        }
    }
}

#[test]
fn the_machine_of_the_table_gets_there_too() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(MariaDb::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut connection = client.connect("mysql", server.mysql);
        // The server waits for the HandshakeResponse: a packet out of order ends it.
        connection.send(packet(9, b"x"));
        let head = connection.octets(5);
        assert_eq!(head[4], 0xff, "{head:?}");
    }
}

#[test]
fn mariadb_is_not_taken_for_another() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(MariaDb::start(&ca)) else { return };
    for client in Client::both(&ca) {
        client.takes_for_no_other("mysql", server.mysql);
    }
}
