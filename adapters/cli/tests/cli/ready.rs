//! `--ready`: what the protocol says first inside TLS, on both sides.

use std::io::Write;

use rustls::version::TLS13;
use starttls_tests::dialogue::Dialogue;

use crate::support::{Ended, Files, Serve, line, negotiate, peer, rest, run};

fn connect(files: &Files, options: &str, url: &str, input: &[u8]) -> Ended {
    run(&format!("connect --ready --ca {} {options} {url}", files.path("ca.pem")), input)
}

/// Every scheme with something to say there; what the application says first crosses both machines
/// as it is.
#[test]
fn every_scheme_reaches_an_echo_of_the_application() {
    let files = Files::new();
    let mut tried = Vec::new();
    for dialogue in Dialogue::all() {
        let Some(proto) = dialogue.protocol().strip_suffix("-inside") else { continue };
        if tried.contains(&proto) {
            continue;
        }
        tried.push(proto);
        let application = dialogue.setting.octets("application");
        let server = Serve::start(&files, proto, "--ready --exec cat");
        let url = format!("{proto}://localhost:{}", server.port);
        let ended = connect(&files, "", &url, application);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, application, "{ended:?}");
        let secured = format!("starttls: secured {proto} localhost TLSv1.3 ");
        assert!(ended.stderr.starts_with(&secured), "{ended:?}");
    }
    assert!(tried.len() >= 3, "{tried:?}");
}

#[test]
fn the_ladder_shows_what_is_not_the_applications() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--ready --exec cat");
    let url = format!("smtp://localhost:{}", server.port);
    let ended = connect(&files, "--trace", &url, b"MAIL secret\r\n");
    let lines: Vec<_> = ended.stderr.lines().skip_while(|line| !line.contains(" TLS ")).collect();
    let inside: Vec<_> = lines.iter().filter(|line| !line.ends_with(" octets")).skip(1).collect();
    assert_eq!(inside[..2], [&"C: EHLO localhost", &"S: 250 localhost"], "{}", ended.stderr);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn a_greeting_stands_where_it_belongs_and_nowhere_else() {
    let files = Files::new();
    for (implicit, said, code) in [
        (false, "220 x\r\n", 5),
        (false, "220-x\r\n", 5),
        (false, "250 x\r\n250 x\r\n", 5),
        (false, "550 x\r\n", 4),
        (true, "250 x\r\n", 5),
        (true, "554 x\r\n", 4),
        (true, "* OK x\r\n", 5),
    ] {
        let certificates = Files::new();
        let ca = certificates.path("ca.pem");
        let (port, _) = peer(move |mut tcp| {
            if !implicit {
                negotiate(&mut tcp);
            }
            let mut tls = certificates.tls_server(tcp, &TLS13);
            if !implicit {
                assert_eq!(line(&mut tls), "EHLO localhost\r\n");
            }
            tls.write_all(said.as_bytes()).unwrap();
            tls.flush().unwrap();
            // Whatever it was: not a word of the application's.
            assert_eq!(rest(&mut tls), "");
        });
        let proto = if implicit { "smtps" } else { "smtp" };
        let url = format!("{proto}://localhost:{port}");
        let ended = run(&format!("connect --ready --ca {ca} {url}"), b"MAIL FROM:<>\r\n");
        assert_eq!((ended.code, &*ended.stdout), (Some(code), &b""[..]), "{said} {ended:?}");
        assert!(!ended.stderr.contains("secured"), "{ended:?}");
    }
    drop(files);
}

#[test]
fn the_greeting_has_to_come_in_time() {
    let files = Files::new();
    // It waits for the application's words itself.
    let server = Serve::start(&files, "smtps", "");
    let url = format!("smtps://localhost:{}", server.port);
    let ended = connect(&files, "--timeout 1", &url, b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("the time ran out"), "{ended:?}");
}

#[test]
fn serve_refuses_a_second_upgrade() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--ready --once");
    let url = format!("smtp://localhost:{}", server.port);
    let typed = b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\n";
    let ended = run(&format!("connect --ca {} {url}", files.path("ca.pem")), typed);
    assert_eq!(ended.stdout, b"250 localhost\r\n503 TLS is active already\r\n", "{ended:?}");
    let served = server.end();
    // From there on it is the application's.
    assert_eq!(served.stdout, b"MAIL FROM:<a@b>\r\nSTARTTLS\r\n", "{served:?}");
}
