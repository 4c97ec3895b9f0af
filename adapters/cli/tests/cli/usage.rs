//! What is wrong before anything is said: status 2 and a line that says why.

use crate::support::{Files, run};

#[test]
fn usage_errors_are_2() {
    let files = Files::new();
    let (ca, cert, key) =
        (files.path("ca.pem"), files.path("server.pem"), files.path("server.key"));
    let (other, empty) = (files.path("elsewhere.key"), files.put("empty.pem", b"nothing\n"));
    for (line, reason) in [
        (String::new(), "Usage"),
        ("tickle smtp://localhost".into(), "unrecognized"),
        ("connect".into(), "required"),
        ("connect gopher://localhost".into(), "unknown scheme"),
        ("connect localhost".into(), "no URL"),
        ("connect smtp://localhost:0x19".into(), "no port"),
        ("connect smtp://localhost:+25".into(), "no port"),
        ("connect smtp://localhost:0".into(), "port 0"),
        ("connect smtp://localhost/".into(), "PROTO://HOST[:PORT]"),
        ("connect smtp://me@localhost".into(), "PROTO://HOST[:PORT]"),
        ("send --server smtp://localhost:0 --to a@b".into(), "port 0"),
        ("connect --policy dane smtp://localhost".into(), "not built yet"),
        ("connect --pin sha256//AAAA smtp://localhost".into(), "not built yet"),
        ("connect --allow-plaintext smtp://localhost".into(), "opportunistic"),
        ("connect --timeout soon smtp://localhost".into(), "seconds"),
        ("connect --ca /does/not/exist smtp://localhost".into(), "No such file"),
        (format!("connect --ca {empty} smtp://localhost"), "no PEM certificate"),
        (format!("connect --ca {ca} --name not_a..name smtp://localhost"), "no DNS name"),
        (format!("connect --ca {ca} --domain {} smtp://localhost", "x".repeat(256)), "name"),
        (format!("connect --ca {ca} --client-cert {cert} smtp://localhost"), "--client-key"),
        (
            format!("connect --ca {ca} --client-cert {cert} --client-key {other} smtp://localhost"),
            "elsewhere.key",
        ),
        (format!("serve --cert {cert} smtp://127.0.0.1:0"), "--key"),
        (format!("serve --cert {cert} --key {other} smtp://127.0.0.1:0"), "elsewhere.key"),
        (format!("serve --cert {cert} --key {cert} smtp://127.0.0.1:0"), "no unencrypted PEM key"),
        (format!("serve --cert /nowhere --key {key} smtp://127.0.0.1:0"), "/nowhere"),
        ("send --server smtp://localhost".into(), "--to"),
        ("send --server gopher://localhost --to a@b".into(), "unknown scheme"),
        (format!("send --ca {ca} --message /nowhere --to a@b"), "/nowhere"),
        (format!("send --ca {ca} --to a@b"), "--from"),
        (format!("send --ca {ca} --from a@b --to not\u{1}so@b"), "address"),
        (format!("send --ca {ca} --from a@b --to a@b --user u"), "--password-file"),
        (format!("send --ca {ca} --to a@b --user u --password-file /nowhere"), "/nowhere"),
        (format!("send --ca {ca} --to a@b --user u --auth magic"), "scram-sha-256"),
        ("send --to a@b --policy opportunistic --allow-plaintext".into(), "not built yet"),
    ] {
        let ended = run(&line, b"");
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
        assert!(ended.stderr.contains(reason), "{line}: {}", ended.stderr);
        if !line.is_empty() {
            assert!(ended.stderr.starts_with("starttls: "), "{line}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{line}: {}", ended.stderr);
        }
        assert_eq!(ended.stdout, b"", "{line}");
    }
}

#[test]
fn one_definition_for_help_completions_and_manual() {
    for verb in ["demo", "send", "connect", "serve"] {
        let help = run(&format!("{verb} --help"), b"");
        assert_eq!(help.code, Some(0));
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Examples:") && help.contains("starttls "), "{help}");
        let man = String::from_utf8(run("man", b"").stdout).unwrap();
        assert!(man.contains(&format!(".SH \"STARTTLS {}\"", verb.to_uppercase())), "{man}");
        assert!(man.contains("\\-\\-linger"), "{man}");
        for shell in ["bash", "zsh", "fish"] {
            let script = run(&format!("completions {shell}"), b"");
            assert_eq!(script.code, Some(0));
            assert!(String::from_utf8(script.stdout).unwrap().contains(verb));
        }
    }
}
