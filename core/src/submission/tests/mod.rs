//! Dialogues: what goes out between two waits, what comes in, and what the caller is told, over
//! every split of the input and small outputs.

mod hostile;
mod lmtp;
mod login;
mod mails;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
pub(super) use crate::error::Misbehaviour;

/// A line of a dialogue: what the client sends until it waits, and what it is answered.
pub(super) type Script<'a> = &'a [(&'a str, &'a str)];

pub(super) struct Case<'a> {
    pub(super) mail: Mail,
    pub(super) greeting: bool,
    pub(super) login: Option<Credentials<'a>>,
    pub(super) limits: Limits,
    pub(super) mails: &'a [(Envelope<'a>, bool)],
    pub(super) body: &'a str,
}

pub(super) const EHLO: &str = "EHLO client.example.org\r\n";
pub(super) const CHUNKING: &str = "250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 CHUNKING\r\n";
pub(super) const TO: &[&str] = &["b@example.org"];
pub(super) const MESSAGE: &str = "Subject: hi\n\n.dot\n";
pub(super) const STUFFED: &str = "Subject: hi\r\n\r\n..dot\r\n.\r\n";

pub(super) fn envelope<'a>(to: &'a [&'a str]) -> Envelope<'a> {
    Envelope {
        from: "a@example.org",
        to,
        size: None,
        content: Content::SevenBit,
        utf8: false,
        require: Require::Any,
    }
}

/// With the size of [`MESSAGE`].
pub(super) fn sized<'a>(to: &'a [&'a str]) -> Envelope<'a> {
    Envelope { size: Some(21), ..envelope(to) }
}

impl<'a> Case<'a> {
    pub(super) fn new(mails: &'a [(Envelope<'a>, bool)]) -> Self {
        Self {
            mail: Mail::Smtp,
            greeting: false,
            login: None,
            limits: Limits::default(),
            mails,
            body: MESSAGE,
        }
    }

    fn submission(&self) -> Submission<'a> {
        let mut submission =
            Submission::new(self.mail, "client.example.org", self.greeting).unwrap();
        submission.set_limits(self.limits);
        if let Some(credentials) = self.login {
            let mut fill = |octets: &mut [u8]| {
                octets.fill(0xff);
                Ok(())
            };
            submission.login(credentials, &mut fill).unwrap();
        }
        submission
    }

    /// Plays the script with input in pieces of `chunk` octets and outputs of `room`: what the
    /// caller was told, with an error last, if there was one.
    #[track_caller]
    fn play(&self, script: Script<'_>, chunk: usize, room: usize) -> Vec<String> {
        let mut submission = self.submission();
        let mut mails = self.mails.iter();
        if let Some(&(envelope, then_quit)) = mails.next() {
            submission.mail(envelope, then_quit).unwrap();
        }
        let (mut events, mut sent) = (Vec::new(), Vec::new());
        let (mut script, mut input) = (script.iter(), &b""[..]);
        let mut storage = [0; 8192];
        loop {
            let mut out = Out::new(&mut storage[..room]);
            let piece = &input[..chunk.min(input.len())];
            let event = match submission.process(Decrypted::new(piece), &mut out) {
                Ok((n, event)) => {
                    input = &input[n..];
                    assert_eq!(event == Event::Send, !out.is_empty(), "{event:?}");
                    event
                }
                Err(error) => {
                    assert!(out.is_empty());
                    events.push(error.to_string());
                    let again = submission.process(Decrypted::new(b""), &mut out);
                    assert_eq!(again.err(), Some(error));
                    break;
                }
            };
            let told = tell(event);
            events.extend(told);
            match event {
                Event::Send => sent.extend_from_slice(out.octets()),
                Event::NeedInput if !input.is_empty() => {}
                Event::NeedInput => {
                    let (expected, answer) = script.next().unwrap_or(&("nothing", ""));
                    assert_eq!(String::from_utf8_lossy(&sent), *expected, "{events:?}");
                    sent.clear();
                    input = answer.as_bytes();
                    if answer.is_empty() {
                        if let Err(error) = submission.close_received() {
                            let doubt = if submission.in_doubt() { ", in doubt" } else { "" };
                            events.push(format!("{error}{doubt}"));
                        }
                        break;
                    }
                }
                Event::Body => {
                    if let Err(error) = self.give(&mut submission, &mut sent, chunk, room) {
                        events.push(error.to_string());
                        break;
                    }
                }
                Event::Ready => match mails.next() {
                    Some(&(envelope, then_quit)) => submission.mail(envelope, then_quit).unwrap(),
                    None => submission.quit().unwrap(),
                },
                Event::Done => {
                    assert_eq!(submission.close_received(), Ok(()));
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(script.next(), None, "{events:?}");
        assert!(sent.is_empty(), "{:?} was sent last", String::from_utf8_lossy(&sent));
        events
    }

    fn give(
        &self,
        submission: &mut Submission<'_>,
        sent: &mut Vec<u8>,
        chunk: usize,
        room: usize,
    ) -> Result<(), Error> {
        let mut storage = [0; 8192];
        for mut piece in self.body.as_bytes().chunks(chunk.min(1 << 20)) {
            while !piece.is_empty() {
                let mut out = Out::new(&mut storage[..room]);
                let taken = submission.body(piece, &mut out);
                if taken.is_err() {
                    sent.clear();
                }
                piece = &piece[taken?..];
                sent.extend_from_slice(out.octets());
            }
        }
        assert!(!submission.in_doubt());
        let end = submission.end_body();
        if end.is_err() {
            sent.clear();
        }
        end
    }

    /// Plays the script whole, in every small chunk and through small outputs.
    #[track_caller]
    pub(super) fn check(&self, script: Script<'_>, told: &[&str]) {
        for chunk in [usize::MAX, 1, 2, 3, 5, 7, 11] {
            for room in [8192, 64, 65, 66, 67, 100, 1] {
                let events = self.play(script, chunk, room);
                assert_eq!(events, told, "pieces of {chunk}, room for {room}");
            }
        }
    }

    /// Plays the script whole only: what stands there too early is an error of that moment.
    #[track_caller]
    pub(super) fn check_whole(&self, script: Script<'_>, told: &[&str]) {
        for room in [8192, 64] {
            assert_eq!(self.play(script, usize::MAX, room), told, "room for {room}");
        }
    }
}

/// What a caller is told, in short; nothing for what only keeps the dialogue going.
fn tell(event: Event<'_>) -> Option<String> {
    let text = |reply: Reply<'_>| {
        let code = reply.enhanced.map(|[a, b, c]| format!("={a}.{b}.{c}"));
        let text = String::from_utf8_lossy(reply.text).replace('\n', "|");
        format!("{}{} {text}", reply.code, code.unwrap_or_default())
    };
    let of = |index: Option<usize>| index.map(|index| format!(" {index}")).unwrap_or_default();
    Some(match event {
        Event::NeedInput | Event::Send | Event::Body => return None,
        Event::Ready => "ready".into(),
        Event::LoginRefused(reply) => format!("login refused: {}", text(reply)),
        Event::SenderRefused(reply) => format!("sender refused: {}", text(reply)),
        Event::Recipient { index, refused: None } => format!("recipient {index}"),
        Event::Recipient { index, refused: Some(reply) } => {
            format!("recipient {index} refused: {}", text(reply))
        }
        Event::Delivered { index, reply } => format!("delivered{}: {}", of(index), text(reply)),
        Event::MessageRefused { index, reply } => {
            format!("message refused{}: {}", of(index), text(reply))
        }
        Event::HelloRefused(reply) => format!("hello refused: {}", text(reply)),
        Event::Lacks(feature) => format!("lacks {feature:?}"),
        Event::MailDone => "mail done".into(),
        Event::Done => "done".into(),
    })
}

#[test]
fn verbs_have_their_phase() {
    let phase = Err(Error::from(Misuse::Phase));
    let mut storage = [0; 512];
    let to = ["b@example.org"];
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    assert_eq!(submission.quit(), phase);
    assert_eq!(submission.body(b"x", &mut Out::new(&mut storage)), Err(Misuse::Phase.into()));
    assert_eq!(submission.end_body(), phase);
    assert_eq!(submission.mail(envelope(&[]), true), Err(Misuse::NoRecipients.into()));
    assert_eq!(submission.mail(envelope(&to), true), Ok(()));
    assert_eq!(submission.mail(envelope(&to), true), phase);
    let credentials = Credentials::password("user", "pencil");
    assert_eq!(submission.login(credentials, &mut |_| Ok(())), Ok(()));
    assert_eq!(submission.login(credentials, &mut |_| Ok(())), phase);

    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let event = submission.process(Decrypted::new(b""), &mut Out::new(&mut storage));
    assert_eq!(event, Ok((0, Event::Send)));
    assert_eq!(submission.mail(envelope(&to), true), phase);
    assert_eq!(submission.login(credentials, &mut |_| Ok(())), phase);
    assert_eq!(submission.quit(), phase);
    // None of that was final.
    let event = submission.process(Decrypted::new(b"250 hi\r\n"), &mut Out::new(&mut storage));
    assert_eq!(event, Ok((8, Event::Ready)));
    let event = submission.process(Decrypted::new(b""), &mut Out::new(&mut storage));
    assert_eq!(event, Ok((0, Event::NeedInput)));
    // Later, too.
    assert_eq!(submission.login(credentials, &mut |_| Ok(())), Ok(()));
    assert_eq!(submission.mail(envelope(&to), true), Ok(()));
    let event = submission.process(Decrypted::new(b""), &mut Out::new(&mut storage));
    assert_eq!(event, Ok((0, Event::Lacks(Feature::Mechanism))));
}

#[test]
fn names_are_checked() {
    for name in ["", "a b", "a\r\nb", "ü"] {
        let refused = Submission::new(Mail::Smtp, name, false).err();
        assert_eq!(refused, Some(Misuse::Name.into()), "{name:?}");
    }
}

#[test]
fn capabilities_come_from_ehlo() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let mut storage = [0; 512];
    assert_eq!(submission.capabilities(), Capabilities::default());
    submission.process(Decrypted::new(b""), &mut Out::new(&mut storage)).unwrap();
    let hello = b"250-SIZE 5\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n";
    submission.process(Decrypted::new(hello), &mut Out::new(&mut storage)).unwrap();
    let offered = Capabilities { pipelining: true, smtp_utf8: true, ..Capabilities::default() };
    assert_eq!(submission.capabilities(), offered);
}

