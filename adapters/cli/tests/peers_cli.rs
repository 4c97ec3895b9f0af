//! The binary against real servers and clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use starttls_tests::peers::{
    Ca, Dovecot, OpenSsl, PASSWORD, Postfix, Swaks, USER, sent_form, skip_or_fail, without_trace,
};

const MESSAGE: &[u8] =
    b"From: alice@mail.test\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\nGr\xc3\xbc\r\n";

/// A mail server for `--exec`, inside TLS; the message goes to its standard error.
const SCRIPT: &str = r#"
cr=$(printf '\r')
while read -r line; do
    case $line in
    EHLO*) printf '250-mail.test\r\n250 HELP\r\n' ;;
    DATA*)
        printf '354 go\r\n'
        while read -r line && [ "$line" != ".$cr" ]; do echo "got $line" >&2; done
        printf '250 2.0.0 taken\r\n'
        ;;
    QUIT*) printf '221 bye\r\n'; exit ;;
    *) printf '250 ok\r\n' ;;
    esac
done
"#;

macro_rules! servers {
    ($ca:ident, $dovecot:ident, $postfix:ident) => {
        let $ca = Ca::new();
        let Some($dovecot) = skip_or_fail(Dovecot::start(&$ca)) else { return };
        let Some($postfix) = skip_or_fail(Postfix::start(&$ca, &$dovecot)) else { return };
    };
}

fn starttls(verb: &str, ca: &Ca) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starttls"));
    command.arg(verb).arg("--ca").arg(&ca.root_pem).env("SECRET", PASSWORD).env("WRONG", "wrong");
    command
}

