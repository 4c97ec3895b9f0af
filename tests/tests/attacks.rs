//! The attacks of `tests/attacks`, and those that are not one dialogue: names, and every code.

use std::collections::BTreeMap;
use std::io::Write;

use starttls::Error;
use starttls::error::Misuse;
use starttls::negotiate::{Client, Server};
use starttls_tests::attack::Attack;
use starttls_tests::dialogue::{Dialogue, Speaker};
use starttls_tests::play::{Run, play};
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
            format!("attacks          {protocol:>10} {side} {cases:>4} cases {runs:>8} runs\n");
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
    for protocol in ["smtp", "lmtp"] {
        let entry = Server::entry(protocol).unwrap();
        let setting = Dialogue::of(protocol).remove(0).setting;
        for bad in ["A\r\n250 B", "A\nB", "A\0", "\u{fc}", "A\x7f", "A\tB"] {
            let error =
                (entry.new)(setting.with("extensions", &format!("SIZE, {bad}")).leak()).err();
            assert_eq!(error, Some(Misuse::Line.into()), "{bad:?}");
        }
        let line = |n| setting.with("extensions", &"x".repeat(n)).leak();
        assert!((entry.new)(line(2042)).is_ok());
        assert_eq!((entry.new)(line(2043)).err(), Some(Misuse::Line.into()));
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
