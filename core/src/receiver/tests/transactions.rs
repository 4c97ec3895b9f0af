//! Mails: verdicts, DATA, BDAT, sizes, LMTP.

use super::*;

#[test]
fn a_mail_and_a_goodbye() {
    let input = format!("{ADDRESSED}DATA\r\nS: x\r\n\r\n..a\r\n.b\r\n...\r\n.\r\nQUIT\r\nlost");
    let sent = format!("{HELLO}{TAKEN}{GO_ON}{ACCEPTED}{BYE}");
    let told = ["< a@x", "> b@y", "= S: x\r\n\r\n.a\r\nb\r\n..\r\n", "end", "closed"];
    check(smtp, &input, &sent, &told, None);
}

#[test]
fn an_empty_message() {
    let input = format!("{ADDRESSED}DATA\r\n.\r\nRSET\r\n");
    let sent = format!("{HELLO}{TAKEN}{GO_ON}{ACCEPTED}{DONE}");
    check(smtp, &input, &sent, &["< a@x", "> b@y", "end"], None);
}

#[test]
fn verdicts_are_in_step_with_a_pipeline() {
    let input = "EHLO c\r\nMAIL FROM:<no@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nMAIL FROM:<a@x>\r\n\
                 RCPT TO:<no@y>\r\nDATA\r\nRCPT TO:<b@y>\r\nRCPT TO:<no2@y>\r\nDATA\r\nspam\r\n.\r\n\
                 MAIL FROM:<close@x>\r\nNOOP\r\n";
    let sent = format!(
        "{HELLO}550 5.7.1 Not you\r\n{NO_MAIL}{NO_MAIL}250 2.1.0 Sender OK\r\n\
         450 4.0.0 Mailbox busy\r\n{NO_RECIPIENTS}250 2.1.5 Recipient OK\r\n\
         450 4.0.0 Mailbox busy\r\n{GO_ON}554 5.7.1 Spam\r\n421 4.0.0 Closing\r\n"
    );
    let told = [
        "< no@x",
        "< a@x",
        "> no@y",
        "> b@y",
        "> no2@y",
        "= spam\r\n",
        "end",
        "< close@x",
        "closed",
    ];
    check(smtp, input, &sent, &told, None);
}

#[test]
fn a_transaction_is_one_at_a_time() {
    let input = format!(
        "{ADDRESSED}MAIL FROM:<c@x>\r\nRSET\r\nRSET\r\nMAIL FROM:<c@x>\r\nEHLO c\r\nDATA\r\n"
    );
    let sent = format!(
        "{HELLO}{TAKEN}503 5.5.1 A transaction is open\r\n{DONE}{DONE}250 2.1.0 Sender OK\r\n{HELLO}{NO_MAIL}"
    );
    check(smtp, &input, &sent, &["< a@x", "> b@y", "reset", "< c@x", "reset"], None);
}

#[test]
fn no_bare_line_end_ends_a_message() {
    let smuggled = "MAIL FROM:<evil@x>";
    for end in
        ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\r.\r\n", "\r\n.\r\r\n"]
    {
        let before = if end.starts_with("\r\n") {
            "a\r\n"
        } else if end.starts_with('\r') {
            "a\r"
        } else {
            "a"
        };
        let input = format!("{ADDRESSED}DATA\r\na{end}{smuggled}\r\n.\r\n");
        let handed = if end == "\r\n\r.\r\n" { "= a\r\n\r" } else { &format!("= {before}") };
        let sent = format!("{HELLO}{TAKEN}{GO_ON}{BARE}");
        check(smtp, &input, &sent, &["< a@x", "> b@y", handed, "reset"], None);
    }
}

#[test]
fn chunks() {
    let input =
        format!("{ADDRESSED}BDAT 6\r\n.\r\nab\rBDAT 0\r\nbdat 7 last\r\n\n.\r\n.\r\nNOOP\r\n");
    let sent = format!("{HELLO}{TAKEN}{DONE}{DONE}{ACCEPTED}{DONE}");
    check(smtp, &input, &sent, &["< a@x", "> b@y", "= .\r\nab\r\n.\r\n.\r\n", "end"], None);
    // A mere 0 LAST ends what went before, and dots are dots.
    let input = format!("{ADDRESSED}BDAT 3\r\n.\r\nBDAT 0 LAST\r\nRCPT TO:<c@y>\r\n");
    let sent = format!("{HELLO}{TAKEN}{DONE}{ACCEPTED}{NO_MAIL}");
    check(smtp, &input, &sent, &["< a@x", "> b@y", "= .\r\n", "end"], None);
}

