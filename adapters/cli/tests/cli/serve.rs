//! `serve`, with clients made by hand.

use std::io::{Read, Write};
use std::net::Shutdown;

use rustls::version::{TLS12, TLS13};

use crate::support::{Files, Serve, line, play, rest, run};

const GREETING: &str = "220 localhost ESMTP service ready\r\n";

/// The client's side of an honest negotiation, an octet at a time.
fn slowly(tcp: &mut std::net::TcpStream) {
    tcp.set_nodelay(true).unwrap();
    assert_eq!(line(tcp), GREETING);
    for (command, replies) in [
        ("EHLO x\r\n", &["250-localhost\r\n", "250 STARTTLS\r\n"][..]),
        ("STARTTLS\r\n", &["220 Go ahead\r\n"]),
    ] {
        for octet in command.bytes() {
            tcp.write_all(&[octet]).unwrap();
        }
        for reply in replies {
            assert_eq!(&line(tcp), reply);
        }
    }
}

#[test]
fn stdin_and_stdout_are_the_application() {
    let files = Files::new();
    for version in [&TLS12, &TLS13] {
        let mut server = Serve::start(&files, "smtp", "--once");
        let mut tcp = server.tcp();
        slowly(&mut tcp);
        let mut tls = files.tls_client(tcp, version);
        tls.write_all(b"question\r\n").unwrap();
        let mut stdout = server.child.stdout.take().unwrap();
        assert_eq!(line(&mut stdout), "question\r\n");
        server.child.stdout = Some(stdout);
        server.child.stdin.as_mut().unwrap().write_all(b"answer\r\n").unwrap();
        assert_eq!(line(&mut tls), "answer\r\n");
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        drop(tls);
        // Its stdin is still open: the client's end is enough.
        let ended = server.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("starttls: secured smtp 127.0.0.1:"), "{ended:?}");
    }
}

#[test]
fn a_command_for_each_connection() {
    let files = Files::new();
    let server = Serve::start(&files, "smtps", "--exec sort");
    let clients: Vec<_> = (0..3).map(|_| files.tls_client(server.tcp(), &TLS13)).collect();
    for (n, mut tls) in clients.into_iter().enumerate() {
        // sort answers only at the end of its input.
        tls.write_all(format!("b{n}\na{n}\n").as_bytes()).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        assert_eq!(rest(&mut tls), format!("a{n}\nb{n}\n"));
    }
}

#[test]
fn once_tells_how_it_ended() {
    let files = Files::new();
    // Truncated.
    let server = Serve::start(&files, "smtps", "--once --json --exec cat");
    let mut tls = files.tls_client(server.tcp(), &TLS13);
    tls.write_all(b"x").unwrap();
    let mut octet = [0];
    tls.read_exact(&mut octet).unwrap();
    tls.sock.shutdown(Shutdown::Both).unwrap();
    drop(tls);
    let ended = server.end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.json()["exit"], 3);
    // Closed before the upgrade.
    let server = Serve::start(&files, "smtp", "--once");
    drop(server.tcp());
    assert_eq!(server.end().code, Some(3));
    // Never asked for TLS.
    let server = Serve::start(&files, "smtp", "--once");
    let mut tcp = server.tcp();
    assert_eq!(line(&mut tcp), GREETING);
    play(&mut tcp, &[("MAIL FROM:<a@b>\r\n", "530 Must issue a STARTTLS command first\r\n")]);
    play(&mut tcp, &[("QUIT\r\n", "221 localhost closing\r\n")]);
    let ended = server.end();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    // Plaintext across the boundary.
    for injected in ["STARTTLS\r\nRSET\r\n", "STARTTLS\r\nRS", "STARTTLS\r\n\x16\x03\x01"] {
        let server = Serve::start(&files, "smtp", "--once --json");
        let mut tcp = server.tcp();
        assert_eq!(line(&mut tcp), GREETING);
        tcp.write_all(injected.as_bytes()).unwrap();
        assert_eq!(rest(&mut tcp), "");
        let ended = server.end();
        assert_eq!(ended.code, Some(5), "{injected:?}: {ended:?}");
        assert_eq!(ended.json()["outcome"], "misbehaved");
        assert_eq!(ended.stdout, b"");
    }
    // No TLS behind the go-ahead.
    let server = Serve::start(&files, "smtp", "--once");
    let mut tcp = server.tcp();
    slowly(&mut tcp);
    tcp.write_all(b"MAIL FROM:<a@b>\r\n").unwrap();
    let ended = server.end();
    assert_eq!(ended.code, Some(6), "{ended:?}");
}

#[test]
fn silence_runs_out_of_time() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--once --timeout 0.3");
    let tcp = server.tcp();
    let ended = server.end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("the time ran out"), "{}", ended.stderr);
    drop(tcp);
}

#[test]
fn plaintext_only_when_asked_for() {
    let files = Files::new();
    let server =
        Serve::start(&files, "smtp", "--once --policy opportunistic --allow-plaintext --json");
    let mut tcp = server.tcp();
    assert_eq!(line(&mut tcp), GREETING);
    tcp.write_all(b"MAIL FROM:<a@b>\r\n").unwrap();
    tcp.shutdown(Shutdown::Write).unwrap();
    let ended = server.end();
    assert_eq!(
        (ended.code, &ended.stdout[..]),
        (Some(0), &b"MAIL FROM:<a@b>\r\n"[..]),
        "{ended:?}"
    );
    assert!(ended.stderr.contains("starttls: PLAINTEXT smtp 127.0.0.1:"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("secured"), "{}", ended.stderr);
    assert_eq!(ended.json()["security"], "plaintext");
}

#[test]
fn a_port_in_use_is_said() {
    let files = Files::new();
    let server = Serve::start(&files, "smtp", "--exec cat");
    let (cert, key) = (files.path("server.pem"), files.path("server.key"));
    let line = format!("serve --cert {cert} --key {key} smtp://127.0.0.1:{}", server.port);
    let ended = run(&line, b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}

/// A client that has said all it has to say still gets its answer.
#[test]
fn half_close_by_the_client() {
    let files = Files::new();
    let mut server = Serve::start(&files, "smtps", "--once");
    let mut tls = files.tls_client(server.tcp(), &TLS13);
    tls.write_all(b"question\r\n").unwrap();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    let mut stdout = server.child.stdout.take().unwrap();
    assert_eq!(line(&mut stdout), "question\r\n");
    server.child.stdout = Some(stdout);
    let mut stdin = server.child.stdin.take().unwrap();
    stdin.write_all(b"answer\r\n").unwrap();
    assert_eq!(line(&mut tls), "answer\r\n");
    stdin.write_all(b"and more\r\n").unwrap();
    drop(stdin);
    assert_eq!(rest(&mut tls), "and more\r\n");
    drop(tls);
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_failed_handshake_is_6() {
    let files = Files::new();
    for octets in [&b"EHLO x\r\n"[..], b"\x16\x03\x01\x00\x04\x01\x00\x00\x00"] {
        let server = Serve::start(&files, "smtps", "--once --json");
        let mut tcp = server.tcp();
        tcp.write_all(octets).unwrap();
        let mut alert = Vec::new();
        tcp.read_to_end(&mut alert).unwrap();
        assert!(alert.starts_with(&[21, 3]), "{alert:?}");
        let ended = server.end();
        assert_eq!(ended.code, Some(6), "{octets:?}: {ended:?}");
        assert_eq!(ended.json()["outcome"], "tls-failed");
    }
}
