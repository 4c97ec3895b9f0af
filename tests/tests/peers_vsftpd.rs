//! Our client at vsftpd, whose answer to FEAT comes in two segments.

use std::io;

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

#[test]
fn anonymous_logs_in_and_the_missing_end_is_noticed() {
    let ca = Ca::new();
    let Some(vsftpd) = skip_or_fail(Vsftpd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut control = logged_in(&client, &vsftpd);
        for (command, reply) in
            [("SIZE hello.txt", "213 6"), ("PWD", "257 \"/\" is the current directory")]
        {
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
