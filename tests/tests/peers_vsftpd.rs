//! Our client at vsftpd, whose answer to FEAT comes in two segments.

use std::io;

use starttls::protocol::{Implicit, ftp};
use starttls_tests::peers::{Ca, Channel, Client, Vsftpd, skip_or_fail};

/// A control connection on which anonymous is logged in, with data connections protected
/// (RFC 4217 §9).
fn logged_in(client: &Client, vsftpd: &Vsftpd) -> Channel {
    let mut control = client.connect("ftp", vsftpd.ftp);
    for (command, reply) in [
        ("PBSZ 0", "200 PBSZ set to 0."),
        ("PROT P", "200 PROT now Private."),
        ("USER anonymous", "230 Login successful."),
    ] {
        control.send(format!("{command}\r\n"));
        assert_eq!(control.line(), reply, "{command}");
    }
    control
}

/// Asks where the data connection is to go.
fn data_port(control: &mut Channel, command: &str) -> u16 {
    control.send(format!("{command}\r\n"));
    let reply = control.line();
    let digits = |octet: char| octet.is_ascii_digit();
    let numbers = reply.split(|octet| !digits(octet)).filter_map(|number| number.parse().ok());
    match numbers.collect::<Vec<u16>>()[..] {
        // `(|||port|)` (RFC 2428 §3).
        [229, port] => port,
        // The octets of the address and of the port (RFC 959 §4.1.2).
        [227, 127, 0, 0, 1, high, low] => high << 8 | low,
        _ => panic!("{reply}"),
    }
}

#[test]
fn anonymous_logs_in_and_the_missing_end_is_noticed() {
    let ca = Ca::new();
    let Some(vsftpd) = skip_or_fail(Vsftpd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut control = logged_in(&client, &vsftpd);
        for (command, reply) in [
            (&*format!("SIZE {}", Vsftpd::FILE), "213 6"),
            ("PWD", "257 \"/\" is the current directory"),
        ] {
            control.send(format!("{command}\r\n"));
            assert_eq!(control.line(), reply, "{command}");
        }
        control.send("QUIT\r\n");
        // It closes the connection without close_notify.
        let (said, end) = control.rest();
        assert_eq!(said, "221 Goodbye.\r\n");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        client.takes_for_no_other("ftp", vsftpd.ftp);
    }
}

#[test]
fn a_data_connection_resumes_the_session_of_its_control_connection_or_is_refused() {
    let ca = Ca::new();
    let Some(vsftpd) = skip_or_fail(Vsftpd::start(&ca)) else { return };
    for command in ["EPSV", "PASV"] {
        for (client, stranger) in Client::both(&ca).into_iter().zip(Client::both(&ca)) {
            let mut control = logged_in(&client, &vsftpd);
            for (data_client, resumes) in [(&client, true), (&stranger, false)] {
                let port = data_port(&mut control, command);
                control.send("LIST\r\n");
                // TLS from the first octet, with the same session cache or one of its own.
                let data = data_client.connect_by(Implicit::client(&ftp::FTP), port);
                assert_eq!(data.session().resumed(), resumes);
                let (list, end) = data.rest();
                end.unwrap();
                assert_eq!(list.lines().count(), usize::from(resumes), "{list}");
                assert_eq!(list.ends_with(&format!(" {}\r\n", Vsftpd::FILE)), resumes, "{list}");
                assert_eq!(control.line(), "150 Here comes the directory listing.");
                let refused = "522 SSL connection failed: session reuse required";
                let end = if resumes { "226 Directory send OK." } else { refused };
                assert_eq!(control.line(), end);
            }
        }
    }
}
