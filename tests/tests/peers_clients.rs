//! The clients of others against our server: STARTTLS and implicit TLS, both versions, whole mails.

use std::path::Path;

use starttls::error::TlsError;
use starttls::tls::Version;
use starttls_tests::peers::{
    Ca, OpenSsl, PASSWORD, Program, Ran, Swaks, USER, curl, gnutls_cli, skip_or_fail,
};
use starttls_tests::serving::{Ended, Serving, Taken};

/// Dots where they hurt, octets above 127, no header but the one.
const MESSAGE: &[u8] =
    b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nGr\xc3\xbc\xc3\x9fe\r\nend\r\n";

/// The same behind DATA.
const DATA: &str =
    "Subject: dots\r\n\r\n..\r\n...\r\n..x\r\n\r\n..\r\nGr\u{fc}\u{df}e\r\nend\r\n.\r\n";

const FROM: &str = "alice@mail.test";
const TO: &str = "bob@mail.test";

const STARTTLS_DOORS: [(&str, Option<&str>); 3] =
    [("smtp", Some("smtp")), ("lmtp", Some("lmtp")), ("smtps", None)];
const VERSIONS: [(&str, Version); 2] = [("1_2", Version::Tls12), ("1_3", Version::Tls13)];

fn taken(version: Version, login: bool) -> Taken {
    Taken { from: FROM.into(), to: vec![TO.into()], login, message: MESSAGE.into(), version }
}

/// A whole session as a client types it, `hello` being EHLO or LHLO.
fn typed(hello: &str) -> String {
    format!(
        "{hello} client.test\r\nMAIL FROM:<{FROM}> BODY=8BITMIME\r\nRCPT TO:<{TO}>\r\nDATA\r\n{DATA}QUIT\r\n"
    )
}

/// What our server answers to it.
fn answered(implicit: bool) -> String {
    let greeting = if implicit { "220 mail.test ESMTP service ready\r\n" } else { "" };
    format!(
        "{greeting}250-mail.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
         250-CHUNKING\r\n250-SIZE 10000000\r\n250 ENHANCEDSTATUSCODES\r\n\
         250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n354 End with <CR><LF>.<CR><LF>\r\n\
         250 2.0.0 Message accepted\r\n221 2.0.0 Bye\r\n"
    )
}

fn hello(scheme: &str) -> &'static str {
    if scheme == "lmtp" { "LHLO" } else { "EHLO" }
}

#[track_caller]
fn succeeded(ran: &Ran) {
    assert!(ran.status.success(), "{ran:#?}");
}

macro_rules! program {
    ($program:expr) => {
        match skip_or_fail($program) {
            Some(program) => program,
            None => return,
        }
    };
}

#[test]
fn openssl_verifies_us_and_hears_every_reply() {
    let ca = Ca::new();
    for (scheme, protocol) in STARTTLS_DOORS {
        for (flag, version) in VERSIONS {
            let server = Serving::start(scheme, &ca.server);
            let client = OpenSsl::new(server.port, protocol, &ca.root_pem);
            let flag = format!("-tls{flag}");
            let typed = typed(hello(scheme));
            let ran = program!(client.program()).args([&flag]).input(typed.clone()).run();
            succeeded(&ran);
            assert!(ran.stdout.contains("Verify return code: 0 (ok)\n"), "{ran:#?}");
            let protocol = format!("{}, Cipher is ", version.name());
            assert!(ran.stdout.contains(&protocol), "{ran:#?}");

            let ran = program!(client.program()).args([&flag, "-quiet"]).input(typed).run();
            succeeded(&ran);
            assert_eq!(ran.stdout, answered(scheme == "smtps"), "{scheme} {flag}");
            assert_eq!(server.mails(), vec![taken(version, false); 2], "{scheme} {flag}");
            assert_eq!(server.ends(2), vec![Ended::Quit { close_notify: true }; 2], "{scheme}");
        }
    }
}

