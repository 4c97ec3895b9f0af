//! Our client at InspIRCd, which says nothing before the client does.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpStream;
use std::time::Duration;

use starttls_tests::peers::{Ca, Channel, Client, InspIrcd, skip_or_fail};

/// The end of the welcome.
const END: &str = "Message of the day file is missing.";

/// What a client without TLS is told that says these lines and then registers.
fn in_plaintext(port: u16, lines: &str) -> Vec<String> {
    let mut transport = TcpStream::connect(("127.0.0.1", port)).unwrap();
    transport.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let register = "NICK bob\r\nUSER bob 0 * :Bob\r\n";
    transport.write_all(format!("{lines}{register}").as_bytes()).unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(transport).lines() {
        let line = line.unwrap();
        if line.ends_with(END) {
            return told;
        }
        told.push(line);
    }
    panic!("not let in: {told:?}");
}

/// Whether the capability `tls` is in the answer to `CAP LS`.
fn is_offered(told: &[String]) -> bool {
    let answer = told.iter().find_map(|line| line.split_once(" CAP * LS :"));
    answer.is_some_and(|(_, capabilities)| capabilities.split(' ').any(|word| word == "tls"))
}

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
fn a_client_registers_over_tls_whether_or_not_the_capability_is_offered() {
    let ca = Ca::new();
    for offered in [true, false] {
        let modules = [InspIrcd::STARTTLS, InspIrcd::CAPABILITIES];
        let modules = if offered { &modules[..] } else { &modules[..1] };
        let Some(inspircd) = skip_or_fail(InspIrcd::start(&ca, modules)) else { return };
        let told = in_plaintext(inspircd.irc, "CAP LS\r\nCAP END\r\n");
        assert_eq!(is_offered(&told), offered, "{told:?}");
        for client in Client::both(&ca) {
            registers(client.connect("irc", inspircd.irc));
            client.takes_for_no_other("irc", inspircd.irc);
        }
    }
}

#[test]
fn without_its_module_starttls_is_met_with_silence() {
    let ca = Ca::new();
    let modules = [InspIrcd::CAPABILITIES];
    let Some(inspircd) = skip_or_fail(InspIrcd::start(&ca, &modules)) else { return };
    // Whoever goes on is let in, and never told of the line that was passed over.
    let told = in_plaintext(inspircd.irc, "CAP LS\r\nSTARTTLS\r\nCAP END\r\n");
    assert!(told[0].starts_with(":irc.test CAP * LS :") && !is_offered(&told), "{told:?}");
    let numeric = |line: &String| line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let numerics: Vec<u16> = told.iter().filter_map(numeric).collect();
    assert_eq!(numerics[..4], [1, 2, 3, 4], "{told:?}");
    assert!(!numerics.iter().any(|code| matches!(code, 400..)), "{told:?}");
    // Only the caller's deadline ends the wait for it.
    for client in Client::both(&ca) {
        match client.within(Duration::from_secs(2)).try_connect("irc", inspircd.irc) {
            Err(starttls_std::Error::Transport(error)) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
            }
            other => panic!("{other:?}"),
        }
    }
}
