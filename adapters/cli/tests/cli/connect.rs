//! `connect` against our `serve`, and against servers made by hand.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Instant;

use rustls::version::{TLS12, TLS13};
use starttls::protocol::TABLE;

use crate::support::{
    Ended, Files, Serve, ended, finish, line, negotiate, peer, play, rest, run, spawn, starttls,
};

fn connect(files: &Files, options: &str, port: u16, input: &[u8]) -> Ended {
    let ca = files.path("ca.pem");
    run(&format!("connect --ca {ca} {options} smtp://localhost:{port}"), input)
}

#[test]
fn every_scheme_reaches_an_echo() {
    let files = Files::new();
    let ca = files.path("ca.pem");
    let schemes = TABLE.iter().flat_map(|row| {
        let others = row.aliases.iter().chain(row.implicit).map(|&(name, _)| name);
        std::iter::once(row.name).chain(others)
    });
    for proto in schemes {
        let server = Serve::start(&files, proto, "--exec cat");
        let url = format!("{proto}://localhost:{}", server.port);
        let ended = run(&format!("connect --ca {ca} {url}"), b"hello\r\n");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout, b"hello\r\n");
        assert_eq!(
            ended.stderr,
            format!("starttls: secured {proto} localhost TLSv1.3 TLS13_AES_256_GCM_SHA384\n")
        );
    }
}

#[test]
fn ten_megabytes_each_way() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let body: Vec<u8> = (0..10_000_000u32).map(|n| (n % 251) as u8).collect();
    let url = format!("smtp://localhost:{}", server.port);
    let ended = run(&format!("connect --ca {} {url}", files.path("ca.pem")), &body);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout == body, "{} octets came back", ended.stdout.len());
}

#[test]
fn the_outcome_is_one_object() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let url = format!("smtp://127.0.0.1:{}", server.port);
    let ended = run(&format!("connect --json --ca {} {url}", files.path("ca.pem")), b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = serde_json::json!({
        "target": url,
        "protocol": "smtp",
        "outcome": "secured",
        "exit": 0,
        "security": "authenticated",
        "reason": null,
        "tls": {
            "version": "TLSv1.3",
            "suite": "TLS13_AES_256_GCM_SHA384",
            "group": "X25519MLKEM768",
            "alpn": null,
            "resumed": false,
        },
        "error": null,
    });
    assert_eq!(ended.json(), expected);
}

#[test]
fn the_ladder_has_its_boundary() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let url = format!("smtp://localhost:{}", server.port);
    let ended = run(&format!("connect --trace --ca {} {url}", files.path("ca.pem")), b"secret\r\n");
    let expected = "\
S: 220 localhost ESMTP service ready    [plaintext, untrusted]
C: EHLO localhost
S: 250-localhost    [plaintext, untrusted]
S: 250 STARTTLS    [plaintext, untrusted]
C: STARTTLS
S: 220 Go ahead    [plaintext, untrusted]
======================== TLS ========================
C: ";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn certificates_are_verified() {
    let files = Files::new();
    for (certificate, ca, options, reason) in [
        ("server", "other-ca", "", "--ca FILE"),
        ("elsewhere", "ca", "", "--name NAME"),
        ("expired", "ca", "", "has expired"),
        ("server", "ca", "--name elsewhere.example", "another name"),
    ] {
        let server = Serve::with(&files, certificate, "smtp", "--once --exec cat");
        let (ca, port) = (files.path(&format!("{ca}.pem")), server.port);
        let ended = run(&format!("connect --ca {ca} {options} smtp://localhost:{port}"), b"x");
        assert_eq!(ended.code, Some(6), "{certificate}: {ended:?}");
        assert_eq!(ended.stdout, b"");
        assert!(ended.stderr.contains(reason), "{certificate}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        // The alert arrived.
        let ended = server.end();
        assert_eq!(ended.code, Some(6), "{ended:?}");
    }
    let server = Serve::with(&files, "elsewhere", "smtps", "--once --exec cat");
    let (ca, port) = (files.path("ca.pem"), server.port);
    let named = format!("connect --ca {ca} --name elsewhere.example smtps://localhost:{port}");
    assert_eq!(run(&named, b"").code, Some(0));
}

