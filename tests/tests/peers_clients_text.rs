//! curl and Python's own libraries against our servers for IMAP, POP3, FTP, NNTP and HTTPS: they
//! require the upgrade or begin with TLS, verify, log in and fetch what is inside.

use starttls::tls::Version;
use starttls_tests::peers::{Ca, Missing, PASSWORD, Program, USER, curl, python, skip_or_fail};
use starttls_tests::serving::Scripted;

const MAIL: &str = "Subject: inside\r\n\r\nTLS\r\n";

/// What curl says to each server, and prints.
const CURL: &[(&str, &str, &[&str], &str)] = &[
    (
        "imap",
        "INBOX;MAILINDEX=1",
        &[
            "CAPABILITY",
            "AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==",
            "SELECT INBOX",
            "FETCH 1 BODY[]",
            "LOGOUT",
        ],
        MAIL,
    ),
    ("pop3", "1", &["CAPA", "USER alice", "PASS secret", "RETR 1", "QUIT"], MAIL),
    (
        "ftp",
        "file",
        &[
            "USER alice",
            "PASS secret",
            "PBSZ 0",
            "PROT P",
            "PWD",
            "EPSV",
            "TYPE I",
            "SIZE file",
            "RETR file",
            "QUIT",
        ],
        "inside\r\n",
    ),
    ("http", "file", &["GET /file"], "inside\r\n"),
];

/// It hangs up behind its one request.
fn curl_of(url: &str, version: Version, ca: &Ca) -> Result<Program, Missing> {
    Ok(curl(version, &ca.root_pem)?.args(["--header", "Connection: close", url]))
}

fn curl_everywhere() -> Result<(), Missing> {
    let (ca, stranger) = (Ca::new(), Ca::new());
    for &(scheme, path, heard, printed) in CURL {
        let implicit = format!("{scheme}s");
        // curl knows nothing of upgrades to HTTP over TLS.
        for scheme in [scheme, &implicit].into_iter().filter(|&scheme| scheme != "http") {
            for version in [Version::Tls12, Version::Tls13] {
                let server = Scripted::start(scheme, &ca.server);
                let url = format!("{scheme}://localhost:{}/{path}", server.port);
                let ran = curl_of(&url, version, &ca)?.run();
                assert!(ran.status.success(), "{url} {ran:#?}");
                assert_eq!(ran.stdout, printed, "{url} {ran:#?}");
                server.heard(1, version, heard);
            }
            let server = Scripted::start(scheme, &ca.server);
            let url = format!("{scheme}://localhost:{}/{path}", server.port);
            let ran = curl_of(&url, Version::Tls13, &stranger)?.run();
            // "SSL peer certificate or SSH remote key was not OK".
            assert_eq!(ran.status.code(), Some(60), "{url} {ran:#?}");
            server.heard_nothing();
        }
    }
    Ok(())
}

#[test]
fn curl_requires_tls_and_fetches() {
    skip_or_fail(curl_everywhere());
}

const CONTEXT: &str = "
import ssl, sys
implicit, port, root, version, user, password = sys.argv[1:]
implicit, port = implicit == 'implicit', int(port)
context = ssl.create_default_context(cafile=root)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
";

/// Has Python do `what` at our servers of these schemes, with `context` and `port` in hand: first
/// in both versions, then to be turned away by a certificate for another name.
fn python_does(
    library: &str,
    schemes: &[&str],
    what: &str,
    printed: &str,
    heard: &[&str],
) -> Result<(), Missing> {
    let ca = Ca::new();
    for (scheme, door) in schemes.iter().zip(["upgrade", "implicit"]) {
        let client = |port: u16, version| {
            let script = format!("import {library}{CONTEXT}{what}");
            let client = python(library)?.args([&script, door, &port.to_string()]);
            Ok(client.arg(&ca.root_pem).args([version, USER, PASSWORD]))
        };
        for (name, version) in [("TLSv1_2", Version::Tls12), ("TLSv1_3", Version::Tls13)] {
            let server = Scripted::start(scheme, &ca.server);
            let ran = client(server.port, name)?.run();
            assert!(ran.status.success(), "{scheme} {ran:#?}");
            assert_eq!(ran.stdout, printed, "{scheme} {ran:#?}");
            server.heard(1, version, heard);
        }
        let server = Scripted::start(scheme, &ca.wrong_name);
        let ran = client(server.port, "TLSv1_3")?.run();
        assert_eq!(ran.status.code(), Some(1), "{scheme} {ran:#?}");
        assert!(ran.stderr.contains("Hostname mismatch"), "{scheme} {ran:#?}");
        server.heard_nothing();
    }
    Ok(())
}

