//! The submission client against a server who says anything.

use starttls::Error;
use starttls::error::Misuse;
use starttls::protocol::Mail;
use starttls::submission::{Content, Credentials, Envelope, Event, Limits, Require, Submission};
use starttls::wire::Out;
use starttls_tests::mail::decrypted;

use crate::reader::Reader;

const FROM: &str = "user@example.org";
const TO: [&str; 3] = ["one@example.net", "two@example.net", "three@example.net"];
const PASSWORD: &str = "pencil";
const TOKEN: &str = "vF9dft4qmTc2Nvb3";

/// What the caller wants, and how the octets are cut.
pub(crate) struct Case<'a> {
    pub(crate) mail: Mail,
    pub(crate) greeting: bool,
    /// Neither, a password or a token.
    pub(crate) login: usize,
    pub(crate) then_quit: bool,
    pub(crate) require: Require,
    pub(crate) content: Content,
    /// None, the true one, or a wrong one.
    pub(crate) size: usize,
    pub(crate) to: &'static [&'static str],
    pub(crate) bdat: u64,
    /// Listens between the pieces of the message.
    pub(crate) listens: bool,
    pub(crate) reads: Vec<usize>,
    pub(crate) outs: Vec<usize>,
    pub(crate) pieces: Vec<usize>,
    pub(crate) turns: Vec<usize>,
    pub(crate) message: &'a [u8],
    pub(crate) octets: &'a [u8],
}

impl<'a> Case<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        let mut reader = Reader::new(data);
        let (flags, more) = (reader.number(), reader.number());
        Self {
            mail: if flags & 1 == 0 { Mail::Smtp } else { Mail::Lmtp },
            greeting: flags & 2 != 0,
            login: (flags >> 2) % 4,
            then_quit: flags & 16 == 0,
            require: if flags & 32 == 0 { Require::Any } else { Require::All },
            listens: flags & 64 != 0,
            bdat: if flags & 128 == 0 { 64 * 1024 } else { 0 },
            content: [Content::Unknown, Content::SevenBit, Content::EightBit][(more & 3) % 3],
            size: (more >> 2 & 3) % 3,
            to: &TO[..1 + (more >> 4 & 3) % 3],
            reads: reader.sizes(usize::MAX),
            outs: reader.sizes(4096),
            pieces: reader.sizes(usize::MAX),
            turns: reader.sizes(usize::MAX),
            message: reader.octets(),
            octets: reader.rest(),
        }
    }

    pub(crate) fn submission(&self) -> Submission<'static> {
        let mut submission =
            Submission::new(self.mail, "client.example.org", self.greeting).expect("a name");
        submission.set_limits(Limits { bdat: self.bdat, scram_iterations: 4096 });
        let credentials = match self.login {
            1 => Some(Credentials::password(FROM, PASSWORD)),
            2 => Some(Credentials::token(FROM, TOKEN)),
            _ => None,
        };
        let mut fill = |room: &mut [u8]| {
            room.fill(0x55);
            Ok(())
        };
        if let Some(credentials) = credentials {
            submission.login(credentials, &mut fill).expect("good credentials");
        }
        let (content, require) = (self.content, self.require);
        let size = (self.size == 2).then_some(self.message.len() as u64 / 2);
        let envelope = Envelope { from: FROM, to: self.to, size, content, utf8: false, require };
        submission.mail(envelope, self.then_quit).expect("a good envelope");
        if self.size == 1 {
            submission.declare(self.message);
        }
        submission
    }
}

