//! The receiver against a client who says anything.

use starttls::Error;
use starttls::protocol::Mail;
use starttls::receiver::{Received, Receiver};
use starttls::wire::Out;
use starttls_tests::mail::{ACCOUNT, decrypted};

use crate::reader::Reader;

/// What the receiver is told to be, and how the octets are cut.
struct Case<'a> {
    mail: Mail,
    greeting: bool,
    account: bool,
    size: Option<u64>,
    /// What the caller says to what it may refuse, over and over: 0 yes.
    verdicts: Vec<usize>,
    reads: Vec<usize>,
    outs: Vec<usize>,
    octets: &'a [u8],
}

/// Plays one input of the fuzzer, and tells what it came to.
///
/// It is an octet of flags, the caller's verdicts, sizes of reads and of output buffers, and what
/// the client says.
///
/// # Panics
/// If any of this does not hold: every call makes progress, errors stick, replies are lines of a
/// code and a text and no more than there were commands; what is told and answered is the same
/// however the octets are cut; nobody sends mail without the login that is asked for, or to nobody;
/// a message holds no bare CR or LF, and is what stood between DATA and the lone dot.
pub fn run(data: &[u8]) -> Option<String> {
    if data.len() < 2 {
        return None;
    }
    let mut reader = Reader::new(data);
    let flags = reader.octet();
    let mut case = Case {
        mail: if flags & 1 == 0 { Mail::Smtp } else { Mail::Lmtp },
        greeting: flags & 2 != 0,
        account: flags & 4 != 0,
        size: (flags & 8 != 0).then_some(50),
        verdicts: reader.sizes(0),
        reads: reader.sizes(usize::MAX),
        outs: reader.sizes(512),
        octets: reader.rest(),
    };
    let cut = Talk::play(&case);
    (case.reads, case.outs) = (vec![usize::MAX], vec![4096]);
    let whole = Talk::play(&case);
    assert_eq!((&cut.told, cut.end), (&whole.told, whole.end), "other cuts, other tales");
    assert_eq!(cut.sent, whole.sent, "other cuts, other replies");
    let end = cut.end.map_or_else(|| "open".into(), starttls_tests::play::name);
    Some(format!("{end} {}", cut.told.iter().filter(|told| *told == "MessageEnd").count()))
}

#[derive(Default)]
struct Talk {
    sent: Vec<u8>,
    heard: usize,
    told: Vec<String>,
    /// The message so far.
    body: Vec<u8>,
    /// The client logged in; has a sender, and recipients.
    authenticated: bool,
    sender: bool,
    recipients: usize,
    verdicts: usize,
    end: Option<Result<(), Error>>,
}

impl Talk {
    fn play(case: &Case<'_>) -> Self {
        let mut receiver = Receiver::new(case.mail, "mail.example.org", case.greeting).unwrap();
        if case.account {
            receiver = receiver.with_account(ACCOUNT);
        }
        if let Some(size) = case.size {
            receiver = receiver.with_size(size);
        }
        let mut talk = Self::default();
        let (mut outs, mut reads) = (case.outs.iter().cycle(), case.reads.iter().cycle());
        let (mut available, mut room) = (0, 512);
        let most = 64 * (case.octets.len() + 100);
        for _ in 0..most {
            let mut storage = vec![0; room];
            let mut out = Out::new(&mut storage);
            let input = &case.octets[talk.heard..available];
            let result = receiver.process(decrypted(input), &mut out);
            if result == Err(Error::OutputFull) {
                assert!(room < 512 && out.is_empty());
                room = 2 * room + 1;
                continue;
            }
            room = *outs.next().unwrap_or(&512);
            talk.sent.extend_from_slice(out.octets());
            let (n, received) = match result {
                Ok(result) => result,
                Err(error) => {
                    let again = receiver.process(decrypted(b"NOOP\r\n"), &mut Out::new(&mut []));
                    assert_eq!(again, Err(error));
                    assert!(matches!(error, Error::PeerMisbehaved(_)), "{error:?}");
                    (talk.end, talk.heard) = (Some(Err(error)), available);
                    return talk.checked(case);
                }
            };
            let progress = n > 0 || !out.is_empty() || !matches!(received, Received::Send);
            assert!(n <= input.len() && progress, "{received:?}");
            talk.heard += n;
            match received {
                Received::NeedInput if available == case.octets.len() => {
                    assert_eq!(talk.heard, available);
                    return talk.checked(case);
                }
                Received::NeedInput => {
                    assert_eq!(talk.heard, available, "input that is left");
                    let size = (*reads.next().unwrap_or(&usize::MAX)).max(1);
                    available = available.saturating_add(size).min(case.octets.len());
                }
                Received::Closed => {
                    talk.end = Some(Ok(()));
                    return talk.checked(case);
                }
                received => {
                    if let Some((code, text)) = talk.hear(case, received) {
                        receiver.refuse(code, text).expect("a good refusal of what is on offer");
                    }
                }
            }
        }
        panic!("still talking after {most} calls");
    }

