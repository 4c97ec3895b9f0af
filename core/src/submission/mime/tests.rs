//! Whole messages, through outputs of every size.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;

fn message<'a>() -> Message<'a> {
    Message {
        date: Date::new(1_795_887_062, 0).unwrap(),
        id: "1.2@device.example.org",
        from: Mailbox { name: "", address: "device@example.org" },
        to: &[Mailbox { name: "", address: "owner@example.org" }],
        subject: "Hello",
        fields: &[],
        text: "Hi.\n",
        attachments: &[],
    }
}

/// The message through outputs of `room` octets, its attachments in pieces of `piece` octets.
fn compose(message: &Message<'_>, attached: &[&[u8]], room: usize, piece: usize) -> String {
    let mut composer = Composer::new(message).unwrap();
    assert!(composer.spare_mut().is_empty());
    assert_eq!(composer.received(0), Err(Misuse::Phase.into()));
    let (mut written, mut taken) = (Vec::new(), Vec::from_iter(attached.iter().map(|_| 0)));
    loop {
        let mut storage = [0; 100];
        let mut out = Out::new(&mut storage[..room]);
        let status = composer.process(&mut out);
        written.extend_from_slice(out.octets());
        match status {
            Status::Full => assert_eq!(out.octets().len(), room),
            Status::Attachment(at) => {
                let rest = &attached[at][taken[at]..];
                let spare = composer.spare_mut();
                let n = spare.len().min(rest.len()).min(piece);
                spare[..n].copy_from_slice(&rest[..n]);
                let too_many = spare.len() + 1;
                assert_eq!(composer.received(too_many), Err(Misuse::Count.into()));
                composer.received(n).unwrap();
                taken[at] += n;
            }
            Status::Done => break,
        }
    }
    assert!(taken.iter().eq(attached.iter().map(|all| all.len()).collect::<Vec<_>>().iter()));
    String::from_utf8(written).unwrap()
}

fn written(message: &Message<'_>, attached: &[&[u8]]) -> String {
    let whole = compose(message, attached, 100, 100);
    for room in 1..100 {
        assert_eq!(compose(message, attached, room, 1 + room % 60), whole, "room for {room}");
    }
    for line in whole.split_terminator("\r\n") {
        assert!(line.len() <= 78 && !line.contains(['\r', '\n']) && line.is_ascii(), "{line}");
    }
    whole
}

#[test]
fn a_text_alone() {
    let expected = "\
Date: Sat, 28 Nov 2026 17:31:02 +0000\r
From: <device@example.org>\r
To: <owner@example.org>\r
Subject: Hello\r
Message-ID: <1.2@device.example.org>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=us-ascii\r
Content-Transfer-Encoding: 7bit\r
\r
Hi.\r
";
    assert_eq!(written(&message(), &[]), expected);
    let bare = Message { to: &[], text: "", ..message() };
    let expected = expected.replace("To: <owner@example.org>\r\n", "").replace("Hi.\r\n", "");
    assert_eq!(written(&bare, &[]), expected);
}

#[test]
fn attachments() {
    let message = Message {
        from: Mailbox { name: "Boiler \"1\\2\"", address: "device@example.org" },
        to: &[
            Mailbox { name: "Jürgen Größer", address: "j@example.org" },
            Mailbox { name: "", address: "k@[192.0.2.1]" },
        ],
        subject: "Still warm: 61 °C",
        fields: &[("Auto-Submitted", "auto-generated")],
        text: "61 °C\n--=_part\n",
        attachments: &[
            Attachment { name: "log \"a\".bin", media_type: "application/octet-stream" },
            Attachment { name: "leer", media_type: "text/plain" },
            Attachment { name: "Größe.txt", media_type: "text/plain" },
        ],
        ..message()
    };
    let log = Vec::from_iter((0..120).map(|n| n * 2));
    assert_eq!(
        written(&message, &[&log, b"", &log[..57]]),
        "\
Date: Sat, 28 Nov 2026 17:31:02 +0000\r
From: \"Boiler \\\"1\\\\2\\\"\" <device@example.org>\r
To: =?UTF-8?B?SsO8cmdlbiBHcsO2w59lcg==?= <j@example.org>, <k@[192.0.2.1]>\r
Subject: =?UTF-8?B?U3RpbGwgd2FybTogNjEgwrBD?=\r
Message-ID: <1.2@device.example.org>\r
Auto-Submitted: auto-generated\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=\"=_part\"\r
\r
--=_part\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
61 =C2=B0C\r
=2D-=3D_part\r
\r
--=_part\r
Content-Type: application/octet-stream\r
Content-Disposition: attachment; filename=\"log \\\"a\\\".bin\"\r
Content-Transfer-Encoding: base64\r
\r
AAIEBggKDA4QEhQWGBocHiAiJCYoKiwuMDI0Njg6PD5AQkRGSEpMTlBSVFZYWlxeYGJkZmhqbG5w\r
cnR2eHp8foCChIaIioyOkJKUlpianJ6goqSmqKqsrrCytLa4ury+wMLExsjKzM7Q0tTW2Nrc3uDi\r
5Obo6uzu\r
\r
--=_part\r
Content-Type: text/plain\r
Content-Disposition: attachment; filename=\"leer\"\r
Content-Transfer-Encoding: base64\r
\r
\r
--=_part\r
Content-Type: text/plain\r
Content-Disposition: attachment;\r
 filename*=UTF-8''Gr%C3%B6%C3%9Fe.txt\r
Content-Transfer-Encoding: base64\r
\r
AAIEBggKDA4QEhQWGBocHiAiJCYoKiwuMDI0Njg6PD5AQkRGSEpMTlBSVFZYWlxeYGJkZmhqbG5w\r
\r
--=_part--\r
"
    );
}