/// Plays one input of the fuzzer, and tells what it came to.
///
/// It is two octets of flags, sizes of reads, output buffers, pieces of the message and the
/// server's turns, the message behind its length, and what the server says.
///
/// # Panics
/// If any of this does not hold: every call makes progress, errors stick, output is bounded and the
/// same for all sizes of buffers; each CR is followed by a LF and each LF stands behind a CR; what is
/// sent as the message is a beginning of it, dots stuffed, and commands stand before and behind it
/// alone; no login without the caller's wish and the server's offer; a message counts as delivered
/// only behind as many replies as all commands and the end of the message ask for, and is in doubt
/// if its end went out and no answer came.
pub fn run(data: &[u8]) -> Option<String> {
    if data.len() < 2 {
        return None;
    }
    let mut case = Case::new(data);
    let cut = Talk::new(&case).play();
    case.outs = vec![4096];
    let whole = Talk::new(&case).play();
    assert_eq!((&cut.1, &cut.2), (&whole.1, &whole.2), "other buffers, other tales");
    // A message that is not as declared ends before the piece, or the part of it that there was
    // room for, in which that showed.
    let shared = if cut.2.contains("Misuse") { cut.0.len().min(whole.0.len()) } else { usize::MAX };
    let front = |sent: &[u8]| sent[..shared.min(sent.len())].escape_ascii().to_string();
    assert_eq!(front(&cut.0), front(&whole.0), "other buffers, other words");
    Some(cut.2)
}

struct Talk<'c, 'a> {
    case: &'c Case<'a>,
    submission: Submission<'static>,
    /// All octets given out, and where the message begins in them.
    sent: Vec<u8>,
    start: Option<usize>,
    /// The message with its end, once it is known how it is framed.
    expected: Vec<u8>,
    /// How many octets of the message the caller gave.
    given: usize,
    /// How many octets of the server's were read, and are there to be read.
    heard: usize,
    available: usize,
    turn_end: usize,
    turns: usize,
    reads: usize,
    events: Vec<String>,
    delivered: usize,
    refused: usize,
    sender_refused: bool,
    recipients: Vec<bool>,
    over: bool,
}

impl<'c, 'a> Talk<'c, 'a> {
    fn new(case: &'c Case<'a>) -> Self {
        Self {
            case,
            submission: case.submission(),
            sent: Vec::new(),
            start: None,
            expected: Vec::new(),
            given: 0,
            heard: 0,
            available: 0,
            turn_end: 0,
            turns: 0,
            reads: 0,
            events: Vec::new(),
            delivered: 0,
            refused: 0,
            sender_refused: false,
            recipients: Vec::new(),
            over: false,
        }
    }

    /// What was sent, what was told, and the end.
    fn play(mut self) -> (Vec<u8>, Vec<String>, String) {
        let mut outs = self.case.outs.iter().copied().cycle();
        let most = 64 * (self.case.octets.len() + self.case.message.len() + 1000);
        for _ in 0..most {
            let mut storage = vec![0; outs.next().unwrap_or(4096).max(1)];
            let mut out = Out::new(&mut storage);
            match self.step(&mut out) {
                Ok(true) => {}
                Ok(false) => return self.finish(None),
                Err(error) => return self.finish(Some(error)),
            }
        }
        panic!("still talking after {most} calls");
    }

    /// One call, and what it asks for; `false` at the end.
    fn step(&mut self, out: &mut Out<'_>) -> Result<bool, Error> {
        let complete = self.is_complete();
        let input = &self.case.octets[self.heard..self.available];
        let result = self.submission.process(decrypted(input), out);
        assert!(result.is_ok() || out.is_empty(), "words with an error");
        let (n, event) = result?;
        assert!(n <= input.len());
        assert_eq!(event == Event::Send, !out.is_empty(), "{event:?}");
        self.heard += n;
        self.sent.extend_from_slice(out.octets());
        match event {
            Event::Send => return Ok(true),
            Event::NeedInput => {
                assert_eq!(self.heard, self.available, "input that is left");
                return self.listen();
            }
            Event::Body => {
                let listens = self.case.listens && self.more();
                return if listens { Ok(true) } else { self.speak(out).map(|()| true) };
            }
            _ => self.events.push(format!("{event:?}")),
        }
        match event {
            Event::Done => return Ok(false),
            Event::Ready => assert!(!self.case.then_quit),
            Event::LoginRefused(_) => assert!((1..3).contains(&self.case.login)),
            Event::SenderRefused(reply) => {
                assert!((400..600).contains(&reply.code) && !self.sender_refused);
                self.sender_refused = true;
            }
            Event::Recipient { index, refused } => {
                assert_eq!(index, self.recipients.len(), "out of order");
                self.recipients.push(refused.is_none());
            }
            Event::Delivered { index, reply } => {
                assert!(complete && (200..300).contains(&reply.code));
                assert_eq!(index.is_some(), self.case.mail == Mail::Lmtp);
                self.delivered += 1;
                self.check_delivered();
            }
            Event::MessageRefused { reply, .. } => {
                assert!((400..600).contains(&reply.code));
                self.refused += 1;
            }
            Event::MailDone => {
                assert!(!self.over, "twice");
                self.over = true;
            }
            _ => {}
        }
        Ok(true)
    }

