//! LMTP: LHLO, and a reply for each recipient.

use super::*;

#[test]
fn lmtp_answers_for_each_recipient() {
    let three = ["b@example.org", "c@example.org", "d@example.org"];
    let told = [
        "recipient 0",
        "recipient 1 refused: 550 no",
        "recipient 2",
        "delivered 0: 250 b",
        "message refused 2: 452=4.2.2 4.2.2 full",
        "mail done",
        "done",
    ];
    let mail = |size: &str, data: &str| {
        let to =
            "RCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nRCPT TO:<d@example.org>\r\n";
        format!("MAIL FROM:<a@example.org>{size}\r\n{to}{data}\r\n")
    };
    let (replies, last) =
        ("250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n", "250 b\r\n452 4.2.2 full\r\n");
    Case { mail: Mail::Lmtp, ..Case::new(&[(envelope(&three), true)]) }.check(
        &[
            ("LHLO client.example.org\r\n", CHUNKING),
            (&mail("", "DATA"), &format!("{replies}354 go\r\n")),
            (&format!("{STUFFED}QUIT\r\n"), &format!("{last}221 bye\r\n")),
        ],
        &told,
    );
    let bdat = format!("{}Subject: hi\r\n\r\n.dot\r\nQUIT\r\n", mail(" SIZE=21", "BDAT 21 LAST"));
    Case { mail: Mail::Lmtp, ..Case::new(&[(sized(&three), true)]) }.check(
        &[
            ("LHLO client.example.org\r\n", CHUNKING),
            (&bdat, &format!("{replies}{last}221 bye\r\n")),
        ],
        &told,
    );
    // Nobody accepted: one reply to BDAT (RFC 2033 §4.3).
    let bdat = "MAIL FROM:<a@example.org> SIZE=21\r\nRCPT TO:<b@example.org>\r\nBDAT 21 LAST\r\n\
                Subject: hi\r\n\r\n.dot\r\nQUIT\r\n";
    Case { mail: Mail::Lmtp, ..Case::new(&[(sized(TO), true)]) }.check(
        &[
            ("LHLO client.example.org\r\n", CHUNKING),
            (bdat, "250 ok\r\n550 no\r\n503 nobody\r\n221 bye\r\n"),
        ],
        &["recipient 0 refused: 550 no", "mail done", "done"],
    );
}
