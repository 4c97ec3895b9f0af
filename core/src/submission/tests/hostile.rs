//! Servers that break the rules, and 421, which they may say at any time.

use super::*;

const PIPELINING: &str = "250-mx\r\n250 PIPELINING\r\n";
const MAIL: &str = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";

fn case(greeting: bool) -> Case<'static> {
    const MAILS: &[(Envelope<'_>, bool)] = &[(
        Envelope {
            from: "a@example.org",
            to: TO,
            size: None,
            content: Content::SevenBit,
            utf8: false,
            require: Require::Any,
        },
        true,
    )];
    Case { greeting, ..Case::new(MAILS) }
}

#[test]
fn greetings() {
    let greeting = "a greeting is missing, or stands where there must be none";
    // One too many, in answer to EHLO and before it.
    case(false).check(&[(EHLO, "220 mx\r\n")], &[greeting]);
    case(false).check(&[(EHLO, "220-mx\r\n220 hi\r\n")], &[greeting]);
    case(true).check_whole(&[("", "220 mx\r\n220 mx\r\n")], &[greeting]);
    // None.
    for code in [200, 250, 354] {
        case(true).check(&[("", &format!("{code} mx\r\n"))], &[greeting]);
    }
    let refused = ["hello refused: 554=5.7.1 5.7.1 go away|now", "done"];
    let quit = ("QUIT\r\n", "221 bye\r\n");
    let no = "554-5.7.1 go away\r\n554 now\r\n";
    case(true).check(&[("", no), quit], &refused);
    case(false).check(&[(EHLO, no), quit], &refused);
    case(true).check(&[("", "220 mx\r\n"), (EHLO, no), quit], &refused);
}

/// A machine that has not said EHLO yet judges by what stands there.
#[test]
fn octets_before_ehlo() {
    for (input, error) in [
        ("220 mx\r\n", Misbehaviour::Greeting),
        ("250 mx\r\n", Misbehaviour::Unsolicited),
        ("2", Misbehaviour::Unsolicited),
        ("42", Misbehaviour::Unsolicited),
        ("\n", Misbehaviour::Unsolicited),
    ] {
        for chunk in 1..=input.len() {
            let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
            let mut storage = [0; 64];
            let mut end = None;
            for piece in input.as_bytes().chunks(chunk) {
                let mut out = Out::new(&mut storage);
                match submission.process(Decrypted::new(piece), &mut out) {
                    Ok(event) => assert_eq!(event, (piece.len(), Event::NeedInput)),
                    Err(error) => {
                        end = Some(error);
                        break;
                    }
                }
            }
            // A beginning that may still become 220 or 421 waits for the rest.
            let open = matches!(input, "2" | "42");
            assert_eq!(end, (!open).then_some(error.into()), "{input:?} by {chunk}");
        }
    }
}

#[test]
fn replies_nobody_asked_for() {
    let early = "a reply came before its command was sent";
    case(false).check_whole(&[(EHLO, "250 mx\r\n250 ok\r\n")], &[early]);
    case(false).check_whole(&[(EHLO, "250 mx\r\n25")], &[early]);
    case(false).check_whole(
        &[(EHLO, PIPELINING), (MAIL, "250 a\r\n250 b\r\n354 go\r\n250 x\r\n")],
        &["recipient 0", early],
    );
    let idle = Case::new(&[]);
    idle.check_whole(&[(EHLO, "250 mx\r\n2")], &[early]);
    // BDAT's success before its message.
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    submission.mail(Envelope { size: Some(100), ..envelope(TO) }, true).unwrap();
    let mut storage = [0; 512];
    let mut process = |input: &str| {
        submission
            .process(Decrypted::new(input.as_bytes()), &mut Out::new(&mut storage))
            .map(|(_, event)| tell(event))
    };
    assert_eq!(process(""), Ok(None));
    assert_eq!(process("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"), Ok(None));
    assert_eq!(process("250 ok\r\n250 ok\r\n"), Ok(Some("recipient 0".into())));
    assert_eq!(process("250 queued\r\n"), Err(Misbehaviour::Unsolicited.into()));
}