    /// The next read; at the end of the server's words the transport ends.
    fn listen(&mut self) -> Result<bool, Error> {
        if self.more() {
            return Ok(true);
        }
        if self.turn_end < self.case.octets.len() {
            let sizes = &self.case.turns;
            let size = sizes.get(self.turns).copied().unwrap_or(usize::MAX);
            self.turns += 1;
            self.turn_end = self.turn_end.saturating_add(size).min(self.case.octets.len());
            return Ok(true);
        }
        self.submission.close_received().map(|()| false)
    }

    /// The next read of this turn, if there is one.
    fn more(&mut self) -> bool {
        let size = self.case.reads[self.reads % self.case.reads.len()].max(1);
        let next = self.available.saturating_add(size).min(self.turn_end);
        let more = next > self.available;
        self.reads += usize::from(more);
        self.available = next;
        more
    }

    /// The next piece of the message, or its end.
    fn speak(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        if self.start.is_none() {
            let dots = self.sent.ends_with(b"\r\nDATA\r\n");
            assert!(dots || self.sent.ends_with(b" LAST\r\n"), "a message out of nowhere");
            assert!(self.recipients.contains(&true) || !self.waited(), "a message to nobody");
            (self.start, self.expected) = (Some(self.sent.len()), framed(self.case.message, dots));
        }
        let rest = &self.case.message[self.given..];
        if rest.is_empty() {
            return self.submission.end_body();
        }
        let sizes = &self.case.pieces;
        let piece = &rest[..rest.len().min(sizes[self.given % sizes.len()].max(1))];
        let n = self.submission.body(piece, out)?;
        assert!(n > 0 || !out.is_empty(), "a caller who waits for nothing");
        self.given += n;
        self.sent.extend_from_slice(out.octets());
        Ok(())
    }

    /// Whether all recipients were judged before the message.
    fn waited(&self) -> bool {
        self.recipients.len() == self.case.to.len()
    }

    /// Whether the end of the message went out.
    fn is_complete(&self) -> bool {
        self.start.is_some_and(|start| {
            let ended = self.given == self.case.message.len();
            ended && self.sent[start..].starts_with(&self.expected)
        })
    }

    fn check_delivered(&self) {
        let start = self.start.expect("it is complete");
        let commands = self.sent[..start].iter().filter(|octet| **octet == b'\n').count();
        let dot = usize::from(self.sent[..start].ends_with(b"DATA\r\n"));
        let others = self.delivered + self.refused - 1;
        let due = usize::from(self.case.greeting) + commands + dot + others;
        let heard = &self.case.octets[..self.heard];
        let lines = heard.split_inclusive(|octet| *octet == b'\n');
        let replies = lines.filter(|line| line.get(3) != Some(&b'-')).count();
        assert!(replies >= due, "delivered by {replies} replies of {due}: {:?}", self.events);
        assert!(self.delivered <= self.case.to.len());
    }

