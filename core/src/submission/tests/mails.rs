//! Mails: order, waits, framing, refusals.

use super::*;

const PLAIN: &str = "250-mx\r\n250 SIZE 1000\r\n";
const PIPELINING: &str = "250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n";
const MAIL: &str = "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";
const TWO: &[&str] = &["b@example.org", "c@example.org"];

fn all<'a>(to: &'a [&'a str]) -> Envelope<'a> {
    Envelope { require: Require::All, ..envelope(to) }
}

#[test]
fn one_command_at_a_time_without_pipelining() {
    Case::new(&[(sized(TO), true)]).check(
        &[
            (EHLO, PLAIN),
            ("MAIL FROM:<a@example.org> SIZE=21\r\n", "250 2.1.0 ok\r\n"),
            ("RCPT TO:<b@example.org>\r\n", "250 2.1.5 ok\r\n"),
            ("DATA\r\n", "354 go\r\n"),
            (STUFFED, "250 2.0.0 queued\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &["recipient 0", "delivered: 250=2.0.0 2.0.0 queued", "mail done", "done"],
    );
}

#[test]
fn three_waits_with_data_after_ehlo() {
    Case::new(&[(envelope(TO), true)]).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (&format!("{STUFFED}QUIT\r\n"), "250 queued\r\n221 bye\r\n"),
        ],
        &["recipient 0", "delivered: 250 queued", "mail done", "done"],
    );
}

#[test]
fn two_waits_with_bdat_after_ehlo_and_greeting_one_more() {
    let bdat = "MAIL FROM:<a@example.org> SIZE=21\r\nRCPT TO:<b@example.org>\r\nBDAT 21 LAST\r\n\
                Subject: hi\r\n\r\n.dot\r\nQUIT\r\n";
    let script = [
        ("", "220-mx\r\n220 ESMTP\r\n"),
        (EHLO, CHUNKING),
        (bdat, "250 ok\r\n250 ok\r\n250 queued\r\n221 bye\r\n"),
    ];
    let told = ["recipient 0", "delivered: 250 queued", "mail done", "done"];
    Case { greeting: true, ..Case::new(&[(sized(TO), true)]) }.check(&script, &told);
    Case::new(&[(sized(TO), true)]).check(&script[1..], &told);
    // As large as both sides let it be.
    let limits = Limits { bdat: 21, ..Limits::default() };
    let hello = CHUNKING.replace("1000", "21");
    Case { limits, ..Case::new(&[(sized(TO), true)]) }.check(&[(EHLO, &hello), script[2]], &told);
}

#[test]
fn data_beyond_the_limit_or_with_size_unknown_or_zero() {
    let mail = |size: &str| {
        format!("MAIL FROM:<a@example.org>{size}\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
    };
    let told = ["recipient 0", "delivered: 250 queued", "mail done", "done"];
    let quit = format!("{STUFFED}QUIT\r\n");
    let limits = |bdat| Limits { bdat, ..Limits::default() };
    let (go, queued) = ("250 ok\r\n250 ok\r\n354 go\r\n", "250 queued\r\n221 bye\r\n");
    Case { limits: limits(20), ..Case::new(&[(sized(TO), true)]) }
        .check(&[(EHLO, CHUNKING), (&mail(" SIZE=21"), go), (&quit, queued)], &told);
    Case::new(&[(envelope(TO), true)])
        .check(&[(EHLO, CHUNKING), (&mail(""), go), (&quit, queued)], &told);
    let empty = Envelope { size: Some(0), ..envelope(TO) };
    Case { body: "", ..Case::new(&[(empty, true)]) }
        .check(&[(EHLO, CHUNKING), (&mail(" SIZE=0"), go), (".\r\nQUIT\r\n", queued)], &told);
}

#[test]
fn all_waits_for_the_recipients() {
    let mail =
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n";
    Case::new(&[(all(TWO), true)]).check(
        &[
            (EHLO, PIPELINING),
            (mail, "250 ok\r\n250 ok\r\n251 ok\r\n"),
            ("DATA\r\n", "354 go\r\n"),
            (&format!("{STUFFED}QUIT\r\n"), "250 queued\r\n221 bye\r\n"),
        ],
        &["recipient 0", "recipient 1", "delivered: 250 queued", "mail done", "done"],
    );
    let told = ["recipient 0", "recipient 1 refused: 550=5.1.1 5.1.1 who?|really", "mail done"];
    let refused = "250 ok\r\n250 ok\r\n550-5.1.1 who?\r\n550 really\r\n";
    Case::new(&[(all(TWO), true)]).check(
        &[(EHLO, PIPELINING), (mail, refused), ("QUIT\r\n", "221 bye\r\n")],
        &[&told[..], &["done"]].concat(),
    );
    Case::new(&[(all(TWO), false)]).check(
        &[
            (EHLO, PIPELINING),
            (mail, refused),
            ("RSET\r\n", "250 ok\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&told[..], &["ready", "done"]].concat(),
    );
    let chunk = Envelope { require: Require::All, ..sized(TO) };
    Case::new(&[(chunk, true)]).check(
        &[
            (EHLO, CHUNKING),
            (
                "MAIL FROM:<a@example.org> SIZE=21\r\nRCPT TO:<b@example.org>\r\n",
                "250 ok\r\n250 ok\r\n",
            ),
            ("BDAT 21 LAST\r\nSubject: hi\r\n\r\n.dot\r\nQUIT\r\n", "250 queued\r\n221 bye\r\n"),
        ],
        &["recipient 0", "delivered: 250 queued", "mail done", "done"],
    );
}

#[test]
fn several_mails_in_one_session() {
    let mails = [(envelope(TO), false), (envelope(TO), false)];
    let told = ["recipient 0", "delivered: 250 queued", "mail done", "ready"];
    Case::new(&mails).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (STUFFED, "250 queued\r\n"),
            (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (STUFFED, "250 queued\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&told[..], &told[..], &["done"]].concat(),
    );
}

#[test]
fn every_recipient_has_its_outcome() {
    Case::new(&[(envelope(TWO), true)]).check(
        &[
            (EHLO, PIPELINING),
            (
                "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\n\
                 DATA\r\n",
                "250 ok\r\n450 4.2.0 later\r\n250 ok\r\n354 go\r\n",
            ),
            (&format!("{STUFFED}QUIT\r\n"), "250 queued\r\n221 bye\r\n"),
        ],
        &[
            "recipient 0 refused: 450=4.2.0 4.2.0 later",
            "recipient 1",
            "delivered: 250 queued",
            "mail done",
            "done",
        ],
    );
}

#[test]
fn all_recipients_refused() {
    let told = ["recipient 0 refused: 550 no", "mail done"];
    // DATA refused: RSET before the next mail, QUIT at the end.
    let mails = [(envelope(TO), false), (envelope(TO), true)];
    Case::new(&mails).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n550 no\r\n554 no valid recipients\r\n"),
            ("RSET\r\n", "250 ok\r\n"),
            (MAIL, "250 ok\r\n550 no\r\n554 no valid recipients\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&told[..], &["ready"], &told[..], &["done"]].concat(),
    );
    // DATA accepted all the same: a lone dot.
    Case::new(&mails).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n550 no\r\n354 go\r\n"),
            (".\r\n", "554 nobody\r\n"),
            (MAIL, "250 ok\r\n550 no\r\n354 go\r\n"),
            (".\r\nQUIT\r\n", "250 queued for nobody\r\n221 bye\r\n"),
        ],
        &[&told[..], &["ready"], &told[..], &["done"]].concat(),
    );
    // Without PIPELINING DATA is not sent.
    Case::new(&[(envelope(TO), false)]).check(
        &[
            (EHLO, PLAIN),
            ("MAIL FROM:<a@example.org>\r\n", "250 ok\r\n"),
            ("RCPT TO:<b@example.org>\r\n", "550 no\r\n"),
            ("RSET\r\n", "250 ok\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&told[..], &["ready", "done"]].concat(),
    );
}

#[test]
fn the_sender_refused() {
    let told = ["sender refused: 552=5.3.4 5.3.4 too big", "mail done", "ready", "done"];
    for data in ["503 no mail\r\n", "354 go\r\n"] {
        let replies = format!("552 5.3.4 too big\r\n503 no mail\r\n{data}");
        let dot = [(EHLO, PIPELINING), (MAIL, &replies), (".\r\n", "554 no\r\n")];
        let bye = [("QUIT\r\n", "221 bye\r\n")];
        let n = if data.starts_with("354") { 3 } else { 2 };
        Case::new(&[(envelope(TO), false)]).check(&[&dot[..n], &bye[..]].concat(), &told);
    }
    Case::new(&[(envelope(TO), false)]).check(
        &[
            (EHLO, PLAIN),
            ("MAIL FROM:<a@example.org>\r\n", "552 5.3.4 too big\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &told,
    );
}

#[test]
fn the_message_refused() {
    let refused = ["recipient 0", "message refused: 550 spam", "mail done"];
    // In answer to DATA: RSET. Behind the dot: the transaction is over.
    Case::new(&[(envelope(TO), false)]).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n250 ok\r\n550 spam\r\n"),
            ("RSET\r\n", "250 ok\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&refused[..], &["ready", "done"]].concat(),
    );
    Case::new(&[(envelope(TO), false)]).check(
        &[
            (EHLO, PIPELINING),
            (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n"),
            (STUFFED, "550 spam\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&refused[..], &["ready", "done"]].concat(),
    );
    // A chunk: RSET unless QUIT rode with it.
    let bdat = "MAIL FROM:<a@example.org> SIZE=21\r\nRCPT TO:<b@example.org>\r\nBDAT 21 LAST\r\n\
                Subject: hi\r\n\r\n.dot\r\n";
    Case::new(&[(sized(TO), false)]).check(
        &[
            (EHLO, CHUNKING),
            (bdat, "250 ok\r\n250 ok\r\n550 spam\r\n"),
            ("RSET\r\n", "250 ok\r\n"),
            ("QUIT\r\n", "221 bye\r\n"),
        ],
        &[&refused[..], &["ready", "done"]].concat(),
    );
    Case::new(&[(sized(TO), true)]).check(
        &[
            (EHLO, CHUNKING),
            (&format!("{bdat}QUIT\r\n"), "250 ok\r\n550 no\r\n554 nobody\r\n221 bye\r\n"),
        ],
        &["recipient 0 refused: 550 no", "mail done", "done"],
    );
}

#[test]
fn parameters_of_mail() {
    let hello = "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    let case = |envelope, body: &'static str, mail: &str| {
        let data = format!("{mail}\r\nRCPT TO:<{}>\r\nDATA\r\n", "ü@example.org");
        Case { body, ..Case::new(&[(envelope, true)]) }.check(
            &[
                (EHLO, hello),
                (&data, "250 ok\r\n250 ok\r\n354 go\r\n"),
                (&format!("{body}\r\n.\r\nQUIT\r\n"), "250 queued\r\n221 bye\r\n"),
            ],
            &["recipient 0", "delivered: 250 queued", "mail done", "done"],
        );
    };
    let eight = Envelope { from: "", content: Content::EightBit, ..envelope(&["ü@example.org"]) };
    case(eight, "ü", "MAIL FROM:<> BODY=8BITMIME SMTPUTF8");
    let unknown = Envelope { content: Content::Unknown, size: Some(4), ..eight };
    case(unknown, "ü", "MAIL FROM:<> BODY=8BITMIME SMTPUTF8");
    case(Envelope { content: Content::SevenBit, ..eight }, "u", "MAIL FROM:<> SMTPUTF8");
}

#[test]
fn what_a_server_lacks() {
    let utf8 = Envelope { utf8: true, ..envelope(TO) };
    let eight = Envelope { content: Content::EightBit, ..envelope(TO) };
    let big = Envelope { size: Some(1001), ..envelope(TO) };
    for (envelope, lack) in [
        (utf8, "lacks SmtpUtf8"),
        (Envelope { from: "ü@example.org", ..utf8 }, "lacks SmtpUtf8"),
        (eight, "lacks EightBitMime"),
        (big, "lacks Size(1000)"),
    ] {
        let script = [(EHLO, PLAIN), ("QUIT\r\n", "221 bye\r\n")];
        Case::new(&[(envelope, true)]).check(&script, &[lack, "done"]);
        Case::new(&[(envelope, false)]).check(&script, &[lack, "ready", "done"]);
    }
}

#[test]
fn a_wrong_declaration_never_completes() {
    let bdat = "MAIL FROM:<a@example.org> SIZE=20\r\n";
    for (size, chunking) in [(20, true), (22, true), (20, false), (22, false)] {
        let envelope = Envelope { size: Some(size), ..envelope(TO) };
        let mail = bdat.replace("20", &size.to_string());
        let data = format!("{mail}RCPT TO:<b@example.org>\r\nDATA\r\n");
        let script = [(EHLO, PIPELINING), (&*data, "250 ok\r\n250 ok\r\n354 go\r\n")];
        let wrong = "the message does not have its declared size";
        if chunking {
            // What was sent is dropped by the harness; that it stops short is shown in `body`.
            Case::new(&[(envelope, true)]).check(&[(EHLO, CHUNKING)], &[wrong]);
        } else {
            Case::new(&[(envelope, true)]).check(&script, &["recipient 0", wrong]);
        }
    }
    let wrong = "the message holds 8-bit octets and was declared 7-bit";
    let unknown = Envelope { content: Content::Unknown, ..envelope(TO) };
    Case { body: "ü", ..Case::new(&[(unknown, true)]) }.check(
        &[(EHLO, "250-mx\r\n250 PIPELINING\r\n"), (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n")],
        &["recipient 0", wrong],
    );
}

#[test]
fn no_more_than_64_replies_are_outstanding() {
    let to = [TO[0]; 100];
    let rcpt = |n: usize| "RCPT TO:<b@example.org>\r\n".repeat(n);
    let ok = |n: usize| "250 ok\r\n".repeat(n);
    let mut told: Vec<_> = (0..100).map(|index| format!("recipient {index}")).collect();
    told.extend(["delivered: 250 queued", "mail done", "done"].map(String::from));
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    Case::new(&[(envelope(&to), true)]).check(
        &[
            (EHLO, PIPELINING),
            (&format!("MAIL FROM:<a@example.org>\r\n{}", rcpt(63)), &ok(64)),
            (&format!("{}DATA\r\n", rcpt(37)), &format!("{}354 go\r\n", ok(37))),
            (&format!("{STUFFED}QUIT\r\n"), "250 queued\r\n221 bye\r\n"),
        ],
        &told,
    );
}

#[test]
fn a_lost_connection_leaves_doubt_or_does_not() {
    let cut = "the connection was closed without close_notify; data may be missing";
    let doubt = format!("{cut}, in doubt");
    let dot = format!("{STUFFED}QUIT\r\n");
    let data: [(&str, &str); 3] = [(EHLO, PIPELINING), (MAIL, ""), ("", "")];
    Case::new(&[(envelope(TO), true)]).check(&data[..2], &[cut]);
    let go = (MAIL, "250 ok\r\n250 ok\r\n354 go\r\n");
    Case::new(&[(envelope(TO), true)]).check(&[data[0], go, (&dot, "")], &["recipient 0", &doubt]);
    Case::new(&[(envelope(TO), true)])
        .check(&[data[0], go, (&dot, "250"), ("", "")], &["recipient 0", &doubt]);
    // Nobody was to get it.
    let refused = (MAIL, "250 ok\r\n550 no\r\n354 go\r\n");
    Case::new(&[(envelope(TO), true)])
        .check(&[data[0], refused, (".\r\nQUIT\r\n", "")], &["recipient 0 refused: 550 no", cut]);
    // Only the reply to QUIT is missing.
    let done = ["recipient 0", "delivered: 250 queued", "mail done"];
    Case::new(&[(envelope(TO), true)])
        .check(&[data[0], go, (&dot, "250 queued\r\n"), ("", "")], &done);
    let bdat = "MAIL FROM:<a@example.org> SIZE=21\r\nRCPT TO:<b@example.org>\r\nBDAT 21 LAST\r\n\
                Subject: hi\r\n\r\n.dot\r\nQUIT\r\n";
    Case::new(&[(sized(TO), true)]).check(&[(EHLO, CHUNKING), (bdat, "")], &[&doubt]);
}
