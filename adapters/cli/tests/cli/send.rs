//! `send`, to servers made by hand that take, refuse, defer and vanish.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::version::TLS13;
use rustls::{ServerConnection, StreamOwned};

use crate::support::{Ended, Files, line, negotiate, peer, play, rest, run};

type Tls = StreamOwned<ServerConnection, TcpStream>;

const MAIL: &[u8] = b"From: me@example.org\r\nSubject: x\r\n\r\n.dot\r\n";

/// A server that has come as far as the EHLO inside TLS, and offers these extensions.
fn server<T: Send + 'static>(
    files: &Arc<Files>,
    extensions: &'static [&'static str],
    act: impl FnOnce(&mut Tls) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let files = files.clone();
    peer(move |mut tcp| {
        negotiate(&mut tcp);
        let mut tls = files.tls_server(tcp, &TLS13);
        assert_eq!(line(&mut tls), "EHLO localhost\r\n");
        say(&mut tls, "250-fake\r\n");
        for extension in extensions {
            tls.write_all(format!("250-{extension}\r\n").as_bytes()).unwrap();
        }
        say(&mut tls, "250 HELP\r\n");
        act(&mut tls)
    })
}

fn say(tls: &mut Tls, reply: &str) {
    tls.write_all(reply.as_bytes()).unwrap();
}

/// Each command, and the reply to it.
fn talk(tls: &mut Tls, dialogue: &[(&str, &str)]) {
    for (command, reply) in dialogue {
        assert_eq!(&line(tls), command);
        say(tls, reply);
    }
}

/// The message up to its dot.
fn message(tls: &mut Tls) -> String {
    let mut message = String::new();
    while !message.ends_with("\r\n.\r\n") {
        message.push_str(&line(tls));
    }
    message
}

fn send(files: &Files, options: &str, port: u16) -> Ended {
    let ca = files.path("ca.pem");
    run(&format!("send --ca {ca} --server submission://localhost:{port} {options}"), MAIL)
}

/// The object on stdout.
fn object(ended: &Ended) -> serde_json::Value {
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("no JSON: {ended:?}"))
}

const SENDER: (&str, &str) = ("MAIL FROM:<me@example.org>\r\n", "250 2.1.0 ok\r\n");

#[test]
fn accepted() {
    let files = Arc::new(Files::new());
    for json in ["", "--json"] {
        let (port, server) = server(&files, &[], |tls| {
            talk(tls, &[SENDER, ("RCPT TO:<you@example.net>\r\n", "250 2.1.5 ok\r\n")]);
            talk(tls, &[("DATA\r\n", "354 go\r\n")]);
            let got = message(tls);
            say(tls, "250 2.0.0 queued as 1\r\n");
            // Gone without a reply to QUIT.
            assert_eq!(line(tls), "QUIT\r\n");
            tls.sock.shutdown(Shutdown::Both).unwrap();
            got
        });
        let ended = send(&files, &format!("--to you@example.net {json}"), port);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
        let dotted = "From: me@example.org\r\nSubject: x\r\n\r\n..dot\r\n.\r\n";
        assert_eq!(server.join().unwrap(), dotted);
        if json.is_empty() {
            assert_eq!(ended.stdout, b"you@example.net sent: 250 2.0.0 queued as 1\n");
            continue;
        }
        let object = object(&ended);
        assert_eq!((&object["outcome"], &object["exit"]), (&"sent".into(), &0.into()));
        assert_eq!(object["security"], "authenticated");
        assert_eq!(object["tls"]["version"], "TLSv1.3");
        let recipient = serde_json::json!({
            "address": "you@example.net",
            "state": "sent",
            "code": 250,
            "enhanced": "2.0.0",
            "text": "2.0.0 queued as 1",
        });
        assert_eq!(object["recipients"], serde_json::json!([recipient]));
    }
}

