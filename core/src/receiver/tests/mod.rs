//! Whole sessions, octet for octet; each is played at every split and with small outputs too.

mod commands;
mod transactions;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::wire::MAX_LINE;

/// What a session came to: what was sent, what was told, and the error if it ended in one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Session {
    sent: Vec<u8>,
    told: Vec<String>,
    end: Option<Error>,
}

type Make = fn() -> Receiver<'static>;

/// Feeds `pieces` in turn, with outputs of `room` octets. Senders and recipients that begin with
/// `no` are refused, and a
/// message that holds `spam`; a sender that begins with `close` and a message `last one` get 421.
fn play(make: Make, pieces: &[&[u8]], room: usize) -> Session {
    let mut receiver = make();
    let mut session = Session::default();
    let mut body = Vec::new();
    'session: for piece in pieces {
        let mut rest = Decrypted::new(piece);
        loop {
            let mut storage = [0; 512];
            let mut out = Out::new(&mut storage[..room]);
            let result = receiver.process(rest, &mut out);
            session.sent.extend_from_slice(out.octets());
            let (used, received) = match result {
                Ok(found) => found,
                Err(error) => {
                    assert_eq!(receiver.process(rest, &mut out), Err(error), "errors stick");
                    session.end = Some(error);
                    break 'session;
                }
            };
            let mut tell = |what: &str, octets: &[u8]| {
                session.told.push(format!("{what}{}", String::from_utf8_lossy(octets)));
            };
            if !matches!(received, Received::Body(_) | Received::Send | Received::NeedInput)
                && !body.is_empty()
            {
                tell("= ", &body);
                body.clear();
            }
            let mut no = None;
            match received {
                Received::NeedInput => {
                    assert_eq!(used, rest.len(), "all input is used when more is needed");
                    break;
                }
                Received::Send => assert!(!out.is_empty() || used > 0, "no progress"),
                Received::Authenticated => tell("authenticated", b""),
                Received::Sender(path) => {
                    tell("< ", path);
                    no = path.starts_with(b"no").then_some((550, "5.7.1 Not you"));
                    if path.starts_with(b"close") {
                        no = Some((421, "Closing"));
                    }
                }
                Received::Recipient(path) => {
                    tell("> ", path);
                    no = path.starts_with(b"no").then_some((450, "Mailbox busy"));
                }
                Received::Body(octets) => {
                    assert!(!octets.is_empty());
                    body.extend_from_slice(octets);
                }
                Received::MessageEnd => {
                    let last = session.told.last().map_or("", String::as_str);
                    no = last.contains("spam").then_some((554, "5.7.1 Spam"));
                    if last.contains("last one") {
                        no = Some((421, "4.3.2 Closing"));
                    }
                    session.told.push("end".into());
                }
                Received::Reset => tell("reset", b""),
                Received::Closed => {
                    tell("closed", b"");
                    return session;
                }
            }
            if let Some((code, text)) = no {
                receiver.refuse(code, text).unwrap();
            }
            rest = rest.skip(used);
        }
    }
    if !body.is_empty() {
        session.told.push(format!("unfinished: {}", String::from_utf8_lossy(&body)));
    }
    session
}

/// Plays `input` whole, octet by octet, cut in two everywhere, and into small outputs: `sent` and
/// `told` are always the same.
#[track_caller]
fn check(make: Make, input: &str, sent: &str, told: &[&str], end: Option<Misbehaviour>) {
    let input = input.as_bytes();
    let whole = play(make, &[input], 512);
    let text = String::from_utf8_lossy(&whole.sent).into_owned();
    assert_eq!((text.as_str(), whole.end), (sent, end.map(Error::from)));
    assert_eq!(whole.told, told);
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(play(make, &octets, 512), whole, "octet by octet");
    assert_eq!(play(make, &octets, 80), whole, "octet by octet into 80 octets");
    for room in 70..140 {
        assert_eq!(play(make, &[input], room), whole, "into {room} octets");
    }
    for cut in 0..=input.len() {
        let (a, b) = input.split_at(cut);
        assert_eq!(play(make, &[a, b], 512), whole, "cut at {cut}");
    }
}

