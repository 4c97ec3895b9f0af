//! `connect` against servers that refuse, lie, stall and inject.

use std::io::{Read, Write};

use crate::support::{negotiate, peer, play, rest, run};

const EHLO: (&str, &str) = ("220 fake\r\n", "EHLO localhost\r\n");
const STARTTLS: (&str, &str) = ("250-fake\r\n250 STARTTLS\r\n", "STARTTLS\r\n");

/// What the server got after the script, and how the client ended.
fn against(options: &str, script: &'static [(&str, &str)]) -> (String, crate::support::Ended) {
    let (port, server) = peer(move |mut tcp| {
        play(&mut tcp, script);
        let mut octets = Vec::new();
        // A client that leaves with octets of ours unread resets the connection.
        let _ = tcp.read_to_end(&mut octets);
        String::from_utf8_lossy(&octets).into_owned()
    });
    let ended = run(&format!("connect {options} smtp://localhost:{port}"), b"secret\r\n");
    (server.join().unwrap(), ended)
}

#[test]
fn refusals_are_4_and_end_in_a_goodbye() {
    for script in [
        &[("554 no\r\n", "")][..],
        &[EHLO, ("500 what\r\n", "")],
        &[EHLO, ("421 busy\r\n", "")],
        &[EHLO, STARTTLS, ("454 later\r\n", "")],
        &[EHLO, ("250 hidden\r\n", "STARTTLS\r\n"), ("502 no\r\n", "")],
        &[EHLO, STARTTLS, ("530-no\r\n530 way\r\n", "")],
        // A refusal stays one, whatever stands behind it.
        &[EHLO, STARTTLS, ("454 x\r\n235 ok\r\n250 ok\r\n", "")],
    ] {
        let (got, ended) = against("--json", script);
        assert_eq!(ended.code, Some(4), "{script:?}: {ended:?}");
        assert_eq!(got, "QUIT\r\n", "{script:?}");
        assert_eq!(ended.json()["outcome"], "refused");
    }
    let (_, ended) = against("", &[EHLO, STARTTLS, ("454 later\r\n", "")]);
    assert!(ended.stderr.contains("temporary"), "{}", ended.stderr);
}

#[test]
fn misbehaviour_is_5_and_nothing_follows() {
    for script in [
        &[EHLO, STARTTLS, ("220 go\r\n250-x\r\n250 AUTH LOGIN\r\n", "")][..],
        &[EHLO, STARTTLS, ("220 go\r\n2", "")],
        &[EHLO, STARTTLS, ("220 go\r\n\x16\x03\x03", "")],
        &[EHLO, STARTTLS, ("235 welcome\r\n", "")],
        &[("220 a\r\n250 b\r\n", "")],
        &[EHLO, ("250-a\r\n550 b\r\n", "")],
        &[("220 a\n", "")],
        &[("220 a\0\r\n", "")],
        &[("SSH-2.0-x\r\n", "")],
    ] {
        let (got, ended) = against("--json", script);
        assert_eq!(ended.code, Some(5), "{script:?}: {ended:?}");
        assert_eq!(got, "", "{script:?}");
        assert_eq!(ended.json()["outcome"], "misbehaved");
        assert_eq!(ended.stdout, b"");
    }
}

#[test]
fn a_line_without_end_is_5() {
    let (port, server) = peer(|mut tcp| {
        let _ = tcp.write_all(&[b'2'; 1 << 20]);
    });
    let ended = run(&format!("connect smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(5), "{ended:?}");
    server.join().unwrap();
}

#[test]
fn an_octet_at_a_time_is_honest() {
    let (port, server) = peer(|mut tcp| {
        tcp.set_nodelay(true).unwrap();
        for (reply, command) in [EHLO, STARTTLS, ("454 no\r\n", "QUIT\r\n")] {
            for octet in reply.bytes() {
                tcp.write_all(&[octet]).unwrap();
            }
            play(&mut tcp, &[("", command)]);
        }
    });
    let ended = run(&format!("connect smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    server.join().unwrap();
}

#[test]
fn the_end_of_the_transport_is_3() {
    let (port, server) = peer(drop);
    let ended = run(&format!("connect --json smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.json()["outcome"], "unreachable");
    server.join().unwrap();
    // Nobody there.
    let ended = run(&format!("connect smtp://127.0.0.1:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    // In the handshake.
    let (port, server) = peer(|mut tcp| {
        negotiate(&mut tcp);
        tcp.read_exact(&mut [0; 5]).unwrap();
    });
    let ended = run(&format!("connect smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    server.join().unwrap();
}

/// Nobody vouches for a plaintext close_notify, but it is no handshake either.
#[test]
fn a_plaintext_close_in_the_handshake_is_3_at_once() {
    let (port, server) = peer(|mut tcp| {
        negotiate(&mut tcp);
        tcp.read_exact(&mut [0; 5]).unwrap();
        tcp.write_all(b"\x15\x03\x03\x00\x02\x01\x00").unwrap();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let ended = run(&format!("connect --timeout 15 smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("closed in the TLS handshake"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn silence_behind_the_go_ahead_runs_out_of_time() {
    let (port, server) = peer(|mut tcp| {
        negotiate(&mut tcp);
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let ended = run(&format!("connect --timeout 2 smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("the time ran out"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn half_a_line_is_shown_when_the_time_runs_out() {
    let (port, server) = peer(|mut tcp| {
        tcp.write_all(b"220 \x1b[2Jfa").unwrap();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let ended = run(&format!("connect --trace --timeout 2 smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let ladder = "S: 220 \\x1b[2Jfa    [plaintext, untrusted]\nstarttls: ";
    assert!(ended.stderr.starts_with(ladder), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn plaintext_where_tls_should_be() {
    let (port, server) = peer(|mut tcp| {
        negotiate(&mut tcp);
        tcp.read_exact(&mut [0; 5]).unwrap();
        tcp.write_all(b"250 AUTH LOGIN\r\n").unwrap();
        rest(&mut tcp);
    });
    let ended = run(&format!("connect smtp://localhost:{port}"), b"secret");
    assert!(matches!(ended.code, Some(5 | 6)), "{ended:?}");
    let _ = server.join();
}

/// Never plaintext after a go-ahead, not even where it is allowed.
#[test]
fn a_failed_handshake_is_not_a_refusal() {
    let (port, server) = peer(|mut tcp| {
        negotiate(&mut tcp);
        tcp.read_exact(&mut [0; 5]).unwrap();
        tcp.write_all(b"\x15\x03\x03\x00\x02\x02\x28").unwrap();
        let mut octets = Vec::new();
        let _ = tcp.read_to_end(&mut octets);
        octets
    });
    let options = "--json --policy opportunistic --allow-plaintext";
    let ended = run(&format!("connect {options} smtp://localhost:{port}"), b"secret");
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.json()["outcome"], "tls-failed");
    let octets = server.join().unwrap();
    assert!(!octets.windows(6).any(|window| window == b"secret"));
}