#[test]
fn openssl_resumes() {
    let ca = Ca::new();
    let ticket = ca.dir().join("session.pem");
    for (flag, version) in VERSIONS {
        let server = Serving::start("smtp", &ca.server);
        let client = OpenSsl::new(server.port, Some("smtp"), &ca.root_pem);
        for (option, how) in [("-sess_out", "New"), ("-sess_in", "Reused")] {
            let flag = format!("-tls{flag}");
            let program = program!(client.program()).args([&*flag, option]).arg(&ticket);
            let ran = program.input(typed("EHLO")).run();
            succeeded(&ran);
            let line = format!("{how}, {}, Cipher is ", version.name());
            assert!(ran.stdout.contains(&line), "{ran:#?}");
        }
        assert_eq!(server.mails(), vec![taken(version, false); 2]);
    }
}

#[test]
fn openssl_does_not_verify_what_is_wrong_and_we_hear_why() {
    let ca = Ca::new();
    for (identity, alert, words) in [
        (&ca.expired, 45, "certificate has expired"),
        (&ca.untrusted, 48, "self-signed certificate in certificate chain"),
        (&ca.wrong_name, 42, "hostname mismatch"),
    ] {
        for (flag, _) in VERSIONS {
            let server = Serving::start("smtp", identity);
            let client = OpenSsl::new(server.port, Some("smtp"), &ca.root_pem);
            let flag = format!("-tls{flag}");
            let ran = program!(client.program()).arg(&flag).input(typed("EHLO")).run();
            assert_eq!(ran.status.code(), Some(1), "{ran:#?}");
            assert!(ran.stderr.contains(words), "{ran:#?}");
            let ends = server.ends(1);
            let heard = TlsError::AlertReceived(alert).into();
            // With TLS 1.3 a server is done before it hears of the client's doubts.
            assert!(
                ends == [Ended::NoChannel(Some(heard))] || ends == [Ended::Inside(heard)],
                "{words} {flag} {ends:?}"
            );
            assert_eq!(server.mails(), []);
        }
    }
}

/// swaks by any door.
fn swaks(port: u16, root: &Path, options: &[&str]) -> Program {
    Swaks { port, root_pem: root.to_owned(), to: TO }.program(MESSAGE).expect("asked").args(options)
}

#[test]
fn swaks_delivers_by_every_door_and_login() {
    let ca = Ca::new();
    let _ = program!(Program::find("swaks"));
    let login = |mechanism: &'static str| {
        vec!["--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD]
    };
    for (scheme, mut options, logs_in) in [
        ("smtp", vec![], false),
        ("lmtp", vec!["--protocol", "LMTP"], false),
        ("submission", login("PLAIN"), true),
        ("submission", login("LOGIN"), true),
        ("submissions", login("PLAIN"), true),
        ("smtps", vec![], false),
    ] {
        let server = match logs_in {
            true => Serving::with_login(scheme, &ca.server),
            false => Serving::start(scheme, &ca.server),
        };
        if scheme.ends_with('s') {
            options.extend(["--no-tls", "--tls-on-connect"]);
        }
        for (flag, version) in [("tlsv1_2", Version::Tls12), ("tlsv1_3", Version::Tls13)] {
            let before = server.mails().len();
            let ran =
                swaks(server.port, &ca.root_pem, &options).args(["--tls-protocol", flag]).run();
            succeeded(&ran);
            assert_eq!(server.mails()[before..], [taken(version, logs_in)], "{scheme} {ran:#?}");
        }
        assert!(server.ends(2).iter().all(|end| matches!(end, Ended::Quit { .. })));
    }
}

#[test]
fn swaks_is_turned_away_without_the_password() {
    let ca = Ca::new();
    let _ = program!(Program::find("swaks"));
    let server = Serving::with_login("submission", &ca.server);
    let wrong = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", "wrong"];
    let ran = swaks(server.port, &ca.root_pem, &wrong).run();
    // "Error occurred while trying to authenticate".
    assert_eq!(ran.status.code(), Some(28), "{ran:#?}");
    assert!(ran.stdout.contains("<~* 535 5.7.8 Authentication failed\n"), "{ran:#?}");
    let ran = swaks(server.port, &ca.root_pem, &[]).run();
    // "Error sending MAIL FROM".
    assert_eq!(ran.status.code(), Some(23), "{ran:#?}");
    assert!(ran.stdout.contains("<~* 530 5.7.0 Authentication required\n"), "{ran:#?}");
    assert_eq!(server.mails(), []);
}