#[test]
fn a_message_is_one_of_data_and_chunks() {
    let input = format!(
        "{ADDRESSED}BDAT 1\r\nxDATA\r\nRCPT TO:<c@y>\r\nMAIL FROM:<c@y>\r\nBDAT 0 LAST\r\n"
    );
    let mixed = "503 5.5.1 The message has begun with BDAT\r\n";
    let sent =
        format!("{HELLO}{TAKEN}{DONE}{mixed}{mixed}503 5.5.1 A transaction is open\r\n{ACCEPTED}");
    check(smtp, &input, &sent, &["< a@x", "> b@y", "= x", "end"], None);
}

#[test]
fn after_a_refused_chunk_only_rset_leads_on() {
    for (chunk, refusal, handed) in [("a\nb", BARE, "= a"), ("a\rb", BARE, "= a\r")] {
        let input = format!(
            "{ADDRESSED}BDAT 3\r\n{chunk}BDAT 6 LAST\r\nQUIT\r\nRCPT TO:<c@y>\r\nDATA\r\nMAIL FROM:<c@y>\r\n\
             RSET\r\nMAIL FROM:<c@y>\r\n"
        );
        let sent = format!(
            "{HELLO}{TAKEN}{refusal}{}{DONE}250 2.1.0 Sender OK\r\n",
            RESET_FIRST.repeat(4)
        );
        check(smtp, &input, &sent, &["< a@x", "> b@y", handed, "reset", "< c@y"], None);
    }
    // A CR that the last chunk leaves open is bare.
    let input = format!("{ADDRESSED}BDAT 2 LAST\r\na\r");
    check(
        smtp,
        &input,
        &format!("{HELLO}{TAKEN}{BARE}"),
        &["< a@x", "> b@y", "= a\r", "reset"],
        None,
    );
    // Nobody would get it.
    let input = "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n";
    let sent =
        format!("{HELLO}250 2.1.0 Sender OK\r\n450 4.0.0 Mailbox busy\r\n{NO_RECIPIENTS}{DONE}");
    check(smtp, input, &sent, &["< a@x", "> no@y", "reset"], None);
}

#[test]
fn an_unreadable_chunk_ends_the_session() {
    let end = Some(Misbehaviour::Malformed);
    for bad in [
        "",
        " ",
        " x",
        " -1",
        " 4294967296",
        " 1 FIRST",
        " 1 LAST x",
        " 1  LAST",
        " 99999999999999999999999",
    ] {
        let input = format!("BDAT{bad}\r\nQUIT\r\n");
        check(smtp, &input, "501 5.5.4 Bad chunk size, closing\r\n", &[], end);
    }
}