fn smtp() -> Receiver<'static> {
    Receiver::new(Mail::Smtp, "mx.example", false).unwrap()
}

fn lmtp() -> Receiver<'static> {
    Receiver::new(Mail::Lmtp, "mx.example", true).unwrap()
}

fn small() -> Receiver<'static> {
    smtp().with_size(10)
}

fn closed() -> Receiver<'static> {
    smtp().with_size(1000).with_account(Account { user: "tim", password: "tanstaaf" })
}

const EHLO: &str = "EHLO c\r\n";
const HELLO: &str = "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                     250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n";
const HELLO_SMALL: &str = "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                           250-CHUNKING\r\n250-SIZE 10\r\n250 ENHANCEDSTATUSCODES\r\n";
const HELLO_CLOSED: &str = "250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                            250-CHUNKING\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n\
                            250 ENHANCEDSTATUSCODES\r\n";
const ADDRESSED: &str = "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n";
const TAKEN: &str = "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n";
const GO_ON: &str = "354 End with <CR><LF>.<CR><LF>\r\n";
const ACCEPTED: &str = "250 2.0.0 Message accepted\r\n";
const DONE: &str = "250 2.0.0 OK\r\n";
const BARE: &str = "550 5.6.11 The message holds a bare CR or LF\r\n";
const BIG: &str = "552 5.3.4 Message too big\r\n";
const BYE: &str = "221 2.0.0 Bye\r\n";
const WRONG: &str = "535 5.7.8 Authentication failed\r\n";
const EHLO_FIRST: &str = "503 5.5.1 EHLO first\r\n";
const NO_MAIL: &str = "503 5.5.1 MAIL first\r\n";
const NO_RECIPIENTS: &str = "503 5.5.1 No valid recipients\r\n";
const RESET_FIRST: &str = "503 5.5.1 A chunk was refused, RSET first\r\n";
const SYNTAX: &str = "501 5.5.4 Syntax error in parameters or arguments\r\n";

#[test]
fn a_full_output_loses_nothing() {
    let mut receiver = smtp();
    let mut storage = [0; 13];
    // "250 2.0.0 OK" and its CR LF are 14 octets: the line was read, and is answered later.
    let input = Decrypted::new(b"NOOP\r\nQUIT\r\n");
    assert_eq!(receiver.process(input, &mut Out::new(&mut storage)), Ok((6, Received::Send)));
    let input = input.skip(6);
    for _ in 0..2 {
        let full = receiver.process(input, &mut Out::new(&mut storage));
        assert_eq!(full, Err(Error::OutputFull));
    }
    let (mut storage, sent) = ([0; 29], format!("{DONE}{BYE}"));
    let mut out = Out::new(&mut storage);
    assert_eq!(receiver.process(input, &mut out), Ok((6, Received::Closed)));
    assert_eq!(out.octets(), sent.as_bytes());
}