#[test]
fn opportunistic_says_what_it_is() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let (ca, other) = (files.path("ca.pem"), files.path("other-ca.pem"));
    let url = format!("smtp://localhost:{}", server.port);
    let ended = run(&format!("connect --json --policy opportunistic --ca {other} {url}"), b"x");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(" unauthenticated ("), "{}", ended.stderr);
    assert_eq!(ended.json()["security"], "unauthenticated");
    let ended = run(&format!("connect --json --policy opportunistic --ca {ca} {url}"), b"x");
    assert!(!ended.stderr.contains("unauthenticated"), "{}", ended.stderr);
    assert_eq!(ended.json()["security"], "authenticated");
}

#[test]
fn plaintext_only_when_asked_for() {
    let refusing = || {
        peer(|mut tcp| {
            let ehlo = ("220 fake\r\n", "EHLO localhost\r\n");
            play(&mut tcp, &[ehlo, ("250 fake\r\n", "STARTTLS\r\n")]);
            tcp.write_all(b"454 no \x1b[2J\r\n").unwrap();
            let mut rest = String::new();
            tcp.read_to_string(&mut rest).unwrap();
            rest
        })
    };
    for policy in ["require", "opportunistic"] {
        let (port, server) = refusing();
        let files = Files::new();
        let ca = files.path("ca.pem");
        let line = format!("connect --ca {ca} --policy {policy} smtp://localhost:{port}");
        let ended = run(&line, b"secret\r\n");
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stderr.contains("untrusted"), "{}", ended.stderr);
        assert!(ended.stderr.contains("454 no \\x1b[2J"), "{}", ended.stderr);
        assert_eq!(server.join().unwrap(), "QUIT\r\n");
    }
    let (port, server) = refusing();
    let line = format!(
        "connect --json --trace --policy opportunistic --allow-plaintext smtp://localhost:{port}"
    );
    let ended = run(&line, b"NOOP\r\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("starttls: PLAINTEXT smtp localhost ("), "{}", ended.stderr);
    assert!(ended.stderr.contains(r#""security":"plaintext""#), "{}", ended.stderr);
    assert!(!ended.stderr.contains("secured"), "{}", ended.stderr);
    assert_eq!(server.join().unwrap(), "NOOP\r\n");
}

/// The peer answers only once it has seen our end.
#[test]
fn half_close_with_tls_1_3() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            let question = rest(&mut tls);
            tls.write_all(b"answer\r\n").unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            question
        }
    });
    let ended = connect(&files, "", port, b"question\r\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, b"answer\r\n");
    assert_eq!(server.join().unwrap(), "question\r\n");
}

/// With TLS 1.2 our end waits for the peer's, or for linger without an octet.
#[test]
fn the_end_with_tls_1_2() {
    let files = Arc::new(Files::new());
    let answer = |close: bool| {
        let files = files.clone();
        peer(move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS12);
            assert_eq!(line(&mut tls), "question\r\n");
            tls.write_all(b"answer\r\n").unwrap();
            if close {
                tls.conn.send_close_notify();
            }
            tls.flush().unwrap();
            rest(&mut tls)
        })
    };
    let (port, server) = answer(true);
    let ended = connect(&files, "--linger 60", port, b"question\r\n");
    assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &b"answer\r\n"[..]), "{ended:?}");
    assert!(ended.stderr.contains(" TLSv1.2 "), "{}", ended.stderr);
    assert_eq!(server.join().unwrap(), "");

    let (port, server) = answer(false);
    let begin = Instant::now();
    let ended = connect(&files, "--linger 0.5", port, b"question\r\n");
    assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &b"answer\r\n"[..]), "{ended:?}");
    assert!((0.5..10.0).contains(&begin.elapsed().as_secs_f64()));
    // A clean end: our close_notify came.
    assert_eq!(server.join().unwrap(), "");
}

#[test]
fn linger_bounds_the_wait_for_the_peers_end() {
    let files = Arc::new(Files::new());
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            assert_eq!(rest(&mut tls), "");
            let _ = wait.recv();
        }
    });
    let ended = connect(&files, "--linger 0.3", port, b"");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    drop(done);
    server.join().unwrap();
}

