//! Our client at Dovecot: IMAP, POP3 and ManageSieve.

use starttls_tests::peers::{Ca, Client, Dovecot, PASSWORD, USER, skip_or_fail};

#[test]
fn imap_logs_in_inside_tls() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut imap = client.connect("imap", dovecot.imap);
        imap.send("a CAPABILITY\r\n");
        let lines = imap.lines_to("a ");
        assert!(lines[0].starts_with("* CAPABILITY IMAP4rev1 "), "{lines:?}");
        assert!(!lines[0].contains("STARTTLS") && lines[0].contains("AUTH=PLAIN"), "{lines:?}");
        imap.send(format!("b LOGIN {USER} {PASSWORD}\r\nc SELECT INBOX\r\n"));
        assert!(imap.lines_to("b ").pop().unwrap().starts_with("b OK "));
        let inbox = imap.lines_to("c ");
        assert!(inbox.iter().any(|line| line == "* 0 EXISTS"), "{inbox:?}");
        imap.send("d LOGOUT\r\n");
        assert!(imap.lines_to("d ").pop().unwrap().starts_with("d OK "));
        assert!(imap.ends());
    }
}

#[test]
fn pop3_logs_in_inside_tls() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut pop3 = client.connect("pop3", dovecot.pop3);
        pop3.send("CAPA\r\n");
        let lines = pop3.lines_to(".");
        assert!(lines.iter().any(|line| line == "USER"), "{lines:?}");
        assert!(!lines.iter().any(|line| line == "STLS"), "{lines:?}");
        pop3.send(format!("USER {USER}\r\nPASS {PASSWORD}\r\n"));
        assert_eq!(pop3.line(), "+OK");
        assert!(pop3.line().starts_with("+OK "));
        pop3.send("STAT\r\nQUIT\r\n");
        assert_eq!(pop3.line(), "+OK 0 0");
        assert!(pop3.line().starts_with("+OK "));
        assert!(pop3.ends());
    }
}

#[test]
fn managesieve_greets_again_and_logs_in_inside_tls() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for client in Client::both(&ca) {
        let mut sieve = client.connect("managesieve", dovecot.managesieve);
        // Unasked, for what was said before TLS is forgotten (RFC 5804 §2.2).
        let greeting = sieve.lines_to("OK");
        assert!(greeting.iter().any(|line| line.starts_with("\"SASL\" \"PLAIN ")), "{greeting:?}");
        assert!(!greeting.iter().any(|line| line == "\"STARTTLS\""), "{greeting:?}");
        // NUL, alice, NUL, secret.
        sieve.send("AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHNlY3JldA==\"\r\n");
        assert!(sieve.line().starts_with("OK"));
        sieve.send("HAVESPACE \"mine\" 10\r\nLOGOUT\r\n");
        assert!(sieve.line().starts_with("OK"));
        assert!(sieve.line().starts_with("OK"));
        assert!(sieve.ends());
    }
}

#[test]
fn dovecot_greets_first_inside_implicit_tls() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for client in Client::both(&ca) {
        for (scheme, port, greeting) in
            [("imaps", dovecot.imaps, "* OK [CAPABILITY "), ("pop3s", dovecot.pop3s, "+OK ")]
        {
            let line = client.connect(scheme, port).line();
            assert!(line.starts_with(greeting), "{line}");
            client.takes_for_no_other(scheme, port);
        }
    }
}

#[test]
fn dovecot_is_not_taken_for_another() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    for client in Client::both(&ca) {
        client.takes_for_no_other("imap", dovecot.imap);
        client.takes_for_no_other("pop3", dovecot.pop3);
        client.takes_for_no_other("managesieve", dovecot.managesieve);
    }
}
