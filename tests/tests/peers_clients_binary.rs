//! The own clients of OpenLDAP, PostgreSQL, MariaDB and CUPS against our servers: they verify,
//! log in and are told something.

use std::fs;

use starttls::tls::Version;
use starttls_tests::peers::{Ca, Missing, PASSWORD, Program, USER, skip_or_fail};
use starttls_tests::serving::Scripted;

/// Both versions, as a client calls them.
fn versions<'a>(tls12: &'a str, tls13: &'a str) -> [(&'a str, Version); 2] {
    [(tls12, Version::Tls12), (tls13, Version::Tls13)]
}

/// Runs a client against our server of a scheme: first in both versions, then to be turned away by
/// a certificate for another name. `program` makes it for a port.
fn check(
    scheme: &str,
    versions: [(&str, Version); 2],
    program: impl Fn(u16, &str, &Ca) -> Result<Program, Missing>,
    printed: &str,
    heard: &[&str],
) -> Result<(), Missing> {
    let ca = Ca::new();
    for (flag, version) in versions {
        let program = |port| program(port, flag, &ca);
        gets_through(scheme, version, &ca, program, printed, heard)?;
        let server = Scripted::start(scheme, &ca.wrong_name);
        let ran = program(server.port)?.run();
        assert!(!ran.status.success(), "{scheme} {flag} {ran:#?}");
        server.heard_nothing();
    }
    Ok(())
}

fn gets_through(
    scheme: &str,
    version: Version,
    ca: &Ca,
    program: impl Fn(u16) -> Result<Program, Missing>,
    printed: &str,
    heard: &[&str],
) -> Result<(), Missing> {
    let server = Scripted::start(scheme, &ca.server);
    let ran = program(server.port)?.run();
    assert!(ran.status.success(), "{scheme} {version:?} {ran:#?}");
    assert_eq!(ran.stdout, printed, "{scheme} {version:?} {ran:#?}");
    server.heard(1, version, heard);
    Ok(())
}

#[test]
fn ldapsearch_binds_and_searches_inside_tls_only() {
    for (scheme, option, heard) in [
        ("ldap", Some("-ZZ"), ["2 bind cn=alice secret", "3 search dc=test", "4 unbind"]),
        ("ldaps", None, ["1 bind cn=alice secret", "2 search dc=test", "3 unbind"]),
    ] {
        let ran = check(
            scheme,
            versions("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"),
            |port, priority, ca| {
                // For localhost it would want the name of this machine.
                Ok(Program::find("ldapsearch")?
                    .env("LDAPTLS_CACERT", &ca.root_pem)
                    .env("LDAPTLS_REQCERT", "demand")
                    .env("LDAPTLS_CIPHER_SUITE", priority)
                    .args(["-H", &format!("{scheme}://127.0.0.1:{port}"), "-x", "-LLL"])
                    .args(["-D", &format!("cn={USER}"), "-w", PASSWORD, "-b", "dc=test"])
                    .args(option))
            },
            "dn: dc=test\ndescription: inside\n\n",
            &heard,
        );
        skip_or_fail(ran);
    }
}

#[test]
fn psql_verifies_logs_in_and_selects() {
    let ran = check(
        "postgresql",
        versions("TLSv1.2", "TLSv1.3"),
        |port, version, ca| {
            let to = format!("host=localhost port={port} user={USER} dbname=test");
            let tls = format!(
                "sslmode=verify-full sslrootcert={} ssl_min_protocol_version={version} \
                 ssl_max_protocol_version={version}",
                ca.root_pem.display(),
            );
            Ok(Program::find("psql")?
                .env("PGPASSWORD", PASSWORD)
                .args(["--no-psqlrc", "--no-align", "--tuples-only", "--command", "select 1"])
                .arg(format!("{to} {tls}")))
        },
        "inside\n",
        &["[0, 3, 0, 0] user alice database test", "p secret", "Q select 1", "X"],
    );
    skip_or_fail(ran);
}

#[test]
fn mariadb_goes_on_inside_tls_from_what_was_said_before() {
    let ran = check(
        "mysql",
        versions("TLSv1.2", "TLSv1.3"),
        |port, version, ca| {
            Ok(Program::find("mariadb")?
                .arg("--no-defaults")
                .args(["--protocol=TCP", "--host=localhost", &format!("--port={port}")])
                .args([format!("--user={USER}"), format!("--password={PASSWORD}")])
                .args(["--ssl-verify-server-cert", &format!("--tls-version={version}")])
                .arg(format!("--ssl-ca={}", ca.root_pem.display()))
                .args(["--batch", "--skip-column-names", "--execute=select 1"]))
        },
        "inside\n",
        &["alice knows the password", "\x03select 1", "\x01"],
    );
    skip_or_fail(ran);
}

/// It asks for the upgrade by OPTIONS, and our server answers that first (RFC 2817 §3.3). Whom it
/// trusts is its own affair, and no part of this.
fn cups() -> Result<(), Missing> {
    let ca = Ca::new();
    for (digit, version) in versions("2", "3") {
        let home = ca.dir().join(digit);
        fs::create_dir_all(home.join(".cups")).expect("a directory");
        let settings = format!("SSLOptions MinTLS1.{digit} MaxTLS1.{digit}\n");
        fs::write(home.join(".cups/client.conf"), settings).expect("a file");
        let lpstat = |port| {
            let server = format!("localhost:{port}");
            Ok(Program::find("lpstat")?.env("HOME", &home).args(["-E", "-h", &server, "-d"]))
        };
        let printed = "system default destination: inside\n";
        gets_through("http", version, &ca, lpstat, printed, &["POST /"])?;
    }
    Ok(())
}

#[test]
fn cups_upgrades_and_asks_for_the_printer() {
    skip_or_fail(cups());
}