#[test]
fn sizes() {
    let mail = "EHLO c\r\nMAIL FROM:<a@x> SIZE=10\r\nRCPT TO:<b@y>\r\n";
    let told = |handed| ["< a@x", "> b@y", handed, "end"];
    let taken = format!("{HELLO_SMALL}{TAKEN}");
    // Stuffed dots do not count.
    let input = format!("{mail}DATA\r\n..345678\r\n.\r\n");
    check(small, &input, &format!("{taken}{GO_ON}{ACCEPTED}"), &told("= .345678\r\n"), None);
    let input = format!("{mail}BDAT 10 LAST\r\n12345678\r\n");
    check(small, &input, &format!("{taken}{ACCEPTED}"), &told("= 12345678\r\n"), None);

    let told = ["< a@x", "> b@y", "= 1234567890", "reset"];
    for more in ["1\r\n", "\n\r\n", "\r\n", "\r\n\r\n"] {
        // The first flaw counts; a bare LF is one before it is one octet too many.
        let refusal = if more.starts_with('\n') { BARE } else { BIG };
        let input = format!("{mail}DATA\r\n1234567890{more}.\r\nNOOP\r\n");
        check(small, &input, &format!("{taken}{GO_ON}{refusal}{DONE}"), &told, None);
    }
    let input = format!("{mail}BDAT 5\r\n12345BDAT 6\r\n678901BDAT 1 LAST\r\n2");
    check(small, &input, &format!("{taken}{DONE}{BIG}{RESET_FIRST}"), &told, None);

    let input =
        "EHLO c\r\nMAIL FROM:<a@x> SIZE=11\r\nMAIL FROM:<a@x> SIZE=99999999999999999999\r\n";
    check(small, input, &format!("{HELLO_SMALL}{BIG}{BIG}"), &[], None);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let hello = HELLO;
    let mail = "MAIL FROM:<>\r\nRCPT TO:<b@y>\r\nRCPT TO:<no@y>\r\nRCPT TO:<c@y>\r\n";
    let input = format!(
        "LHLO c\r\n{mail}DATA\r\nspam\r\n.\r\n{mail}BDAT 1\r\nxBDAT 0 LAST\r\n{mail}DATA\r\n\n\r\n.\r\n"
    );
    let taken = "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n450 4.0.0 Mailbox busy\r\n250 2.1.5 Recipient OK\r\n";
    let sent = format!(
        "220 mx.example LMTP service ready\r\n{hello}{taken}{GO_ON}{}{taken}{DONE}{}{taken}{GO_ON}{}",
        "554 5.7.1 Spam\r\n".repeat(2),
        ACCEPTED.repeat(2),
        BARE.repeat(2)
    );
    let three = ["< ", "> b@y", "> no@y", "> c@y"];
    let told =
        [&three[..], &["= spam\r\n", "end"], &three, &["= x", "end"], &three, &["reset"]].concat();
    check(lmtp, &input, &sent, &told, None);
}

#[test]
fn recipients_have_a_limit() {
    let input = format!("EHLO c\r\nMAIL FROM:<a@x>\r\n{}", "RCPT TO:<b@y>\r\n".repeat(101));
    let session = play(smtp, &[input.as_bytes()], 512);
    let sent = format!(
        "{HELLO}250 2.1.0 Sender OK\r\n{}452 4.5.3 Too many recipients\r\n",
        "250 2.1.5 Recipient OK\r\n".repeat(100)
    );
    assert_eq!(String::from_utf8(session.sent).unwrap(), sent);
    assert_eq!(session.told.len(), 101);
}

#[test]
fn a_cr_before_cr_lf_is_bare() {
    let input = format!("{ADDRESSED}DATA\r\na\r\r\n.\r\n{ADDRESSED}BDAT 4 LAST\r\na\r\r\n");
    let sent = format!("{HELLO}{TAKEN}{GO_ON}{BARE}{HELLO}{TAKEN}{BARE}");
    let mail = ["< a@x", "> b@y", "= a\r", "reset"];
    check(smtp, &input, &sent, &[mail, mail].concat(), None);
}

#[test]
fn lmtp_answers_for_each_recipient_of_a_refused_chunk() {
    let mail = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\n";
    let taken =
        format!("220 mx.example LMTP service ready\r\n{HELLO}{TAKEN}250 2.1.5 Recipient OK\r\n");
    let told = ["< ", "> b@y", "> c@y", "reset"];
    check(lmtp, &format!("{mail}BDAT 1\r\n\n"), &format!("{taken}{BARE}"), &told, None);
    check(lmtp, &format!("{mail}BDAT 1 LAST\r\n\n"), &format!("{taken}{BARE}{BARE}"), &told, None);
}

#[test]
fn a_goodbye_is_said_once() {
    let input = "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\nlast one\r\n.\r\nNOOP\r\n";
    let sent = format!(
        "220 mx.example LMTP service ready\r\n{HELLO}{TAKEN}250 2.1.5 Recipient OK\r\n{GO_ON}421 4.3.2 Closing\r\n"
    );
    let told = ["< ", "> b@y", "> c@y", "= last one\r\n", "end", "closed"];
    check(lmtp, input, &sent, &told, None);
}

#[test]
fn chunks_are_an_extension() {
    let input = "HELO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 1 LAST\r\nxNOOP\r\n";
    let sent = format!("250 mx.example\r\n{TAKEN}{EHLO_FIRST}{DONE}");
    check(smtp, input, &sent, &["< a@x", "> b@y", "reset"], None);
}
