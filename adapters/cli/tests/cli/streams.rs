//! Standard streams that nobody is at the other end of: no panic, and the status is the outcome's.

use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Arc;

use rustls::version::TLS13;

use crate::support::{Files, line, negotiate, peer, play, run, starttls};

/// A pipe whose reader is gone.
fn nobody() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_mail_is_sent_whoever_reads_of_it() {
    let files = Arc::new(Files::new());
    let mail = files.put("mail", b"Subject: x\r\n\r\ny\r\n");
    for json in ["", "--json"] {
        let server = files.clone();
        let (port, server) = peer(move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = server.tls_server(tcp, &TLS13);
            for reply in ["250 fake\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
                line(&mut tls);
                tls.write_all(reply.as_bytes()).unwrap();
            }
            while line(&mut tls) != ".\r\n" {}
            tls.write_all(b"250 queued\r\n").unwrap();
            assert_eq!(line(&mut tls), "QUIT\r\n");
        });
        let (ca, to) = (files.path("ca.pem"), format!("submission://localhost:{port}"));
        let options = format!("--from a@b --to c@d --message {mail} {json}");
        let output = starttls(&format!("send --ca {ca} --server {to} {options}"))
            .stdin(Stdio::null())
            .stdout(nobody())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{json}: {output:?}");
        server.join().unwrap();
    }
}

#[test]
fn a_failure_has_its_status_whoever_reads_of_it() {
    for json in ["", "--json", "--trace"] {
        let (port, server) = peer(|mut tcp| {
            play(&mut tcp, &[("554 no\r\n", "QUIT\r\n")]);
        });
        let status = starttls(&format!("connect {json} smtp://localhost:{port}"))
            .stdin(Stdio::null())
            .stdout(nobody())
            .stderr(nobody())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(4), "{json}");
        server.join().unwrap();
    }
}

/// rustls asserts that there is one closing alert; the profile has it not.
#[test]
fn garbage_behind_our_close_is_6() {
    let files = Files::new();
    let ca = files.path("ca.pem");
    let (port, server) = peer(move |mut tcp| {
        negotiate(&mut tcp);
        let mut tls = files.tls_server(tcp, &TLS13);
        tls.write_all(b"all of it").unwrap();
        // The client's close_notify.
        assert_eq!(tls.read(&mut [0]).unwrap(), 0);
        let mut tcp = tls.sock;
        tcp.write_all(b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let _ = tcp.read_to_end(&mut Vec::new());
    });
    let ended = run(&format!("connect --ca {ca} smtp://localhost:{port}"), b"");
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert_eq!(ended.stdout, b"all of it");
    assert!(ended.stderr.contains("does not authenticate"), "{}", ended.stderr);
    server.join().unwrap();
}
