//! The examples of the adapters at real servers: client crates, and OpenSSL, behind our upgrade.

use std::path::{Path, PathBuf};

use starttls_tests::peers::{
    Ca, Dovecot, PASSWORD, Postfix, PostgreSql, Program, Ran, Slapd, USER, Vsftpd, skip_or_fail,
};

/// An example as cargo built it, beside the tests.
///
/// # Panics
///
/// If it is not there: tests that run a part of what was built prove nothing.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test");
    let built = test.parent().and_then(Path::parent).expect("the build's directory");
    let file = built.join("examples").join(name);
    assert!(file.is_file(), "{} is missing: cargo build --workspace --examples", file.display());
    file
}

/// An example about to be run at a server on this machine.
struct Example<'a> {
    name: &'a str,
    port: u16,
    password: &'a str,
    more: &'a [&'a str],
    input: &'a [u8],
}

impl<'a> Example<'a> {
    fn new(name: &'a str, port: u16, more: &'a [&'a str]) -> Self {
        Self { name, port, password: PASSWORD, more, input: b"" }
    }

    /// Runs it, and lets it trust this authority only.
    fn run(&self, ca: &Ca) -> Ran {
        Program::new("/usr/bin/env")
            .arg(format!("PASSWORD={}", self.password))
            .arg(example(self.name))
            .args(["localhost", &self.port.to_string()])
            .arg(&ca.root_pem)
            .args(self.more)
            .input(self.input)
            .run()
    }

    /// Runs it, and gives what it prints.
    fn prints(&self, ca: &Ca) -> String {
        let ran = self.run(ca);
        assert!(ran.status.success(), "{ran:#?}");
        ran.stdout
    }

    /// Runs it, and gives what it complains of.
    fn fails(&self, ca: &Ca) -> String {
        let ran = self.run(ca);
        assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran:#?}");
        ran.stderr
    }

    /// Runs it with an authority the server is not of.
    fn fails_unverified(&self, why: &str) {
        let complaint = self.fails(&Ca::new());
        assert!(complaint.contains(why), "{complaint}");
    }
}

/// Why rustls does not take a server: the authorities of two tests have the same name, so what
/// gives them away is the signature.
const STRANGER: &str = "BadSignature";

#[test]
fn async_imap_counts_the_messages_at_dovecot() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(curl) = skip_or_fail(Program::find("curl")) else { return };
    let imap = Example::new("imap", dovecot.imap, &[USER]);
    assert_eq!(imap.prints(&ca), "0 messages\n");
    // It has to know how long a message is.
    let message = ca.dir().join("message");
    std::fs::write(&message, "Subject: one\r\n\r\none\r\n").expect("a file");
    let append = curl
        .args(["--silent", "--show-error", "--ssl-reqd", "--user", &format!("{USER}:{PASSWORD}")])
        .args([Path::new("--upload-file"), &message, Path::new("--cacert"), &ca.root_pem])
        .arg(format!("imap://localhost:{}/INBOX", dovecot.imap))
        .run();
    assert!(append.status.success(), "{append:#?}");
    assert_eq!(imap.prints(&ca), "1 messages\n");
    imap.fails_unverified(STRANGER);
    let refused = Example { password: "wrong", ..imap }.fails(&ca);
    assert!(refused.contains("AUTHENTICATIONFAILED"), "{refused}");
}

#[test]
fn tokio_postgres_asks_postgresql_for_its_channel() {
    let ca = Ca::new();
    let Some(server) = skip_or_fail(PostgreSql::start(&ca)) else { return };
    let postgresql = Example::new("postgresql", server.postgresql, &[PostgreSql::ADMIN]);
    assert!(postgresql.prints(&ca).starts_with("TLSv1.3 TLS_"), "{}", server.log());
    postgresql.fails_unverified(STRANGER);
}

#[test]
fn ldap3_binds_and_searches_at_slapd() {
    let ca = Ca::new();
    let Some(slapd) = skip_or_fail(Slapd::start(&ca)) else { return };
    let ldap = Example::new("ldap", slapd.ldap, &[Slapd::ADMIN]);
    assert_eq!(ldap.prints(&ca), format!("{}\n", Slapd::SUFFIX));
    ldap.fails_unverified(STRANGER);
    // invalidCredentials (RFC 4511 §A.2).
    let refused = Example { password: "wrong", ..ldap }.fails(&ca);
    assert!(refused.contains("rc: 49"), "{refused}");
}

#[test]
fn suppaftp_retrieves_a_file_from_vsftpd() {
    let ca = Ca::new();
    let Some(vsftpd) = skip_or_fail(Vsftpd::start(&ca)) else { return };
    let ftp = Example::new("ftp", vsftpd.ftp, &["hello.txt"]);
    assert_eq!(ftp.prints(&ca), "hello\n");
    ftp.fails_unverified(STRANGER);
    let none = Example { more: &["none.txt"], ..ftp }.fails(&ca);
    assert!(none.contains("FileUnavailable"), "{none}");
}

#[test]
fn openssl_verifies_postfix_and_carries_a_message() {
    let ca = Ca::new();
    let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
    let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
    let message = b"From: alice@mail.test\r\nSubject: dots\r\n\r\n.\r\n..\r\nend\r\n";
    let (to, refused) = ("bob@mail.test", ["alice@mail.test", Postfix::REFUSED]);
    let mail = |port, more| Example { input: message, ..Example::new("openssl", port, more) };

    let more = &["alice@mail.test", to];
    for port in [postfix.expired, postfix.wrong_name, postfix.untrusted] {
        let complaint = mail(port, more).fails(&ca);
        assert!(complaint.contains("certificate verify failed"), "{complaint}");
    }
    // A port without STARTTLS: nothing of the message is said there.
    let complaint = mail(postfix.plaintext, more).fails(&ca);
    assert!(complaint.contains("PeerRefused"), "{complaint}");

    let said = mail(postfix.smtp, more).prints(&ca);
    assert!(said.starts_with("TLSv1.3\n250 2.0.0 "), "{said}");
    assert_eq!(postfix.mailbox(to).only_message(), message);
    let ran = mail(postfix.smtp, &refused).run(&ca);
    assert!(!ran.status.success() && ran.stderr.contains("550 5.1.1 "), "{ran:#?}");
}
