//! The attacks of `tests/attacks`, and those that are not one dialogue: names, and every code.

use std::collections::BTreeMap;
use std::io::Write;

use starttls::Error;
use starttls::error::Misuse;
use starttls::negotiate::{Client, Server};
use starttls_tests::attack::Attack;
use starttls_tests::dialogue::{Dialogue, Speaker};
use starttls_tests::play::{Idle, Run, play};
use starttls_tests::table::Role;

#[test]
fn attacks_at_every_split_point() {
    let mut counts = BTreeMap::<_, (usize, usize)>::new();
    let (attacks, mut failed) = (Attack::all(), Vec::new());
    for attack in &attacks {
        let side = if attack.to == Speaker::Client { "client" } else { "server" };
        let count = counts.entry((attack.protocol.as_str(), side)).or_default();
        *count = (
            count.0 + 1,
            count.1
                + attack.check().unwrap_or_else(|wrong| {
                    failed.push(wrong);
                    0
                }),
        );
    }
    for ((protocol, side), (cases, runs)) in counts {
        let line =
            format!("attacks          {protocol:>20} {side} {cases:>4} cases {runs:>8} runs\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let mut titles: Vec<_> = attacks.iter().map(|a| (&a.title, a.to == Speaker::Client)).collect();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), attacks.len(), "two cases of one name");
}

/// Plaintext follows only where the case's policy allows it, and only after TLS was refused and
/// the service was not. A server's command is then the application's to answer, and nothing else
/// that came in is lost or left.
#[test]
fn plaintext_follows_only_where_allowed() {
    let (mut allowed, mut kept) = (0, 0);
    for attack in Attack::all().iter().filter(|attack| attack.end != "Ready") {
        let title = &attack.title;
        let refused = attack.end.starts_with("PeerRefused") && !attack.end.contains("(Service");
        match attack.into_plaintext() {
            Ok(octets) => {
                assert!(attack.plaintext && refused, "{title}");
                let left = match attack.to {
                    Speaker::Client => &[][..],
                    Speaker::Server => attack.exchange.peer.last().unwrap(),
                };
                assert_eq!(octets, left, "{title}");
                allowed += 1;
            }
            Err(error) if attack.plaintext => {
                assert!(!refused && error != Misuse::PlaintextNotAllowed.into(), "{title}");
                kept += 1;
            }
            Err(error) => assert_eq!(error, Misuse::PlaintextNotAllowed.into(), "{title}"),
        }
    }
    assert!(allowed > 4 && kept > 4, "{allowed} {kept}");
}

/// CR, LF, NUL and SP in a name are refused before an octet is sent, wherever they stand.
#[test]
fn names_that_would_break_a_line() {
    fn names<S: Role>() {
        for entry in S::table() {
            let Some(key) = entry.named else { continue };
            let dialogue = Dialogue::of(entry.name).remove(0);
            let good = dialogue.setting.value(key);
            for at in (0..=good.len()).filter(|&at| good.is_char_boundary(at)) {
                for bad in ["\r", "\n", "\0", " ", "\r\n", "\t", "\x7f", "\u{fc}"] {
                    let name = format!("{}{bad}{}", &good[..at], &good[at..]);
                    let setting = dialogue.setting.with(key, &name).leak();
                    let error = (entry.new)(setting).err();
                    assert_eq!(error, Some(Misuse::Name.into()), "{} {name:?}", entry.name);
                }
            }
            for (length, end) in
                [(0, Some(Misuse::Name.into())), (255, None), (256, Some(Misuse::Name.into()))]
            {
                let setting = dialogue.setting.with(key, &"x".repeat(length)).leak();
                assert_eq!((entry.new)(setting).err(), end, "{} {length}", entry.name);
            }
        }
    }
    names::<Client>();
    names::<Server>();
}

/// The lines a server is told to offer are checked too.
#[test]
fn extensions_that_would_break_a_line() {
    for (protocol, longest) in [
        ("smtp", 2042),
        ("lmtp", 2042),
        ("pop3", 510),
        ("nntp", 510),
        ("nnsp", 510),
        ("ftp", 510),
        // `:irc.test CAP * LS :… tls` in 512 octets.
        ("irc", 512 - ":irc.test CAP * LS : tls\r\n".len()),
    ] {
        let entry = Server::entry(protocol).unwrap();
        let setting = Dialogue::of(protocol).remove(0).setting;
        let setting: &'static _ = setting.with("server", "irc.test").leak();
        for bad in ["A\r\n250 B", "A\nB", "A\0", "\u{fc}", "A\x7f", "A\tB"] {
            let error =
                (entry.new)(setting.with("extensions", &format!("SIZE, {bad}")).leak()).err();
            assert_eq!(error, Some(Misuse::Line.into()), "{bad:?}");
        }
        let line = |n| setting.with("extensions", &"x".repeat(n)).leak();
        assert!((entry.new)(line(longest)).is_ok(), "{protocol}");
        assert_eq!((entry.new)(line(longest + 1)).err(), Some(Misuse::Line.into()), "{protocol}");
    }
}

/// Every three digits, as the answer to everything an SMTP or LMTP client says before TLS.
#[test]
fn every_code_at_every_step() {
    for (protocol, hello) in [("smtp", "EHLO"), ("lmtp", "LHLO")] {
        let entry = Client::entry(protocol).unwrap();
        let setting = Dialogue::of(protocol).remove(0).setting;
        let name = setting.value("client");
        let asked = [
            String::new(),
            format!("{hello} {name}\r\n"),
            format!("{hello} {name}\r\nSTARTTLS\r\n"),
        ];
        for step in 0..3 {
            for code in 0..1000 {
                let mut turns = vec![b"220 x\r\n".to_vec(), b"250 x\r\n".to_vec()];
                turns.truncate(step);
                turns.push(format!("{code:03} x\r\n").into_bytes());
                let temporary = if (400..500).contains(&code) { " temporary" } else { "" };
                let refusal = |kind: &str| format!("PeerRefused({kind} {code}{temporary})");
                let end = match (step, code) {
                    (_, 0..100 | 600..) => "PeerMisbehaved(Malformed)".into(),
                    (0, 220) | (1, 250) => "Closed".into(),
                    (2, 220) => "Ready".into(),
                    (_, 421) | (0, 400..) | (1, 400..500) => refusal("Service"),
                    (1, 500..) => refusal("NotOffered"),
                    (2, 400..) => refusal("Upgrade"),
                    _ => format!("PeerMisbehaved(UnexpectedReply({code}))"),
                };
                let played =
                    play((entry.new)(setting).unwrap(), entry.again, &turns, &Run::default());
                assert_eq!(played.end_name(), end, "{protocol} step {step}: {code:03}");
                let mut sent = asked[step].clone();
                if end.starts_with("PeerRefused") {
                    sent += "QUIT\r\n";
                } else if end == "Closed" {
                    sent.clone_from(&asked[step + 1]);
                }
                assert_eq!(String::from_utf8(played.sent).unwrap(), sent, "step {step}: {code:03}");
            }
        }
    }
}

/// The same for NNTP, FTP and IRC, in words other than the machines'.
#[test]
fn every_code_at_every_step_of_the_others() {
    type Judge = fn(usize, usize) -> Option<&'static str>;
    let nntp: Judge = |step, code| match (step, code) {
        (0, 200 | 201) | (1, 101 | 401..=599) => Some("Closed"),
        (2, 382) => Some("Ready"),
        (_, 400) => Some("Service temporary"),
        (0, 401..=599) => Some("Service"),
        (2, 401..=599) => Some("Upgrade"),
        _ => None,
    };
    let ftp: Judge = |step, code| match (step, code) {
        (0, 120 | 220) | (1, 211 | 400..=420 | 422..=599) => Some("Closed"),
        (2, 234) => Some("Ready"),
        (_, 421) | (0, 400..=499) => Some("Service temporary"),
        (0, 500..=599) => Some("Service"),
        (2, 400..=499) => Some("Upgrade temporary"),
        (2, 500..=599) => Some("Upgrade"),
        _ => None,
    };
    let irc: Judge = |_, code| match code {
        20 => Some("Closed"),
        670 => Some("Ready"),
        463 | 465 => Some("Service"),
        400..=599 | 691 => Some("Upgrade"),
        _ => None,
    };
    let news = ["200 x\r\n", "101 x\r\n.\r\n"];
    let ask_news = ["", "CAPABILITIES\r\n", "STARTTLS\r\n"];
    let files = ["220 x\r\n", "211 x\r\n"];
    let ask_files = ["", "FEAT\r\n", "AUTH TLS\r\n"];
    // Of the codes, FTP's and NNTP's begin with 1 to 5.
    for (protocol, peer, asked, classes, judge) in [
        ("nntp", &news[..], &ask_news[..], 100..600, nntp),
        ("nnsp", &news, &ask_news, 100..600, nntp),
        ("ftp", &files, &ask_files, 100..600, ftp),
        ("irc", &[], &["STARTTLS\r\n"], 0..1000, irc),
    ] {
        let entry = Client::entry(protocol).unwrap();
        let setting = Dialogue::of(protocol).remove(0).setting;
        for (step, code) in (0..asked.len()).flat_map(|step| (0..1000).map(move |c| (step, c))) {
            let mut turns: Vec<_> = peer[..step].iter().map(|t| t.as_bytes().to_vec()).collect();
            turns.push(format!("{code:03} x\r\n").into_bytes());
            let played = play((entry.new)(setting).unwrap(), entry.again, &turns, &Run::default());
            let mut sent = asked[..=step].concat();
            let end = match judge(step, code) {
                _ if !classes.contains(&code) => "PeerMisbehaved(Malformed)".into(),
                Some(end @ ("Closed" | "Ready")) => {
                    // 101 and 120 go on; another answer brings the next question.
                    let goes_on = end == "Closed" && ![20, 101, 120].contains(&code);
                    sent += if goes_on { asked[step + 1] } else { "" };
                    end.into()
                }
                Some(refusal) => {
                    sent += "QUIT\r\n";
                    let (kind, later) = refusal.split_once(' ').unwrap_or((refusal, ""));
                    format!("PeerRefused({kind} {code} {later}").trim_end().to_owned() + ")"
                }
                None => format!("PeerMisbehaved(UnexpectedReply({code}))"),
            };
            assert_eq!(played.end_name(), end, "{protocol} step {step}: {code:03}");
            assert_eq!(String::from_utf8(played.sent).unwrap(), sent, "{protocol} {code:03}");
        }
    }
}

/// Lines that IRC allows at any time are the application's where they follow a refusal and the
/// connection goes on; they are no answer given before its question.
#[test]
fn notices_behind_a_refusal() {
    let entry = Client::entry("irc").unwrap();
    let setting = Dialogue::of("irc").remove(0).setting;
    for behind in ["", ":x NOTICE * :a\r\n", ":x NOTICE * :a\r\nPING :1\r\n:x NOT", ":x 00"] {
        let turns = [format!(":x 421 * STARTTLS :Unknown command\r\n{behind}").into_bytes()];
        let run = Run { plaintext: true, idle: Idle::Plaintext, ..Run::default() };
        let played = play((entry.new)(setting).unwrap(), entry.again, &turns, &run);
        assert_eq!((played.end, played.residue), (Ok(()), behind.as_bytes().to_vec()));
        assert_eq!(played.sent, b"STARTTLS\r\n");
    }
}

/// An error that came from misuse of the driver is told from the peer's.
#[test]
fn a_buffer_that_is_too_small() {
    use starttls::negotiate::{Negotiation, Status};
    use starttls::wire::{Out, RecvBuf};
    for entry in Client::table().iter().filter(|entry| entry.max_frame > 0) {
        let setting = Dialogue::of(entry.name).remove(0).setting;
        for (size, expected) in [
            (entry.max_frame, Ok(Status::Progress)),
            (entry.max_frame - 1, Err(Error::from(Misuse::BufferTooSmall(entry.max_frame)))),
        ] {
            let (mut storage, mut out) = (vec![0; size], [0; 2048]);
            let mut negotiation = Negotiation::new((entry.new)(setting).unwrap());
            let mut out = Out::new(&mut out);
            assert_eq!(negotiation.process(&mut RecvBuf::new(&mut storage), &mut out), expected);
        }
    }
}