#[test]
fn an_early_refusal_of_bdat_lets_the_rest_go_out() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    submission.mail(Envelope { size: Some(5), ..envelope(TO) }, false).unwrap();
    let mut storage = [0; 512];
    let mut play = |input: &str| {
        let mut out = Out::new(&mut storage);
        let (_, event) = submission.process(Decrypted::new(input.as_bytes()), &mut out).unwrap();
        let body = event == Event::Body;
        let told = (tell(event), String::from_utf8_lossy(out.octets()).into_owned());
        if body {
            let mut out = Out::new(&mut storage);
            assert_eq!(submission.body(b"abc", &mut out), Ok(3));
            assert_eq!(out.octets(), b"abc");
            submission.end_body().unwrap();
        }
        told
    };
    let silent = |sent: &str| (None, String::from(sent));
    let said = |event: &str| (Some(String::from(event)), String::new());
    assert_eq!(play(""), silent("EHLO c\r\n"));
    let mail = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 5 LAST\r\n";
    assert_eq!(play("250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"), silent(mail));
    assert_eq!(play("250 ok\r\n250 ok\r\n"), said("recipient 0"));
    assert_eq!(play("552 no room\r\n"), said("message refused: 552 no room"));
    assert_eq!(play(""), silent(""));
    assert_eq!(play(""), silent("\r\nRSET\r\n"));
    assert_eq!(play("250 ok\r\n"), said("mail done"));
    assert_eq!(play(""), said("ready"));
}

#[test]
fn an_early_refusal_of_data_ends_the_session_without_the_final_dot() {
    for (early, end) in [
        ("552-5.3.4 too\r\n552 big\r\n", Ok("message refused: 552=5.3.4 5.3.4 too|big")),
        ("452 later\r\n", Ok("message refused: 452 later")),
        ("354 go\r\n", Err(Misbehaviour::Unsolicited)),
        ("250 queued\r\n", Err(Misbehaviour::Unsolicited)),
    ] {
        // Before the message, in the middle of it, and before its end.
        for (sent, ended) in [(0, false), (3, false), (3, true)] {
            for chunk in 1..=early.len() {
                let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
                submission.mail(envelope(TO), true).unwrap();
                let mut storage = [0; 512];
                for input in
                    ["", "250-mx\r\n250 PIPELINING\r\n", "250 a\r\n250 b\r\n", "354 go\r\n"]
                {
                    let out = &mut Out::new(&mut storage);
                    let _ = submission.process(Decrypted::new(input.as_bytes()), out).unwrap();
                }
                let out = &mut Out::new(&mut storage);
                assert_eq!(submission.process(Decrypted::default(), out), Ok((0, Event::Body)));
                assert_eq!(submission.body(&b"abc"[..sent], out), Ok(sent));
                if ended {
                    submission.end_body().unwrap();
                }
                let (mut told, mut last) = (Vec::new(), Ok(()));
                for mut piece in early.as_bytes().chunks(chunk) {
                    while !piece.is_empty() && last.is_ok() {
                        // No room to send anything: the reply is read all the same.
                        match submission.process(Decrypted::new(piece), &mut Out::new(&mut [])) {
                            Ok((used, event)) => {
                                told.extend(tell(event));
                                piece = &piece[used..];
                            }
                            Err(error) => last = Err(error),
                        }
                    }
                }
                match end {
                    Ok(refused) => {
                        let out = &mut Out::new(&mut storage);
                        while told.last().map(String::as_str) != Some("done") {
                            let (_, event) = submission.process(Decrypted::default(), out).unwrap();
                            told.extend(tell(event));
                        }
                        assert_eq!(told, [refused, "mail done", "done"], "{sent} {ended} {chunk}");
                        assert!(out.is_empty() && !submission.in_doubt());
                        assert_eq!(submission.close_received(), Ok(()));
                    }
                    Err(error) => assert_eq!(last, Err(error.into()), "{early} {sent} {chunk}"),
                }
            }
        }
    }
}

