//! `demo`: what a person sees who has just cloned the project.

use crate::support::run;

#[test]
fn a_mail_is_delivered() {
    let ended = run("demo", b"");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let shown = String::from_utf8(ended.stdout).unwrap();
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("no {text:?} in {shown}"));
    let ladder = [
        "S: 220 mail.example.org ESMTP service ready    [plaintext, untrusted]\n",
        "C: STARTTLS\n",
        "S: 220 Go ahead    [plaintext, untrusted]\n",
        "== TLS ==",
        "C: EHLO client.example.org\nS: 250-mail.example.org\nS: 250-PIPELINING\n",
        "C: AUTH PLAIN ***\n",
        "S: 235 ",
        "C: MAIL FROM:<user@example.org>",
        "C: RCPT TO:<friend@example.net>",
        " octets of the message)\nC: QUIT\n",
        "S: 221 ",
        "TLSv1.3, TLS13_AES_256_GCM_SHA384, key exchange X25519MLKEM768, server authenticated\n",
        "Waits for the server: 4 up to the channel, 7 in all\n",
        "Nobody on the way could read this line.\r\n.\r\n",
    ];
    let places: Vec<usize> = ladder.iter().map(|text| at(text)).collect();
    assert!(places.is_sorted(), "{places:?} in {shown}");
}

#[test]
fn implicit_tls_waits_less() {
    let ended = run("demo --implicit", b"");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let shown = String::from_utf8(ended.stdout).unwrap();
    let row = |name: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<u32>>()
    };
    assert_eq!(row("up to the channel"), [4, 1], "{shown}");
    assert_eq!(row("in all"), [7, 5], "{shown}");
}

#[test]
fn a_stripper_gets_nothing() {
    let ended = run("demo --strip", b"");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(shown.contains("C: STARTTLS\nS: 502 ") && shown.contains("C: QUIT\n"), "{shown}");
    for never in ["AUTH", "MAIL", "Subject", "== TLS"] {
        assert!(!shown.contains(never), "{shown}");
    }
    assert!(ended.stderr.starts_with("starttls: submission://localhost: "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
}