    /// Takes note, and says whether and how that is refused.
    fn hear(&mut self, case: &Case<'_>, received: Received<'_>) -> Option<(u16, &'static str)> {
        match received {
            Received::Send => return None,
            Received::Body(octets) => {
                assert!(!octets.is_empty() && self.recipients > 0);
                self.body.extend_from_slice(octets);
                return None;
            }
            Received::Authenticated => {
                assert!(case.account && !self.authenticated);
                self.authenticated = true;
            }
            Received::Sender(_) => {
                assert!(self.authenticated || !case.account, "mail from anybody");
                assert!(!self.sender && self.recipients == 0);
            }
            Received::Recipient(_) => assert!(self.sender),
            Received::MessageEnd => self.check_message(case),
            Received::Reset => (self.sender, self.recipients) = (false, 0),
            _ => {}
        }
        self.told.push(match received {
            Received::MessageEnd => "MessageEnd".into(),
            received => format!("{received:?} {}", std::mem::take(&mut self.body).escape_ascii()),
        });
        let offered =
            matches!(received, Received::Sender(_) | Received::Recipient(_) | Received::MessageEnd);
        if !offered {
            return None;
        }
        let refusal = case.refusal(self.verdicts);
        self.verdicts += 1;
        let yes = refusal.is_none();
        match received {
            Received::Sender(_) => self.sender = yes,
            Received::Recipient(_) => self.recipients += usize::from(yes),
            _ => (self.sender, self.recipients) = (false, 0),
        }
        refusal
    }

    fn check_message(&mut self, case: &Case<'_>) {
        assert!(self.sender && self.recipients > 0, "a message to nobody");
        let body = std::mem::take(&mut self.body);
        assert!(case.size.is_none_or(|size| body.len() as u64 <= size));
        let text = body.escape_ascii().to_string();
        let bare = text.replace("\\r\\n", "");
        assert!(!bare.contains("\\r") && !bare.contains("\\n") || body.contains(&b'\\'), "{text}");
        // Not behind BDAT, which counts.
        let mut replies = self.sent.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        if replies.next_back().is_some_and(|line| line.starts_with(b"354")) {
            let heard = case.octets[..self.heard].strip_suffix(b".\r\n").expect("a lone dot");
            let lines = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'\n').count();
            let skip = lines(heard) - lines(&body);
            let sent = heard.split_inclusive(|octet| *octet == b'\n').skip(skip);
            let sent: Vec<_> = sent.map(|line| line.strip_prefix(b".").unwrap_or(line)).collect();
            assert!(sent.concat() == body, "not what was sent: {text}");
        }
        self.told.push(format!("message {text}"));
    }

    fn checked(self, case: &Case<'_>) -> Self {
        let mut replies = 0;
        for line in self.sent.split_inclusive(|octet| *octet == b'\n') {
            assert!(line.ends_with(b"\r\n") && line.len() <= 512, "{}", line.escape_ascii());
            let [code @ .., b' ' | b'-'] = &line[..4] else { panic!("{}", line.escape_ascii()) };
            assert!(code.iter().all(u8::is_ascii_digit) && line.is_ascii());
            replies += usize::from(line[3] == b' ');
        }
        let heard = &case.octets[..self.heard];
        let lines = heard.iter().filter(|octet| **octet == b'\n').count();
        // LMTP answers a message for each of its recipients; a chunk may have no line end.
        let most = 2 * lines + usize::from(case.greeting) + 2;
        assert!(replies <= most, "{replies} replies to {lines} lines");
        self
    }
}