#[test]
fn python_imaplib_logs_in_and_fetches_a_mail() {
    let what = r#"
if implicit:
    server = imaplib.IMAP4_SSL("localhost", port, ssl_context=context, timeout=20)
else:
    server = imaplib.IMAP4("localhost", port, timeout=20)
    server.starttls(context)
server.login(user, password)
print(server.select()[1], server.fetch("1", "(BODY[])")[1][0][1])
server.logout()
"#;
    let heard =
        &["CAPABILITY", "LOGIN alice \"secret\"", "SELECT INBOX", "FETCH 1 (BODY[])", "LOGOUT"];
    skip_or_fail(python_does(
        "imaplib",
        &["imap", "imaps"],
        what,
        "[b'1'] b'Subject: inside\\r\\n\\r\\nTLS\\r\\n'\n",
        heard,
    ));
}

#[test]
fn python_poplib_logs_in_and_fetches_a_mail() {
    let what = r#"
if implicit:
    server = poplib.POP3_SSL("localhost", port, context=context, timeout=20)
else:
    server = poplib.POP3("localhost", port, timeout=20)
    server.stls(context)
server.user(user), server.pass_(password)
print(server.stat(), server.retr(1)[1])
server.quit()
"#;
    let heard = &["USER alice", "PASS secret", "STAT", "RETR 1", "QUIT"];
    skip_or_fail(python_does(
        "poplib",
        &["pop3", "pop3s"],
        what,
        "(1, 24) [b'Subject: inside', b'', b'TLS']\n",
        heard,
    ));
}

#[test]
fn python_nntplib_logs_in_and_fetches_an_article() {
    let what = r#"
if implicit:
    server = nntplib.NNTP_SSL("localhost", port, ssl_context=context, timeout=20)
else:
    server = nntplib.NNTP("localhost", port, timeout=20)
    server.starttls(context)
server.login(user, password)
print(server.group("test")[1:], server.article("1")[1].lines)
server.quit()
"#;
    let heard = &[
        "CAPABILITIES",
        "authinfo user alice",
        "authinfo pass secret",
        "CAPABILITIES",
        "GROUP test",
        "ARTICLE 1",
        "QUIT",
    ];
    skip_or_fail(python_does(
        "nntplib",
        &["nntp", "nntps"],
        what,
        "(1, 1, 1, 'test') [b'Subject: inside', b'', b'TLS']\n",
        heard,
    ));
}

/// It knows no implicit TLS.
#[test]
fn python_ftplib_logs_in_and_fetches_a_file() {
    let what = r#"
server = ftplib.FTP_TLS(context=context, timeout=20)
server.connect("localhost", port)
server.login(user, password)
server.prot_p()
print(server.pwd())
server.retrlines("RETR file")
server.retrlines("LIST")
server.quit()
"#;
    let heard = &[
        "USER alice",
        "PASS secret",
        "PBSZ 0",
        "PROT P",
        "PWD",
        "TYPE A",
        "PASV",
        "RETR file",
        "TYPE A",
        "PASV",
        "LIST",
        "QUIT",
    ];
    skip_or_fail(python_does(
        "ftplib",
        &["ftp"],
        what,
        "/\ninside\n-rw-r--r-- 1 alice alice 8 Jan  1 00:00 file\n",
        heard,
    ));
}
