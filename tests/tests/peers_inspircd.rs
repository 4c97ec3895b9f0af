//! Our client at InspIRCd, which says nothing before the client does.

use starttls_tests::peers::{Ca, Channel, Client, InspIrcd, skip_or_fail};

/// The end of the welcome.
const END: &str = "Message of the day file is missing.";

/// Registers, is counted as secure, and leaves.
fn registers(mut irc: Channel) {
    irc.send("NICK alice\r\nUSER alice 0 * :Alice\r\n");
    let welcome = irc.until(&format!(" alice :{END}\r\n"));
    assert!(welcome.contains(":irc.test 001 alice :Welcome to the Tests "), "{welcome}");
    irc.send("WHOIS alice\r\n");
    let about = irc.until(" 318 alice alice :End of /WHOIS list.\r\n");
    assert!(about.contains(" 671 alice alice :is using a secure connection\r\n"), "{about}");
    irc.send("QUIT\r\n");
    let (said, end) = irc.rest();
    assert_eq!(said, "ERROR :Closing link: (alice@127.0.0.1) [Client exited]\r\n");
    end.unwrap();
}

#[test]
fn a_client_registers_over_tls() {
    let ca = Ca::new();
    let Some(inspircd) = skip_or_fail(InspIrcd::start(&ca)) else { return };
    for client in Client::both(&ca) {
        registers(client.connect("irc", inspircd.irc));
        client.takes_for_no_other("irc", inspircd.irc);
    }
}