#[test]
fn verdicts_are_checked() {
    let mut receiver = smtp();
    let (mut storage, phase) = ([0; 512], Err(Misuse::Phase.into()));
    assert_eq!(receiver.refuse(550, "5.1.1 x"), phase);
    let input = Decrypted::new(b"EHLO c\r\nMAIL FROM:<a@x>\r\n");
    let found = receiver.process(input, &mut Out::new(&mut storage));
    assert_eq!(found, Ok((input.len(), Received::Sender(b"a@x"))));
    let long = "x".repeat(MAX_TEXT + 1);
    let long: &'static str = alloc::boxed::Box::leak(long.into_boxed_str());
    for (code, text) in
        [(250, "x"), (399, "x"), (600, "x"), (550, "4.1.1 x"), (550, "a\r\n250 b"), (550, long)]
    {
        assert_eq!(receiver.refuse(code, text), Err(Misuse::Line.into()), "{code} {text}");
    }
    assert_eq!(receiver.refuse(550, &long[1..]), Ok(()));
    let mut out = Out::new(&mut storage);
    assert_eq!(receiver.process(Decrypted::new(b""), &mut out), Ok((0, Received::NeedInput)));
    assert_eq!(out.len(), 512);
    assert_eq!(out.octets(), format!("550 5.0.0 {}\r\n", &long[1..]).as_bytes());
    assert_eq!(receiver.refuse(550, "5.1.1 x"), phase);
    assert_eq!(Receiver::new(Mail::Smtp, "a b", false).err(), Some(Misuse::Name.into()));
}

#[test]
fn no_password_is_shown() {
    let mut receiver = closed();
    let input = Decrypted::new(b"EHLO c\r\nAUTH PLAIN AHRpbQB0YW5zdGFhZg");
    assert!(receiver.process(input, &mut Out::new(&mut [0; 512])).is_ok());
    let shown = format!("{receiver:?}");
    assert!(shown.contains("tim") && shown.contains("***"), "{shown}");
    assert!(!shown.contains("tanstaaf") && !shown.contains("AHRp"), "{shown}");
    // Nor as numbers: "AHRp".
    assert!(!shown.contains("65, 72"), "{shown}");
}

#[test]
fn it_is_small() {
    assert!(size_of::<Receiver<'_>>() <= MAX_LINE + 256);
}

/// Sessions put together by chance, hostile ones among them, cut by chance into small outputs.
#[test]
fn no_cut_changes_any_session() {
    const PARTS: &[&[u8]] = &[
        b"EHLO c\r\n",
        b"LHLO c\r\n",
        b"HELO c\r\n",
        b"MAIL FROM:<a@x>\r\n",
        b"MAIL FROM:<no@x> SIZE=3\r\n",
        b"RCPT TO:<b@y>\r\n",
        b"RCPT TO:<no@y>\r\n",
        b"DATA\r\n",
        b"BDAT 5\r\n",
        b"BDAT 3 LAST\r\n",
        b"RSET\r\n",
        b"spam",
        b"\r\n.\r\n",
        b"\r\n..",
        b".",
        b"\r",
        b"\n",
        b"\0",
        b"\xff",
        b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n",
        b"AUTH LOGIN\r\n",
        b"dGlt\r\n",
        b"dGFuc3RhYWY=\r\n",
        b"*\r\n",
        b"BDAT\r\n",
        b"QUIT\r\n",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % limit as u64).unwrap()
    };
    let (mut mails, mut errors) = (0, 0);
    for round in 0..20_000 {
        let make = [smtp, lmtp, small, closed][round % 4];
        let mut input = [&b"EHLO c\r\n"[..], b"LHLO c\r\n"][usize::from(round % 4 == 1)].to_vec();
        if round % 4 == 3 {
            input.extend_from_slice(b"AUTH PLAIN AHRpbQB0YW5zdGFhZg==\r\n");
        }
        if below(2) == 0 {
            input.extend_from_slice(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n");
        }
        for _ in 0..below(16) {
            input.extend_from_slice(PARTS[below(PARTS.len())]);
        }
        let mut pieces = Vec::new();
        let mut rest = &input[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(1 + below(rest.len().min(9)));
            pieces.push(piece);
            rest = more;
        }
        let whole = play(make, &[&input], 512);
        let cut = play(make, &pieces, 64 + below(100));
        assert_eq!(cut, whole, "{:?}", String::from_utf8_lossy(&input));
        mails += usize::from(whole.told.iter().any(|told| told == "end"));
        errors += usize::from(whole.end.is_some());
    }
    assert!(mails > 500 && errors > 500, "{mails} mails, {errors} errors");
}
