//! `openssl s_client` and `gnutls-cli` against our servers, by every upgrade they know and by
//! implicit TLS. What is typed is sent behind the upgrade: all of it has to be heard inside TLS,
//! and all answers have to be seen there.

use starttls::protocol::mysql;
use starttls::tls::Version;
use starttls_tests::peers::{
    Ca, Missing, OpenSsl, PASSWORD, Program, gnutls_cli, native_password, skip_or_fail,
};
use starttls_tests::serving::ldap::{BOUND, DONE, ENTRY, message};
use starttls_tests::serving::{RANDOM, Scripted, mysql as mysql_script, postgresql};

/// A session as both sides see it.
struct Case {
    scheme: &'static str,
    openssl: Option<&'static str>,
    gnutls: Option<&'static str>,
    /// The scheme of the same inside implicit TLS, and what the server says first there.
    implicit: Option<(&'static str, &'static str)>,
    typed: Vec<u8>,
    heard: &'static [&'static str],
    answered: Vec<u8>,
}

impl Case {
    /// For a protocol of lines, whose name is the same everywhere.
    fn lines(
        scheme: &'static str,
        implicit: Option<(&'static str, &'static str)>,
        heard: &'static [&'static str],
        answered: &str,
    ) -> Self {
        Self {
            scheme,
            openssl: Some(scheme),
            gnutls: Some(scheme),
            implicit,
            typed: heard.iter().flat_map(|line| [line, "\r\n"].concat().into_bytes()).collect(),
            heard,
            answered: answered.into(),
        }
    }
}

const CLIENT_HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='mail.test' version='1.0'>";
const SERVER_HEADER: &str = "<stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' to='mail.test' from='client.test' version='1.0'>";
const SASL: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
    AGFsaWNlAHNlY3JldA==</auth>";

fn cases() -> Result<Vec<Case>, Missing> {
    let imap = Case {
        typed: b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n".into(),
        ..Case::lines(
            "imap",
            Some(("imaps", "* OK [CAPABILITY IMAP4rev1] inside\r\n")),
            &["LOGIN alice secret", "SELECT INBOX", "LOGOUT"],
            "a OK logged in\r\n* 1 EXISTS\r\nb OK [READ-WRITE] selected\r\n\
             * BYE inside\r\nc OK done\r\n",
        )
    };
    let pop3 = Case::lines(
        "pop3",
        Some(("pop3s", "+OK inside\r\n")),
        &["USER alice", "PASS secret", "STAT", "QUIT"],
        "+OK\r\n+OK logged in\r\n+OK 1 24\r\n+OK bye\r\n",
    );
    let ftp = Case::lines(
        "ftp",
        Some(("ftps", "220 inside\r\n")),
        &["USER alice", "PASS secret", "PBSZ 0", "PROT P", "PWD", "QUIT"],
        "331 password\r\n230 logged in\r\n200 PBSZ=0\r\n200 private\r\n257 \"/\"\r\n221 bye\r\n",
    );
    let nntp = Case::lines(
        "nntp",
        Some(("nntps", "200 inside\r\n")),
        &["AUTHINFO USER alice", "AUTHINFO PASS secret", "GROUP test", "QUIT"],
        "381 password\r\n281 logged in\r\n211 1 1 1 test\r\n205 bye\r\n",
    );
    let managesieve = Case {
        openssl: Some("sieve"),
        gnutls: Some("sieve"),
        ..Case::lines(
            "managesieve",
            None,
            &["AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHNlY3JldA==\"", "LISTSCRIPTS", "LOGOUT"],
            "\"SASL\" \"PLAIN\"\r\nOK \"inside\"\r\nOK \"logged in\"\r\n\"inside\" ACTIVE\r\nOK\r\n\
             OK \"bye\"\r\n",
        )
    };
    let irc = Case {
        gnutls: None,
        ..Case::lines(
            "irc",
            Some(("ircs", "")),
            &["NICK alice", "USER alice 0 * :Alice", "QUIT"],
            ":mail.test 001 alice :Welcome inside\r\nERROR :bye\r\n",
        )
    };
    let telnet = Case {
        gnutls: None,
        ..Case::lines(
            "telnet",
            Some(("telnets", "")),
            &["alice", "secret", "exit"],
            "login: Password: \r\n$ bye\r\n",
        )
    };
    let xmpp_client = Case {
        openssl: Some("xmpp"),
        gnutls: Some("xmpp"),
        ..Case::lines(
            "xmpp-client",
            Some(("xmpp-clients", "")),
            &[CLIENT_HEADER, SASL, "</stream:stream>"],
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             from='mail.test' id='2' version='1.0'><stream:features><mechanisms \
             xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
             </stream:features><success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:stream>",
        )
    };
    let xmpp_server = Case {
        gnutls: None,
        ..Case::lines(
            "xmpp-server",
            Some(("xmpp-servers", "")),
            &[SERVER_HEADER, "</stream:stream>"],
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             from='mail.test' to='client.test' id='2' version='1.0'><stream:features/>\
             </stream:stream>",
        )
    };
    let ldap = Case {
        // Bind as cn=alice, search for dc=test and all below, unbind.
        typed: [
            message(2, b"\x60\x15\x02\x01\x03\x04\x08cn=alice\x80\x06secret"),
            message(
                3,
                b"\x63\x27\x04\x07dc=test\x0a\x01\x02\x0a\x01\0\x02\x01\0\x02\x01\0\x01\x01\0\
                  \x87\x0bobjectClass\x30\0",
            ),
            message(4, b"\x42\0"),
        ]
        .concat(),
        answered: [message(2, BOUND), message(3, ENTRY), message(3, DONE)].concat(),
        ..Case::lines(
            "ldap",
            Some(("ldaps", "")),
            &["2 bind cn=alice secret", "3 search dc=test", "4 unbind"],
            "",
        )
    };
    let postgresql = Case {
        openssl: Some("postgres"),
        gnutls: Some("postgres"),
        typed: b"\0\0\0\x22\0\x03\0\0user\0alice\0database\0test\0\0\
                 p\0\0\0\x0bsecret\0Q\0\0\0\x0dselect 1\0X\0\0\0\x04"
            .into(),
        answered: [postgresql::ASK, postgresql::LET_IN, postgresql::ROW].concat(),
        ..Case::lines(
            "postgresql",
            Some(("postgresqls", "")),
            &["[0, 3, 0, 0] user alice database test", "p secret", "Q select 1", "X"],
            "",
        )
    };
    let nonce = mysql::Server::new("8.0.0", RANDOM).expect("a version").nonce();
    let mysql = Case {
        gnutls: None,
        // HandshakeResponse41 with the flags of openssl's SSLRequest, COM_QUERY, COM_QUIT.
        typed: [
            &b"\x51\0\0\x02\x85\xae\x7f\0\0\0\0\x01\x21"[..],
            &[0; 23],
            b"alice\0\x14",
            &native_password(PASSWORD, &nonce)?,
            b"mysql_native_password\0",
            b"\x09\0\0\0\x03select 1\x01\0\0\0\x01",
        ]
        .concat(),
        answered: [mysql_script::LET_IN, mysql_script::ROW].concat(),
        ..Case::lines("mysql", None, &["alice knows the password", "\x03select 1", "\x01"], "")
    };
    Ok(vec![
        imap,
        pop3,
        ftp,
        nntp,
        managesieve,
        irc,
        telnet,
        xmpp_client,
        xmpp_server,
        ldap,
        postgresql,
        mysql,
    ])
}

