//! vsftpd, whose answer to FEAT comes in two segments.

use std::io;

use starttls_tests::peers::{Ca, Conversation, Vsftpd, skip_or_fail};

#[test]
fn anonymous_logs_in_and_the_missing_end_is_noticed() {
    let ca = Ca::new();
    let Some(vsftpd) = skip_or_fail(Vsftpd::start(&ca)) else { return };
    let mut channel = Conversation::connect("ftp", vsftpd.ftp, "localhost", &ca).unwrap();
    for (command, reply) in [
        ("PBSZ 0", "200 PBSZ set to 0.\r\n"),
        ("PROT P", "200 PROT now Private.\r\n"),
        ("USER anonymous", "230 Login successful.\r\n"),
        ("SIZE hello.txt", "213 6\r\n"),
        ("PWD", "257 \"/\" is the current directory\r\n"),
    ] {
        channel.send(&format!("{command}\r\n"));
        assert_eq!(channel.until("\r\n"), reply, "{command}");
    }
    channel.send("QUIT\r\n");
    // It closes the connection without close_notify.
    let (said, end) = channel.rest();
    assert_eq!(said, "221 Goodbye.\r\n");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