#[test]
fn refused_for_good_and_for_now() {
    let files = Arc::new(Files::new());
    for (reply, code, state) in [
        ("550 5.1.1 no \x1b[2Jsuch user\r\n", 8, "550 5.1.1 no \\x1b[2Jsuch user"),
        ("450 4.2.1 busy\r\n", 9, "450 4.2.1 busy"),
    ] {
        let (port, server) = server(&files, &[], move |tls| {
            talk(tls, &[SENDER, ("RCPT TO:<a@example.net>\r\n", "250 2.1.5 ok\r\n")]);
            talk(tls, &[("RCPT TO:<b@example.net>\r\n", reply), ("DATA\r\n", "354 go\r\n")]);
            message(tls);
            say(tls, "250 2.0.0 queued\r\n");
            talk(tls, &[("QUIT\r\n", "221 bye\r\n")]);
        });
        let ended = send(&files, "--to a@example.net --to b@example.net", port);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let lines =
            format!("a@example.net sent: 250 2.0.0 queued\nb@example.net refused: {state}\n");
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), lines);
        assert!(ended.stderr.contains("1 of 2 recipients"), "{}", ended.stderr);
        server.join().unwrap();
    }
}

#[test]
fn a_message_refused_at_its_end() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &[], |tls| {
        talk(tls, &[SENDER, ("RCPT TO:<a@example.net>\r\n", "250 ok\r\n")]);
        talk(tls, &[("DATA\r\n", "354 go\r\n")]);
        message(tls);
        say(tls, "552 5.3.4 too big\r\n");
        // It knows all it wants to know, and does not wait for long.
        assert_eq!(rest(tls), "QUIT\r\n");
    });
    let ended = send(&files, "--json --to a@example.net", port);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert_eq!(object(&ended)["recipients"][0]["state"], "refused");
    assert_eq!(object(&ended)["recipients"][0]["enhanced"], "5.3.4");
    server.join().unwrap();
}

#[test]
fn a_message_refused_in_the_middle_by_a_server_that_closes() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &[], |tls| {
        talk(tls, &[SENDER, ("RCPT TO:<a@example.net>\r\n", "250 ok\r\n")]);
        talk(tls, &[("DATA\r\n", "354 go\r\n")]);
        tls.read_exact(&mut [0; 1 << 16]).unwrap();
        say(tls, "552 5.3.4 too big\r\n");
        // Gone with most of the message unread.
    });
    let ca = files.path("ca.pem");
    let message =
        "From: me@example.org\r\n\r\n".to_owned() + &"twenty-one octets a l\r\n".repeat(2 << 20);
    let ended = run(
        &format!("send --json --ca {ca} --server submission://localhost:{port} --to a@example.net"),
        message.as_bytes(),
    );
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);
    assert_eq!(object(&ended)["recipients"][0]["state"], "refused");
    assert_eq!(object(&ended)["recipients"][0]["enhanced"], "5.3.4");
    server.join().unwrap();
}