/// HTTP, which none of them upgrades.
fn https() -> Case {
    Case {
        openssl: None,
        gnutls: None,
        typed: b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into(),
        ..Case::lines(
            "http",
            Some(("https", "")),
            &["GET /"],
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\ninside\r\n",
        )
    }
}

/// Runs a client against the server of each case, by both doors and in both versions. `program`
/// makes it, for a port, an upgrade and a version, and `alpn` is its option for the one scheme that
/// takes nobody who does not name it.
fn each_case(
    alpn: &'static str,
    upgrade: impl Fn(&Case) -> Option<&'static str>,
    program: impl Fn(u16, Option<&'static str>, Version, &Ca) -> Result<Program, Missing>,
) -> Result<(), Missing> {
    let ca = Ca::new();
    for case in cases()?.into_iter().chain([https()]) {
        let starttls = upgrade(&case).map(|name| (case.scheme, Some(name), ""));
        let implicit = case.implicit.map(|(scheme, greeting)| (scheme, None, greeting));
        for (scheme, upgrade, greeting) in starttls.into_iter().chain(implicit) {
            for version in [Version::Tls12, Version::Tls13] {
                let server = Scripted::start(scheme, &ca.server);
                let client = program(server.port, upgrade, version, &ca)?;
                let named = (scheme == "postgresqls").then_some([alpn, "postgresql"]);
                let client = client.args(named.into_iter().flatten());
                let ran = client.input(case.typed.clone()).run();
                assert!(ran.status.success(), "{scheme} {version:?} {ran:#?}");
                let answered = [greeting.as_bytes(), &case.answered].concat();
                let answered = String::from_utf8_lossy(&answered);
                assert_eq!(ran.stdout, answered, "{scheme} {version:?} {ran:#?}");
                server.heard(1, version, case.heard);
            }
        }
    }
    Ok(())
}

#[test]
fn openssl_gets_through_every_door() {
    let ran = each_case(
        "-alpn",
        |case| case.openssl,
        |port, upgrade, version, ca| {
            let client = OpenSsl::new(port, upgrade, &ca.root_pem).program()?;
            let flag = version.name().replace("TLSv1.", "-tls1_");
            Ok(client.args(["-quiet", &flag]))
        },
    );
    skip_or_fail(ran);
}

#[test]
fn gnutls_cli_gets_through_every_door() {
    let ran = each_case(
        "--alpn",
        |case| case.gnutls,
        |port, upgrade, version, ca| gnutls_cli(port, upgrade, version, &ca.root_pem),
    );
    skip_or_fail(ran);
}