impl Case<'_> {
    fn refusal(&self, verdict: usize) -> Option<(u16, &'static str)> {
        match self.verdicts[verdict % self.verdicts.len()] % 4 {
            0 => None,
            1 => Some((550, "5.7.1 No")),
            2 => Some((450, "Later")),
            _ => Some((421, "4.3.2 Closing")),
        }
    }
}

/// Seeds: clients of many kinds, to receivers of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let mail = "MAIL FROM:<a@example.org> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<b@example.org>\r\n";
    let two = "MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<Postmaster>\r\n";
    let plain = "AUTH PLAIN AHVzZXJAZXhhbXBsZS5vcmcAc2VjcmV0\r\n";
    let login = "AUTH LOGIN\r\ndXNlckBleGFtcGxlLm9yZw==\r\nc2VjcmV0\r\n";
    let clients = [
        format!("EHLO c\r\n{plain}{mail}DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n"),
        format!("EHLO c\r\n{login}{two}DATA\r\n.\r\n{mail}DATA\r\nx\r\n.\r\nQUIT\r\n"),
        format!("LHLO c\r\n{two}DATA\r\nx\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n"),
        format!("EHLO c\r\n{mail}BDAT 3\r\nx\r\nBDAT 4 LAST\r\ny\r\nQUIT\r\n"),
        format!("EHLO c\r\n{mail}BDAT 0\r\nBDAT 2 LAST\r\nx\rRSET\r\n{mail}BDAT 9 LAST\r\n"),
        format!("EHLO c\r\n{mail}DATA\r\nx\n.\nMAIL FROM:<e@example.org>\r\n.\r\nQUIT\r\n"),
        format!("EHLO c\r\n{mail}DATA\r\nx\r\n.\rMAIL\r\n.\r\n{two}DATA\r\n{}\r\n.\r\n", "x".repeat(90)),
        "EHLO c\r\nAUTH PLAIN\r\nAHgAeA==\r\nAUTH LOGIN\r\n*\r\nAUTH X\r\nAUTH PLAIN =\r\n".into(),
        format!("EHLO c\r\n{}", "AUTH PLAIN AHgAeQ==\r\n".repeat(4)),
        "HELO c\r\nSTARTTLS\r\nVRFY x\r\nHELP\r\nEXPN x\r\nDATA\r\nRCPT TO:<x@y>\r\nBDAT x\r\n".into(),
        format!("EHLO c\r\n{mail}{}DATA\r\n", "RCPT TO:<b@example.org>\r\n".repeat(100)),
        "EHLO c\r\nMAIL FROM:<\u{fc}@example.org>\r\nMAIL FROM:<\u{fc}@x> SMTPUTF8\r\nBAD\nQUIT\r\n".into(),
    ];
    let mut seeds = Vec::new();
    for client in clients {
        for flags in [0, 1, 2, 4, 6, 8, 13] {
            for head in [&[0, 0, 0][..], &[2, 0, 1, 1, 1, 1, 10], &[3, 0, 0, 2, 1, 7, 2, 60, 255]] {
                seeds.push([&[flags], head, client.as_bytes()].concat());
            }
        }
    }
    seeds
}