#[test]
fn what_came_before_a_truncation_is_printed() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            assert_eq!(line(&mut tls), "question\r\n");
            tls.write_all(b"half an ans").unwrap();
            tls.sock.shutdown(Shutdown::Both).unwrap();
        }
    });
    let ended = connect(&files, "", port, b"question\r\n");
    assert_eq!((ended.code, &ended.stdout[..]), (Some(3), &b"half an ans"[..]), "{ended:?}");
    assert!(ended.stderr.contains("without close_notify"), "{}", ended.stderr);
    server.join().unwrap();
}

/// Standard input stays open; the server that is gone ends the run.
#[test]
fn a_server_that_closes_is_the_end() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            tls.write_all(b"bye\r\n").unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
    });
    let ca = files.path("ca.pem");
    let mut child = spawn(&mut starttls(&format!("connect --ca {ca} smtp://localhost:{port}")));
    let stdin = child.stdin.take();
    let ended = ended(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &b"bye\r\n"[..]), "{ended:?}");
    server.join().unwrap();
}

/// The peer's close_notify ends reading, not writing.
#[test]
fn writing_goes_on_after_the_peers_end() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            while tls.conn.is_handshaking() {
                tls.conn.complete_io(&mut tls.sock).unwrap();
            }
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            rest(&mut tls).len()
        }
    });
    let ended = connect(&files, "", port, &vec![b'x'; 1_000_000]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(server.join().unwrap(), 1_000_000);
}

#[test]
fn a_quiet_channel_ends_when_told_to() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let (ca, port) = (files.path("ca.pem"), server.port);
    let line = format!("connect --idle 0.3 --ca {ca} smtp://localhost:{port}");
    let mut child = spawn(&mut starttls(&line));
    let stdin = child.stdin.take();
    let ended = ended(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("--idle"), "{}", ended.stderr);
}

#[test]
fn a_client_can_show_a_certificate_and_choose_its_address() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            let from = tcp.peer_addr().unwrap().ip().to_string();
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            let said = rest(&mut tls);
            let shown = tls.conn.peer_certificates().map_or(0, |chain| chain.len());
            tls.conn.send_close_notify();
            tls.flush().unwrap();
            (from, said, shown)
        }
    });
    let (cert, key) = (files.path("elsewhere.pem"), files.path("elsewhere.key"));
    let options = format!("--bind 127.0.0.2 --client-cert {cert} --client-key {key}");
    let ended = connect(&files, &options, port, b"x");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(server.join().unwrap(), ("127.0.0.2".into(), "x".into(), 1));
}

/// Without roots nobody can be verified; an opportunistic client says so and goes on.
#[test]
fn a_system_without_roots() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let empty = files.put("empty.pem", b"");
    let url = format!("smtp://localhost:{}", server.port);
    let without = |options: &str| {
        let mut command = starttls(&format!("connect {options} {url}"));
        command.env("SSL_CERT_FILE", &empty);
        finish(spawn(&mut command), b"x")
    };
    let ended = without("");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--ca FILE"), "{}", ended.stderr);
    let ended = without("--policy opportunistic");
    assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &b"x"[..]), "{ended:?}");
    assert!(ended.stderr.contains(" unauthenticated ("), "{}", ended.stderr);
}

/// What stdin gave and nobody took is not passed over in silence.
#[test]
fn a_peer_that_goes_while_there_is_more_to_send() {
    let files = Arc::new(Files::new());
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            tls.read_exact(&mut [0; 1]).unwrap();
            tls.write_all(b"enough\r\n").unwrap();
            tls.conn.send_close_notify();
            tls.flush().unwrap();
        }
    });
    let ended = connect(&files, "", port, &vec![b'x'; 20_000_000]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    server.join().unwrap();
}

/// Nobody takes what is printed.
#[test]
fn a_closed_stdout() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let (ca, port) = (files.path("ca.pem"), server.port);
    let mut child = spawn(&mut starttls(&format!("connect --ca {ca} smtp://localhost:{port}")));
    drop(child.stdout.take());
    let ended = finish(child, b"x");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
}