fn run(command: &mut Command, input: &[u8]) -> Output {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn send(ca: &Ca, url: String, options: &str, message: &[u8]) -> Output {
    let mut command = starttls("send", ca);
    command.args(["--server", &url, "--from", "alice@mail.test"]);
    run(command.args(options.split_whitespace()), message)
}

#[test]
fn send_delivers_to_postfix() {
    servers!(ca, dovecot, postfix);
    let submission = format!("submission://localhost:{}", postfix.submission);
    let submissions = format!("submissions://localhost:{}", postfix.submissions);
    let login = format!("--user {USER} --password-env SECRET --to bob@mail.test");
    let mut sent = 0;
    for url in [&submission, &submissions] {
        for auth in ["", "--auth plain", "--auth login", "--auth scram-sha-256"] {
            let ended = send(&ca, url.clone(), &format!("{login} {auth}"), MESSAGE);
            assert_eq!(ended.status.code(), Some(0), "{url} {auth}: {ended:?}");
            assert!(ended.stdout.starts_with(b"bob@mail.test sent: 250 2.0.0 "), "{ended:?}");
            sent += 1;
        }
    }
    let messages = postfix.mailbox("bob@mail.test").wait_for(sent);
    let found = messages.iter().filter(|stored| without_trace(&sent_form(stored)) == MESSAGE);
    assert_eq!(found.count(), sent);
}

#[test]
fn send_tells_of_refusals() {
    servers!(ca, dovecot, postfix);
    let url = |port: u16| format!("submission://localhost:{port}");
    let good = format!("--user {USER} --password-env SECRET --to bob@mail.test");
    let bad = format!("--user {USER} --password-env WRONG --to bob@mail.test");
    let code = |port, options: &str, message: &[u8]| {
        let ended = send(&ca, url(port), options, message);
        (ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap())
    };
    assert_eq!(code(postfix.submission, &bad, MESSAGE).0, 8);
    let also = format!("{good} --to {}", Postfix::REFUSED);
    let (status, lines) = code(postfix.submission, &also, MESSAGE);
    assert!(status == 8 && lines.contains("refused@mail.test refused: 550 5.1.1 "), "{lines}");
    let also = format!("{good} --to {}", Postfix::LATER);
    let (status, lines) = code(postfix.submission, &also, MESSAGE);
    assert!(status == 9 && lines.contains("later@mail.test refused: 450 4.2.1 "), "{lines}");
    let large = b"x\r\n".repeat(Postfix::SMALL_SIZE);
    assert_eq!(code(postfix.small, &good, &large).0, 8);
    assert_eq!(code(postfix.plaintext, &good, MESSAGE).0, 4);
    for port in [postfix.expired, postfix.wrong_name, postfix.untrusted] {
        assert_eq!(code(port, &good, MESSAGE).0, 6);
    }
}

#[test]
fn connect_talks_to_postfix_and_dovecot() {
    servers!(ca, dovecot, postfix);
    for (url, input) in [
        (format!("smtp://localhost:{}", postfix.smtp), "EHLO client.test\r\nQUIT\r\n"),
        (format!("submissions://localhost:{}", postfix.submissions), "QUIT\r\n"),
        (format!("lmtp://localhost:{}", dovecot.lmtp), "LHLO client.test\r\nQUIT\r\n"),
    ] {
        let ended = run(starttls("connect", &ca).arg(&url), input.as_bytes());
        let stdout = String::from_utf8_lossy(&ended.stdout);
        assert!(stdout.lines().last().is_some_and(|line| line.starts_with("221 ")), "{ended:?}");
        // 3 for a server that drops the connection behind its goodbye.
        assert!(matches!(ended.status.code(), Some(0 | 3)), "{url}: {ended:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).starts_with("starttls: secured "));
    }
}

/// A server of ours whose command is [`SCRIPT`].
struct Served {
    child: Child,
    stderr: BufReader<ChildStderr>,
    port: u16,
}

fn serve(ca: &Ca, url: &str, script: &std::path::Path) -> Served {
    std::fs::write(script, SCRIPT).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_starttls"))
        .arg("serve")
        .arg("--cert")
        .arg(&ca.server.chain_pem)
        .arg("--key")
        .arg(&ca.server.key_pem)
        .args(["--once", url, "--exec", "sh"])
        .arg(script)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let port = line.trim_end().rsplit_once(':').unwrap().1.parse().unwrap();
    Served { child, stderr, port }
}

impl Served {
    fn end(mut self) -> (i32, String) {
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code().unwrap(), text)
    }
}

#[test]
fn serve_takes_openssl_swaks_and_postfix() {
    servers!(ca, dovecot, postfix);
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");

    let served = serve(&ca, "smtp://127.0.0.1:0", &script);
    let client = OpenSsl::new(served.port, Some("smtp"), &ca.root_pem).program();
    let Some(client) = skip_or_fail(client) else { return };
    let ran = client.input("EHLO c\r\nQUIT\r\n").run();
    assert!(ran.stdout.contains("221 bye"), "{ran:?}");
    let (code, text) = served.end();
    assert!(code == 0 || code == 3 && text.contains("without close_notify"), "{code} {text}");

    let served = serve(&ca, "submission://127.0.0.1:0", &script);
    let to = "bob@out.test";
    let swaks = Swaks { port: served.port, root_pem: ca.root_pem.clone(), to };
    let client = swaks.program(b"Subject: x\r\n\r\nby swaks\r\n");
    let Some(client) = skip_or_fail(client) else { return };
    let ran = client.run();
    assert!(ran.status.success(), "{ran:?}");
    let (_, text) = served.end();
    assert!(text.contains("got by swaks\r\n"), "{text}");

    let served = serve(&ca, &format!("smtp://127.0.0.1:{}", postfix.outbound), &script);
    let login = format!("--user {USER} --password-env SECRET --to {to}");
    let url = format!("submission://localhost:{}", postfix.submission);
    assert_eq!(send(&ca, url, &login, MESSAGE).status.code(), Some(0));
    let (_, text) = served.end();
    assert!(text.contains("got Subject: dots\r\n"), "{text}");
}