#[test]
fn a_refused_hello_offers_nothing() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let mut storage = [0; 512];
    submission.process(Decrypted::new(b""), &mut Out::new(&mut storage)).unwrap();
    let hello = b"550-no\r\n550-PIPELINING\r\n550 no\r\n";
    submission.process(Decrypted::new(hello), &mut Out::new(&mut storage)).unwrap();
    assert_eq!(submission.capabilities(), Capabilities::default());
}

#[test]
fn an_idle_session_is_not_over() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let mut storage = [0; 512];
    submission.mail(envelope(&["b@example.org"]), false).unwrap();
    let mut play = |submission: &mut Submission<'_>, input: &str| {
        let mut out = Out::new(&mut storage);
        let (_, event) = submission.process(Decrypted::new(input.as_bytes()), &mut out).unwrap();
        tell(event)
    };
    for input in ["", "250 c\r\n", "250 ok\r\n", "250 ok\r\n", "", "354 go\r\n"] {
        play(&mut submission, input);
    }
    submission.end_body().unwrap();
    play(&mut submission, "");
    assert!(submission.in_doubt());
    assert_eq!(play(&mut submission, "250 ok\r\n").as_deref(), Some("delivered: 250 ok"));
    assert!(!submission.in_doubt());
    assert_eq!(play(&mut submission, "").as_deref(), Some("mail done"));
    assert_eq!(play(&mut submission, "").as_deref(), Some("ready"));
    let told = submission.process(Decrypted::new(b""), &mut Out::new(&mut storage));
    assert_eq!(told, Ok((0, Event::NeedInput)));
    assert_eq!(submission.close_received(), Err(Error::Truncated));
    assert_eq!(submission.quit(), Err(Error::Truncated));
}

#[test]
fn it_is_small_and_silent() {
    assert!(size_of::<Submission<'_>>() < 4500, "{}", size_of::<Submission<'_>>());
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let credentials = Credentials::password("someone", "pencil");
    submission.login(credentials, &mut |_| Ok(())).unwrap();
    let shown = format!("{submission:?} {credentials:?} {:?}", submission.sasl);
    assert!(!shown.contains("pencil") && !shown.contains("someone") && !shown.contains("AAAA"));
}