#[test]
fn lost_behind_the_dot_is_unknown() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &[], |tls| {
        talk(tls, &[SENDER, ("RCPT TO:<a@example.net>\r\n", "250 ok\r\n")]);
        talk(tls, &[("DATA\r\n", "354 go\r\n")]);
        message(tls);
        tls.sock.shutdown(Shutdown::Both).unwrap();
    });
    let ended = send(&files, "--json --to a@example.net", port);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(object(&ended)["recipients"][0]["state"], "unknown");
    assert!(ended.stderr.contains("may have been delivered"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn lost_before_the_message_is_not_sent() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &[], |tls| {
        talk(tls, &[SENDER]);
        tls.sock.shutdown(Shutdown::Both).unwrap();
    });
    let ended = send(&files, "--json --to a@example.net", port);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(object(&ended)["recipients"][0]["state"], "not-sent");
    assert!(!ended.stderr.contains("delivered"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn logging_in() {
    let files = Arc::new(Files::new());
    let password = files.put("password", b"secret\n");
    let options =
        format!("--trace --user me@example.org --password-file {password} --to a@example.net");
    for (reply, code) in
        [("235 2.7.0 hello\r\n", 0), ("535 5.7.8 no\r\n", 8), ("454 4.7.0 x\r\n", 9)]
    {
        let (port, server) = server(&files, &["AUTH PLAIN LOGIN"], move |tls| {
            talk(tls, &[("AUTH PLAIN AG1lQGV4YW1wbGUub3JnAHNlY3JldA==\r\n", reply)]);
            if code == 0 {
                talk(tls, &[SENDER, ("RCPT TO:<a@example.net>\r\n", "250 ok\r\n")]);
                talk(tls, &[("DATA\r\n", "354 go\r\n")]);
                message(tls);
                say(tls, "250 ok\r\n");
            }
            talk(tls, &[("QUIT\r\n", "221 bye\r\n")]);
        });
        let ended = send(&files, &options, port);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains("C: AUTH PLAIN ***\n"), "{}", ended.stderr);
        for secret in ["secret", "AG1l", "c2VjcmV0"] {
            assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
        }
        server.join().unwrap();
    }
    // The other mechanisms' lines are hidden too.
    let (port, server) = server(&files, &["AUTH LOGIN"], |tls| {
        talk(tls, &[("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n")]);
        talk(tls, &[("bWVAZXhhbXBsZS5vcmc=\r\n", "334 UGFzc3dvcmQ6\r\n")]);
        talk(tls, &[("c2VjcmV0\r\n", "535 no\r\n"), ("QUIT\r\n", "221 bye\r\n")]);
    });
    let ended = send(&files, &options, port);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("C: ***\nS: 334 UGFzc3dvcmQ6\nC: ***\n"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("c2VjcmV0"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn a_token_of_any_length_is_one_secret() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &["AUTH XOAUTH2"], |tls| {
        assert!(line(tls).len() > 10_000);
        say(tls, "535 no\r\n");
        talk(tls, &[("QUIT\r\n", "221 bye\r\n")]);
    });
    let token = files.put("token", &[b't'; 8000]);
    let login = format!("--user u --password-file {token} --auth xoauth2 --from a@b --to c@d");
    let ended = send(&files, &format!("--trace {login}"), port);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("C: AUTH XOAUTH2 ***\nS: 535 no\n"), "{}", ended.stderr);
    server.join().unwrap();
}

#[test]
fn the_first_line_is_the_password() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &["AUTH PLAIN"], |tls| {
        talk(tls, &[("AUTH PLAIN AHUAcHc=\r\n", "535 no\r\n"), ("QUIT\r\n", "221 bye\r\n")]);
    });
    let password = files.put("password", b"pw\r\nand a note\n");
    let login = format!("--user u --password-file {password} --from a@b --to c@d");
    assert_eq!(send(&files, &login, port).code, Some(8));
    server.join().unwrap();
}

/// A server that says EHLO's reply an octet at a time, or nothing at all, has not let us in.
#[test]
fn the_timeout_reaches_to_the_login() {
    let files = Arc::new(Files::new());
    for drip in [false, true] {
        let (port, server) = server(&files, &["AUTH PLAIN"], move |tls| {
            line(tls);
            while drip && tls.write_all(b"2").and_then(|()| tls.flush()).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            let _ = tls.read_to_end(&mut Vec::new());
        });
        let password = files.put("password", b"pw");
        let login = format!("--user u --password-file {password} --from a@b --to c@d --timeout 1");
        let ended = send(&files, &login, port);
        assert_eq!(ended.code, Some(3), "{drip}: {ended:?}");
        assert!(ended.stderr.contains("--timeout SECONDS"), "{}", ended.stderr);
        server.join().unwrap();
    }
}

