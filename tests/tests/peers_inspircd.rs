//! InspIRCd, which says nothing before the client does.

use starttls_tests::peers::{Ca, Conversation, InspIrcd, skip_or_fail};

#[test]
fn a_client_registers_over_tls() {
    let ca = Ca::new();
    let Some(inspircd) = skip_or_fail(InspIrcd::start(&ca)) else { return };
    let mut channel = Conversation::connect("irc", inspircd.irc, "localhost", &ca).unwrap();
    channel.send("NICK alice\r\nUSER alice 0 * :Alice\r\n");
    // 376 or 422 end the welcome.
    let welcome = channel.until(" alice :Message of the day file is missing.\r\n");
    assert!(welcome.contains(":irc.test 001 alice :Welcome to the Tests "), "{welcome}");
    channel.send("WHOIS alice\r\n");
    let about = channel.until(" 318 alice alice :End of /WHOIS list.\r\n");
    assert!(about.contains(" 671 alice alice :is using a secure connection\r\n"), "{about}");
    channel.send("QUIT\r\n");
    let (said, end) = channel.rest();
    assert_eq!(said, "ERROR :Closing link: (alice@127.0.0.1) [Client exited]\r\n");
    end.unwrap();
}