    fn finish(mut self, failed: Option<Error>) -> (Vec<u8>, Vec<String>, String) {
        let mut storage = [0; 64];
        let mut out = Out::new(&mut storage);
        let again = self.submission.process(decrypted(b"250 ok\r\n"), &mut out);
        match failed {
            Some(error) => {
                assert_eq!(again.err(), Some(error));
                let all_good = matches!(error, Error::PeerMisbehaved(_) | Error::Truncated);
                let wrong_size = self.case.size == 2;
                let eight_bit = !self.case.message.is_ascii();
                match error {
                    Error::Misuse(Misuse::DeclaredSize) => assert!(wrong_size),
                    Error::Misuse(Misuse::DeclaredSevenBit) => assert!(eight_bit),
                    _ => assert!(all_good, "{error:?} is not of the server's making"),
                }
            }
            None => assert_eq!(again, Ok((8, Event::Done))),
        }
        assert!(out.is_empty(), "words behind the end");
        self.check_doubt(failed);
        self.check_sent();
        let end = match failed {
            Some(error) => format!("{error:?}"),
            None => self
                .events
                .last()
                .map_or("", |event| event)
                .split(['(', ' '])
                .next()
                .into_iter()
                .collect(),
        };
        (self.sent, self.events, format!("{end} {}", self.delivered))
    }

    fn check_doubt(&self, failed: Option<Error>) {
        let complete = self.is_complete();
        let hopeless = self.sender_refused || (self.waited() && !self.recipients.contains(&true));
        assert!(complete || !self.submission.in_doubt());
        let answered = self.delivered + self.refused > 0 || self.over;
        if failed.is_some() && complete && !answered && !hopeless {
            assert!(self.submission.in_doubt(), "nobody would look for the message");
        }
    }

    fn check_sent(&self) {
        let sent = &self.sent;
        for (at, octet) in sent.iter().enumerate() {
            let next = sent.get(at + 1);
            assert!(*octet != b'\r' || matches!(next, None | Some(b'\n')), "a bare CR");
            assert!(*octet != b'\n' || at > 0 && sent[at - 1] == b'\r', "a bare LF");
        }
        let (before, mut behind) = sent.split_at(self.start.unwrap_or(sent.len()));
        if !behind.starts_with(&self.expected) {
            // A last octet may be held back, but nothing is added.
            assert!(
                self.expected.starts_with(behind),
                "not the message: {}",
                behind.escape_ascii()
            );
            behind = b"";
        } else {
            behind = &behind[self.expected.len()..];
        }
        assert!(before.len() + behind.len() < 40_000, "words without end");
        let heard = self.case.octets[..self.heard].to_ascii_uppercase();
        let offered = |what: &[u8]| heard.windows(what.len()).any(|window| window == what);
        let mut auth = false;
        for line in before.split_inclusive(|octet| *octet == b'\n').chain([behind]) {
            let verb = line.split(|octet| b" \r".contains(octet)).next().unwrap_or_default();
            match verb {
                b"AUTH" => {
                    assert!((1..3).contains(&self.case.login) && !auth, "nobody asked for it");
                    let name = line.split(|octet| b" \r".contains(octet)).nth(1);
                    assert!(offered(b"AUTH") && name.is_none_or(&offered), "nobody offered it");
                    auth = true;
                }
                b"EHLO" | b"LHLO" | b"MAIL" | b"RCPT" | b"DATA" | b"BDAT" | b"RSET" | b"QUIT"
                | b"" | b"." => {}
                _ => assert!(auth || !line.ends_with(b"\n"), "{}", line.escape_ascii()),
            }
        }
    }
}