#[test]
fn gnutls_cli_by_both_doors() {
    let ca = Ca::new();
    for (scheme, protocol) in STARTTLS_DOORS {
        for (_, version) in VERSIONS {
            let server = Serving::start(scheme, &ca.server);
            let client = gnutls_cli(server.port, protocol, version, &ca.root_pem);
            let ran = program!(client).input(typed(hello(scheme))).run();
            succeeded(&ran);
            assert!(ran.stderr.contains("The certificate is trusted."), "{ran:#?}");
            assert_eq!(ran.stdout, answered(scheme == "smtps"), "{ran:#?}");
            assert_eq!(server.mails(), [taken(version, false)], "{scheme} {ran:#?}");
            assert!(matches!(server.ends(1)[..], [Ended::Quit { .. }]));
        }
    }
}

const SMTPLIB: &str = r#"
import smtplib, ssl, sys
door, port, root, version, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
if door == "implicit":
    server = smtplib.SMTP_SSL("localhost", int(port), context=context, timeout=20)
else:
    server = smtplib.SMTP("localhost", int(port), timeout=20)
    server.ehlo()
    assert not server.has_extn("auth"), "AUTH before TLS"
    print(server.starttls(context=context))
print(server.ehlo()[0], server.has_extn("starttls"))
print(server.login(user, password))
message = open(0, "rb").read()
print(server.sendmail("alice@mail.test", ["bob@mail.test"], message, ["BODY=8BITMIME"]))
print(server.quit())
"#;

#[test]
fn python_smtplib_logs_in_and_sends() {
    let ca = Ca::new();
    for (door, scheme) in [("starttls", "submission"), ("implicit", "submissions")] {
        for (name, version) in [("TLSv1_2", Version::Tls12), ("TLSv1_3", Version::Tls13)] {
            let server = Serving::with_login(scheme, &ca.server);
            let ran = program!(Program::find("python3"))
                .args(["-c", SMTPLIB, door, &server.port.to_string()])
                .arg(&ca.root_pem)
                .args([name, USER, PASSWORD])
                .input(MESSAGE)
                .run();
            succeeded(&ran);
            let go_ahead = if door == "starttls" { "(220, b'Go ahead')\n" } else { "" };
            let said = format!(
                "{go_ahead}250 False\n(235, b'2.7.0 Logged in')\n{{}}\n(221, b'2.0.0 Bye')\n"
            );
            assert_eq!(ran.stdout, said, "{ran:#?}");
            assert_eq!(server.mails(), [taken(version, true)]);
        }
    }
}

#[test]
fn curl_requires_tls_and_sends() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    for scheme in ["smtp", "smtps"] {
        for (_, version) in VERSIONS {
            let name = scheme.replace("smtp", "submission");
            let server = Serving::with_login(&name, &ca.server);
            let client = |root: &Path| {
                let program = curl(version, root)?
                    .args(["--mail-from", FROM, "--mail-rcpt", TO, "--upload-file", "-"])
                    .arg(format!("{scheme}://localhost:{}/client.test", server.port));
                Ok(program.input(MESSAGE))
            };
            let ran = program!(client(&ca.root_pem)).run();
            succeeded(&ran);
            assert_eq!(server.mails(), [taken(version, true)]);
            // Many records, and dots at the front of many lines.
            let large =
                b".seventy-eight octets of a line that begins with a dot, ............ .......\r\n"
                    .repeat(40_000);
            let ran = program!(client(&ca.root_pem)).input(&large[..]).run();
            succeeded(&ran);
            assert!(server.mails()[1].message == large, "{}", server.mails()[1].message.len());
            // "SSL peer certificate or SSH remote key was not OK".
            let ran = program!(client(&stranger.root_pem)).run();
            assert_eq!(ran.status.code(), Some(60), "{ran:#?}");
            assert_eq!(server.mails().len(), 2);
        }
    }
}