#[test]
fn replies_of_the_wrong_class() {
    for (script, told) in [
        (&[(EHLO, "235 in\r\n")][..], &["unexpected reply 235"][..]),
        (&[(EHLO, PIPELINING), (MAIL, "354 go\r\n")], &["unexpected reply 354"]),
        (&[(EHLO, PIPELINING), (MAIL, "250 ok\r\n354 go\r\n")], &["unexpected reply 354"]),
        (
            &[(EHLO, PIPELINING), (MAIL, "250 ok\r\n250 ok\r\n250 ok\r\n")],
            &["recipient 0", "unexpected reply 250"],
        ),
        // A recipient of a mail that was refused.
        (
            &[(EHLO, PIPELINING), (MAIL, "550 no\r\n250 ok\r\n")],
            &["sender refused: 550 no", "unexpected reply 250"],
        ),
        (
            &[
                (EHLO, PIPELINING),
                (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n"),
                ("Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n", "354 more\r\n"),
            ],
            &["recipient 0", "unexpected reply 354"],
        ),
    ] {
        case(false).check(script, told);
    }
    let lmtp = Case { mail: Mail::Lmtp, ..case(false) };
    let script =
        [("LHLO client.example.org\r\n", PIPELINING), (MAIL, "250 ok\r\n550 no\r\n354 go\r\n")];
    lmtp.check(&script, &["recipient 0 refused: 550 no", "unexpected reply 354"]);
}

#[test]
fn lines_that_are_none() {
    let endless = "250-x\r\n".repeat(200);
    let long = format!("250 {}\r\n", "x".repeat(MAX_LINE));
    for (reply, error) in [
        ("250 mx\n", "a line does not end in CR LF"),
        ("250 m\rx\r\n", "a line does not end in CR LF"),
        ("250 m\0x\r\n", "a line holds a NUL octet"),
        ("25\r\n", "a message is malformed"),
        ("hello\r\n", "a message is malformed"),
        ("250-a\r\n550 b\r\n", "the lines of a reply have different codes"),
        (&endless, "a reply has too many lines"),
        (&long, "a message is too long"),
    ] {
        case(false).check(&[(EHLO, reply)], &[error]);
    }
    // As long as may be, and its text cut.
    let longest = format!("550 {}\r\n", "x".repeat(MAX_LINE - 6));
    let told = format!("hello refused: 550 {}", "x".repeat(MAX_TEXT));
    case(false).check(&[(EHLO, &longest), ("QUIT\r\n", "221 bye\r\n")], &[&told, "done"]);
}

#[test]
fn service_closing() {
    let bye = "421 4.3.2 bye\r\n";
    let text = "421=4.3.2 4.3.2 bye";
    let ehlo = (EHLO, PIPELINING);
    let hello = format!("hello refused: {text}");
    case(true).check(&[("", bye)], &[&hello, "done"]);
    case(false).check(&[(EHLO, bye)], &[&hello, "done"]);
    let login = Credentials::password("user", "pencil");
    Case { login: Some(login), ..case(false) }.check(
        &[(EHLO, "250-mx\r\n250 AUTH PLAIN\r\n"), ("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n", bye)],
        &[&format!("login refused: {text}"), "done"],
    );
    let message = format!("message refused: {text}");
    for (replies, told) in [
        ("", &[&*format!("sender refused: {text}")][..]),
        ("250 ok\r\n", &[&format!("recipient 0 refused: {text}")]),
        ("550 no\r\n", &["sender refused: 550 no"]),
        ("250 ok\r\n250 ok\r\n", &["recipient 0", &message]),
    ] {
        let replies = format!("{replies}{bye}");
        let told = [told, &["mail done", "done"]].concat();
        case(false).check(&[ehlo, (MAIL, &replies)], &told);
    }
    let two = [(envelope(&["b@example.org", "c@example.org", "d@example.org"]), true)];
    let mail = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n\
                RCPT TO:<d@example.org>\r\nDATA\r\n";
    Case::new(&two).check(
        &[ehlo, (mail, &format!("250 ok\r\n250 ok\r\n{bye}"))],
        &["recipient 0", &format!("recipient 1 refused: {text}"), &message, "mail done", "done"],
    );
    let go = (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n");
    let dot = "Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n";
    case(false).check(&[ehlo, go, (dot, bye)], &["recipient 0", &message, "mail done", "done"]);
    case(false).check(
        &[ehlo, go, (dot, "250 queued\r\n421 bye\r\n")],
        &["recipient 0", "delivered: 250 queued", "mail done", "done"],
    );
    // Nobody asked, and nothing of the next mail goes out.
    case(false).check_whole(
        &[(EHLO, "250 mx\r\n421-4.3.2 bye\r\n421 now\r\n")],
        &["message refused: 421=4.3.2 4.3.2 bye|now", "mail done", "done"],
    );
    Case::new(&[]).check_whole(&[(EHLO, "250 mx\r\n421 bye\r\n")], &["done"]);
    // In answer to RSET: the message's fate was told.
    Case::new(&[(envelope(TO), false)]).check(
        &[ehlo, (MAIL, "250 ok\r\n250 ok\r\n550 spam\r\n"), ("RSET\r\n", bye)],
        &["recipient 0", "message refused: 550 spam", "mail done", "done"],
    );
    // Instead of the message.
    case(false).check_whole(
        &[ehlo, (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n421 bye\r\n")],
        &["recipient 0", "message refused: 421 bye", "mail done", "done"],
    );
}

/// Any order of replies, cut anywhere: an end is reached, and no panic. The sequence is fixed.
#[test]
fn nonsense_ends() {
    const SAID: &[&str] = &[
        "220 hi\r\n",
        "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n",
        "250 ok\r\n",
        "250 ok\r\n250 ok\r\n",
        "354 go\r\n",
        "235 in\r\n",
        "334 \r\n",
        "421 bye\r\n",
        "221 bye\r\n",
        "450 later\r\n",
        "550 no\r\n",
        "250-",
        "25",
        "\r\n",
        "\0",
        "503-x\r\n503 y\r\n",
    ];
    let mut state = 0x2545_f491_u32;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize % below
    };
    let (mut done, mut failed) = (0, 0);
    for round in 0..20_000 {
        let mail = if round % 2 == 0 { Mail::Smtp } else { Mail::Lmtp };
        let size = (round % 3 == 0).then_some(5);
        let require = if round % 5 == 0 { Require::All } else { Require::Any };
        let to = &["b@example.org"; 3][..=round % 3];
        let mut submission = Submission::new(mail, "c", round % 7 == 0).unwrap();
        let mut storage = [0; 256];
        submission.mail(Envelope { size, require, ..envelope(to) }, round % 11 < 6).unwrap();
        let mut input = Vec::new();
        let mut calls = 0;
        let end = loop {
            calls += 1;
            assert!(calls < 10_000, "it goes on for ever");
            let mut out = Out::new(&mut storage[..1 + random(255)]);
            let n = random(input.len() + 1);
            match submission.process(Decrypted::new(&input[..n]), &mut out) {
                Err(error) => break Err(error),
                Ok((_, Event::Done)) => break Ok(()),
                Ok((used, Event::Body)) => {
                    input.drain(..used);
                    // A piece that is not all taken is not offered again: any message will do.
                    if matches!(submission.body(b"abc", &mut Out::new(&mut storage)), Ok(3))
                        && let Err(error) = submission.end_body()
                    {
                        break Err(error);
                    }
                }
                Ok((used, event)) => {
                    let hungry = event == Event::NeedInput && n == input.len();
                    input.drain(..used);
                    if hungry && calls > 500 {
                        break submission.close_received();
                    } else if hungry {
                        let said =
                            if round % 13 == 0 || calls > 40 { random(SAID.len()) } else { 2 };
                        input.extend_from_slice(SAID[said].as_bytes());
                    }
                }
            }
        };
        match end {
            Ok(()) => done += 1,
            Err(Error::PeerMisbehaved(_) | Error::Truncated) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(!submission.in_doubt() || end.is_err());
    }
    assert!(done > 0 && failed > 0, "{done} {failed}");
}

#[test]
fn half_a_goodbye_holds_the_next_mail() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let mut storage = [0; 512];
    let mut play = |submission: &mut Submission<'_>, input: &str| {
        let mut out = Out::new(&mut storage);
        let (_, event) = submission.process(Decrypted::new(input.as_bytes()), &mut out).unwrap();
        (tell(event), out.len())
    };
    let told = |event: &str| (Some(String::from(event)), 0);
    assert_eq!(play(&mut submission, ""), (None, 8));
    assert_eq!(play(&mut submission, "250 mx\r\n"), told("ready"));
    assert_eq!(play(&mut submission, "421-by"), (None, 0));
    submission.mail(envelope(TO), true).unwrap();
    assert_eq!(play(&mut submission, "e\r\n"), (None, 0));
    assert_eq!(play(&mut submission, ""), (None, 0));
    assert_eq!(play(&mut submission, "421 now\r\n"), told("message refused: 421 bye|now"));
    assert_eq!(play(&mut submission, ""), told("mail done"));
    assert_eq!(play(&mut submission, ""), told("done"));
    assert_eq!(submission.close_received(), Ok(()));
}