#[test]
fn credentials_are_for_a_verified_server() {
    let files = Arc::new(Files::new());
    let password = files.put("password", b"secret\n");
    let login = format!("--user me@example.org --password-file {password} --to a@example.net");
    // Any certificate will do, but not for a password.
    let (port, server) = peer({
        let files = files.clone();
        move |mut tcp| {
            negotiate(&mut tcp);
            let mut tls = files.tls_server(tcp, &TLS13);
            let mut octets = Vec::new();
            let _ = tls.read_to_end(&mut octets);
            octets
        }
    });
    let other = files.path("other-ca.pem");
    let url = format!("submission://localhost:{port}");
    let line = format!("send --policy opportunistic --ca {other} --server {url} {login}");
    let ended = run(&line, MAIL);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(server.join().unwrap(), b"");
    // And never in plaintext.
    let (port, server) = peer(|mut tcp| {
        play(&mut tcp, &[("220 x\r\n", "EHLO localhost\r\n"), ("250 x\r\n", "STARTTLS\r\n")]);
        play(&mut tcp, &[("502 no\r\n", "QUIT\r\n")]);
        rest(&mut tcp)
    });
    let url = format!("submission://localhost:{port}");
    let policy = "--policy opportunistic --allow-plaintext";
    let ended = run(&format!("send {policy} --server {url} {login}"), MAIL);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(server.join().unwrap(), "");
}

#[test]
fn a_server_without_tls_gets_no_mail() {
    let files = Arc::new(Files::new());
    let (port, server) = peer(|mut tcp| {
        play(&mut tcp, &[("220 x\r\n", "EHLO localhost\r\n"), ("250 x\r\n", "STARTTLS\r\n")]);
        play(&mut tcp, &[("502 no\r\n", "QUIT\r\n")]);
        rest(&mut tcp)
    });
    let ended = send(&files, "--json --to a@example.net", port);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(object(&ended)["outcome"], "refused");
    assert_eq!(object(&ended)["recipients"][0]["state"], "not-sent");
    assert_eq!(server.join().unwrap(), "");
}

/// A file of known size, beyond what is held in memory, with the size declared.
#[test]
fn a_file_is_measured() {
    let files = Arc::new(Files::new());
    let mut octets = b"From: me@example.org\n\n".to_vec();
    octets.extend_from_slice("gr\u{fc}\u{df}e\n".repeat(20_000).as_bytes());
    let path = files.put("mail.eml", &octets);
    let (port, server) = server(&files, &["SIZE", "8BITMIME"], |tls| {
        let sender = "MAIL FROM:<me@example.org> SIZE=180024 BODY=8BITMIME\r\n";
        talk(tls, &[(sender, "250 ok\r\n"), ("RCPT TO:<a@example.net>\r\n", "250 ok\r\n")]);
        talk(tls, &[("DATA\r\n", "354 go\r\n")]);
        let mut got = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while !got.ends_with(b"\r\n.\r\n") {
            let n = tls.read(&mut piece).unwrap();
            got.extend_from_slice(&piece[..n]);
        }
        say(tls, "250 ok\r\n");
        talk(tls, &[("QUIT\r\n", "221 bye\r\n")]);
        got.len()
    });
    let ended = send(&files, &format!("--to a@example.net --message {path}"), port);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(server.join().unwrap(), 180_024 + 3);
}

/// A long message from a pipe is streamed: nothing is declared of it. Nobody is verified either,
/// and that is said.
#[test]
fn a_pipe_is_streamed() {
    let files = Arc::new(Files::new());
    let (port, server) = server(&files, &["SIZE", "8BITMIME", "CHUNKING"], |tls| {
        talk(tls, &[("MAIL FROM:<me@example.org> BODY=8BITMIME\r\n", "250 ok\r\n")]);
        talk(tls, &[("RCPT TO:<a@example.net>\r\n", "250 ok\r\n"), ("DATA\r\n", "354 go\r\n")]);
        let mut got = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while !got.ends_with(b"\r\n.\r\n") {
            let n = tls.read(&mut piece).unwrap();
            got.extend_from_slice(&piece[..n]);
        }
        say(tls, "250 ok\r\n");
        talk(tls, &[("QUIT\r\n", "221 bye\r\n")]);
        got.len()
    });
    let mut mail = b"From: me@example.org\r\n\r\n".to_vec();
    mail.resize(3_000_000, b'x');
    let url = format!("submission://localhost:{port}");
    let line = format!("send --policy opportunistic --to a@example.net --server {url}");
    let ended = run(&line, &mail);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(" unauthenticated ("), "{}", ended.stderr);
    assert_eq!(server.join().unwrap(), 3_000_000 + 2 + 3);
}