fn field(message: &Message<'_>, name: &str) -> String {
    let written = written(message, &[]);
    let (_, field) = written.split_once(&format!("\r\n{name}:")).unwrap();
    let end = field.match_indices("\r\n").find(|(at, _)| !field[at + 2..].starts_with(' '));
    String::from(&field[..end.unwrap().0])
}

#[test]
fn long_fields_are_folded() {
    let words = "lorem ipsum dolor sit amet ".repeat(6);
    let subject = |subject| field(&Message { subject, ..message() }, "Subject");
    let plain = subject(words.trim_end());
    assert_eq!(plain.matches("\r\n ").count(), 2);
    assert_eq!(plain.replace("\r\n", ""), format!(" {}", words.trim_end()));
    assert_eq!(subject(""), "");

    // What could not be read back as it was.
    let (long, umlauts) = ("x".repeat(61), "°".repeat(50));
    for text in [&*words, " ", " a", "a  b", "=?UTF-8?B?QQ==?=", "é", &long, &umlauts] {
        let subject = subject(text);
        let mut decoded = Vec::new();
        for word in subject.split_whitespace() {
            assert!(word.len() <= 75);
            let base64 = word.strip_prefix("=?UTF-8?B?").and_then(|word| word.strip_suffix("?="));
            let mut octets = [0; 64];
            let octets =
                <base64ct::Base64 as base64ct::Encoding>::decode(base64.unwrap(), &mut octets);
            // Each word is whole characters (RFC 2047 §5).
            decoded.push(String::from_utf8(octets.unwrap().to_vec()).unwrap());
        }
        assert_eq!(decoded.concat(), text);
    }

    let name = "\"".repeat(58);
    let to = [Mailbox { name: &name, address: "owner@example.org" }; 3];
    let to = field(&Message { to: &to, ..message() }, "To");
    assert_eq!(to.matches("<owner@example.org>").count(), 3);
    assert_eq!(to.matches(',').count(), 2);
}

#[test]
fn long_names_of_files_come_in_pieces() {
    let name = format!("{}.bin", "ü".repeat(20));
    let attachments = [Attachment { name: &name, media_type: "a/b" }];
    let written = written(&Message { attachments: &attachments, ..message() }, &[b"x"]);
    let umlauts = |n| "%C3%BC".repeat(n);
    let expected = format!(
        "attachment;\r\n filename*0*=UTF-8''{};\r\n filename*1*={};\r\n filename*2*={}.bin\r\n",
        umlauts(9),
        umlauts(9),
        umlauts(2)
    );
    assert!(written.contains(&expected), "{written}");
}

#[test]
fn one_long_word_has_a_line_of_its_own() {
    let id = format!("{}@example.org", "x".repeat(100));
    let message = Message { id: &id, ..message() };
    let written = compose(&message, &[], 100, 1);
    assert!(written.contains(&format!("\r\nMessage-ID:\r\n <{id}>\r\n")), "{written}");
}

#[test]
fn what_cannot_be_written() {
    let to = |address| [Mailbox { name: "", address }];
    let refused = |message: Message<'_>, why: Misuse| {
        assert_eq!(Composer::new(&message).err(), Some(why.into()), "{message:?}");
    };
    for id in ["", "a", "@b", "a@", "a@b@c", "a b@c", "<a@b>", "a@b\r\n", "é@b", &"x@y".repeat(90)]
    {
        refused(Message { id, ..message() }, Misuse::Name);
    }
    for address in
        ["", "postmaster", "a@b, c@d", "a@b\r\nBcc: c@d", "a@b>", "(a)@b", "\"a\"@b", "a;b@c"]
    {
        refused(Message { to: &to(address), ..message() }, Misuse::Address);
        refused(Message { from: to(address)[0], ..message() }, Misuse::Address);
    }
    for text in ["a\r\nBcc: c@d", "a\nb", "\0", "\u{85}", "a\tb"] {
        refused(Message { subject: text, ..message() }, Misuse::Line);
        refused(Message { fields: &[("X", text)], ..message() }, Misuse::Line);
        refused(
            Message { to: &[Mailbox { name: text, address: "a@b" }], ..message() },
            Misuse::Line,
        );
        let attachments = [Attachment { name: text, media_type: "a/b" }];
        refused(Message { attachments: &attachments, ..message() }, Misuse::Line);
    }
    for name in ["", "a b", "a:", "é", "date", "CONTENT-TYPE", "To", &"x".repeat(61)] {
        refused(Message { fields: &[(name, "")], ..message() }, Misuse::Line);
    }
    for (name, media_type) in [
        ("", "a/b"),
        (&*"x".repeat(256), "a/b"),
        ("x", ""),
        ("x", "a"),
        ("x", "a/b; c=d"),
        ("x", "a/b/c"),
    ] {
        let attachments = [Attachment { name, media_type }];
        refused(Message { attachments: &attachments, ..message() }, Misuse::Name);
    }
}