/// Each of CR LF, CR and LF ends a line, and the last line has an end; dots are stuffed, and one
/// stands behind the message.
pub(crate) fn framed(message: &[u8], dots: bool) -> Vec<u8> {
    let (mut framed, mut rest) = (Vec::new(), message);
    while !rest.is_empty() {
        let end = rest.iter().position(|octet| b"\r\n".contains(octet)).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        if dots && line.starts_with(b".") {
            framed.push(b'.');
        }
        framed.extend_from_slice(line);
        framed.extend_from_slice(b"\r\n");
        rest = behind.strip_prefix(b"\r\n").or(behind.get(1..)).unwrap_or_default();
    }
    if dots {
        framed.extend_from_slice(b".\r\n");
    }
    framed
}

/// Seeds: servers of many kinds, in answer to callers of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    const EHLO: &str = "250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n\
        250-CHUNKING\r\n250-SMTPUTF8\r\n250 AUTH PLAIN LOGIN\r\n";
    const BARE: &str = "250 mx\r\n";
    const SCRAM: &str = "250-mx\r\n250 AUTH SCRAM-SHA-256\r\n";
    const OK: &str = "250 2.1.0 ok\r\n";
    const GO: &str = "354 go\r\n";
    const BYE: &str = "221 bye\r\n";
    const IN: &str = "235 in\r\n";
    let scripts: [&[&str]; 16] = [
        &[EHLO, OK, OK, GO, OK, BYE],
        &[EHLO, "250 a\r\n250 b\r\n250 c\r\n250 d\r\n354 go\r\n", "250 queued\r\n221 bye\r\n"],
        &[EHLO, IN, "250 a\r\n250 b\r\n250 queued\r\n221 bye\r\n"],
        &[EHLO, IN, "250 a\r\n550 b\r\n250 c\r\n250 queued\r\n221 bye\r\n"],
        &[BARE, OK, OK, OK, OK, GO, OK, OK, BYE],
        &[BARE, OK, OK, "550 no\r\n", OK, GO, OK, "452 later\r\n", BYE],
        &["250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", IN, OK],
        &[SCRAM, "334 cj1WVlZWVlZWVlZWVlZWVlZWVlZWVnMscz1RU1hDUitRNnNlaz09LGk9NDA5Ng==\r\n"],
        &["250-mx\r\n250 AUTH OAUTHBEARER XOAUTH2\r\n", "334 eyJzdGF0dXMiOiI0MDAifQ==\r\n", IN],
        &["250-mx\r\n250 AUTH PLAIN\r\n", "535 5.7.8 no\r\n", BYE],
        &["554 5.7.1 go away\r\n", BYE],
        &[EHLO, "421 4.3.2 closing\r\n"],
        &[BARE, "550-5.1.0 no\r\n550 5.1.0 sender\r\n", BYE],
        &[BARE, OK, OK, GO, "552 5.3.4 too big\r\n"],
        &[BARE, OK, OK, "354 go\r\n552 5.3.4 too big\r\n"],
        &["250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"],
    ];
    let message = b"Subject: hi\n\n.dot\r.\r\n\xc3\xbc";
    let mut seeds = Vec::new();
    for script in scripts {
        let octets: Vec<u8> = script.concat().into();
        for (flags, more) in [(0, 0), (4, 4), (8, 0), (1, 0x20), (5, 0x14), (36, 0x10), (68, 8)] {
            let greeting = if flags & 4 == 0 { &b"220 mx\r\n"[..] } else { b"" };
            let flags = if flags & 4 == 0 { flags | 2 } else { flags };
            for [reads, outs, pieces] in [[255, 255, 255], [1, 7, 1], [9, 64, 5]] {
                let mut seed = vec![flags, more, 1, reads, 1, outs, 1, pieces];
                let turns: Vec<u8> = [greeting.len()]
                    .into_iter()
                    .filter(|n| *n > 0)
                    .chain(script.iter().map(|turn| turn.len()))
                    .map(|n| n as u8)
                    .collect();
                seed.push(turns.len() as u8);
                seed.extend(turns);
                seed.push(message.len() as u8);
                seed.extend(message);
                seed.extend(greeting);
                seed.extend(&octets);
                seeds.push(seed);
            }
        }
    }
    seeds
}
