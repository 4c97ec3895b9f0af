//! Our client at INN's nnrpd, which lets nobody in before TLS.

use starttls_tests::peers::{Ca, Client, Nnrpd, PASSWORD, USER, skip_or_fail};

#[test]
fn a_reader_logs_in_inside_tls_and_cannot_upgrade_twice() {
    let ca = Ca::new();
    let Some(nnrpd) = skip_or_fail(Nnrpd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut nntp = client.connect("nntp", nnrpd.nntp);
        // There is no second greeting (RFC 4642 §2.2.2): the first line answers this.
        nntp.send("CAPABILITIES\r\n");
        let lines = nntp.lines_to(".");
        assert_eq!(lines[..2], ["101 Capability list:", "VERSION 2"]);
        assert!(lines.iter().any(|line| line.starts_with("AUTHINFO USER ")), "{lines:?}");
        assert!(!lines.iter().any(|line| line == "STARTTLS"), "{lines:?}");
        let group = format!("211 0 1 0 {}", Nnrpd::GROUP);
        for (command, reply) in [
            // RFC 4642 §2.2.1.
            ("STARTTLS", "502 Already using a security layer"),
            (&format!("GROUP {}", Nnrpd::GROUP), "480 Authentication required for command"),
            (&format!("AUTHINFO USER {USER}"), "381 Enter password"),
            (&format!("AUTHINFO PASS {PASSWORD}"), "281 Authentication succeeded"),
            ("STARTTLS", "502 Already using a security layer"),
            (&format!("GROUP {}", Nnrpd::GROUP), &group),
            ("QUIT", "205 Bye!"),
        ] {
            nntp.send(format!("{command}\r\n"));
            assert_eq!(nntp.line(), reply, "{command}");
        }
        assert!(nntp.ends());
        client.takes_for_no_other("nntp", nnrpd.nntp);
    }
}
