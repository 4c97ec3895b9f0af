//! Our submission against Postfix and Dovecot: what arrives is what was sent.

use std::io::{self, Read};

use starttls::protocol::scheme;
use starttls::submission::{
    Content, Credentials, Envelope, Feature, Mechanism, Outcome, Report, Require, Submission,
};
use starttls_tests::peers::{
    Ca, Client, Dovecot, PASSWORD, Postfix, TOKEN, USER, random, sent_form, skip_or_fail,
    without_trace,
};

const FROM: &str = "alice@mail.test";

/// Dots where they hurt, octets above 127, a line longer than a record, no final line end missing.
const MESSAGE: &[u8] = b"From: alice@mail.test\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n\
    Gr\xc3\xbc\xc3\x9fe\r\nend\r\n";

/// Runs a test by each adapter, at servers of its own.
fn by_both(test: impl Fn(&Client, &Dovecot, &Postfix)) {
    let ca = Ca::new();
    for client in Client::both(&ca) {
        let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
        let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
        test(&client, &dovecot, &postfix);
    }
}

struct Order<'a> {
    scheme: &'a str,
    port: u16,
    login: Option<Credentials<'a>>,
    to: &'a [&'a str],
    require: Require,
    size: Option<u64>,
    content: Content,
}

impl<'a> Order<'a> {
    fn new(scheme: &'a str, port: u16, to: &'a [&'a str]) -> Self {
        let (require, content) = (Require::Any, Content::Unknown);
        Self { scheme, port, login: None, to, require, size: None, content }
    }

    fn login(mut self, credentials: Credentials<'a>) -> Self {
        self.login = Some(credentials);
        self
    }

    fn with_password(self) -> Self {
        self.login(Credentials::password(USER, PASSWORD))
    }

    fn send(self, client: &Client, message: impl Read + Unpin) -> Report {
        let Self { to, require, size, content, .. } = self;
        let scheme = scheme(self.scheme).unwrap();
        let mail = scheme.row.mail.unwrap();
        let mut submission = Submission::new(mail, "client.test", scheme.implicit).unwrap();
        if let Some(credentials) = self.login {
            submission.login(credentials, &mut random).unwrap();
        }
        let envelope = Envelope { from: FROM, to, size, content, utf8: false, require };
        submission.mail(envelope, true).unwrap();
        client.submit(self.scheme, self.port, submission, message)
    }
}

#[test]
fn postfix_takes_mail_by_every_door_and_mechanism() {
    by_both(|client, _, postfix| {
        let to = &["bob@mail.test"][..];
        let mechanisms = [
            Credentials::password(USER, PASSWORD),
            Credentials::password(USER, PASSWORD).mechanism(Mechanism::Plain),
            Credentials::password(USER, PASSWORD).mechanism(Mechanism::Login),
            Credentials::password(USER, PASSWORD).mechanism(Mechanism::ScramSha256),
            Credentials::token(USER, TOKEN).mechanism(Mechanism::XOAuth2),
            Credentials::token(USER, TOKEN).mechanism(Mechanism::OAuthBearer),
        ];
        let mut sent = 0;
        for credentials in mechanisms {
            for (scheme, port) in
                [("submission", postfix.submission), ("submissions", postfix.submissions)]
            {
                let order = Order::new(scheme, port, to).login(credentials);
                let report = order.send(client, MESSAGE);
                assert!(report.is_delivered(), "{scheme} {credentials:?} {report:?}");
                sent += 1;
            }
        }
        // Without a known size: DATA instead of BDAT.
        let long = MESSAGE.repeat(2000);
        let report = Order::new("smtp", postfix.smtp, to).send(client, &long[..]);
        assert!(report.is_delivered(), "{report:?}");
        let mailbox = postfix.mailbox("bob@mail.test");
        let messages = mailbox.wait_for(sent + 1);
        let found = |wanted: &[u8]| {
            let count = |message: &&Vec<u8>| without_trace(&sent_form(message)) == wanted;
            messages.iter().filter(count).count()
        };
        assert_eq!((found(MESSAGE), found(&long)), (sent, 1));
    });
}

#[test]
fn postfix_refuses_and_each_recipient_knows() {
    by_both(|client, _, postfix| {
        let to = &["bob@mail.test", Postfix::REFUSED, Postfix::LATER, "carol@mail.test"][..];
        let order = || Order::new("submission", postfix.submission, to).with_password();
        let report = order().send(client, MESSAGE);
        let codes = |report: &Report| -> Vec<(u16, Option<[u16; 3]>)> {
            let code = |outcome: &Outcome| match outcome {
                Outcome::Delivered(said) | Outcome::Refused(said) => (said.code, said.enhanced),
                _ => (0, None),
            };
            report.recipients.iter().map(code).collect()
        };
        let expected = [
            (250, Some([2, 0, 0])),
            (550, Some([5, 1, 1])),
            (450, Some([4, 2, 1])),
            (250, Some([2, 0, 0])),
        ];
        assert_eq!(codes(&report), expected, "{report:?}");
        assert_eq!(postfix.mailbox("carol@mail.test").only_message(), MESSAGE);

        // All or nobody.
        let order = Order { require: Require::All, ..order() };
        let report = order.send(client, MESSAGE);
        assert!(
            !report.recipients.iter().any(|at| matches!(at, Outcome::Delivered(_))),
            "{report:?}"
        );
        assert_eq!(postfix.mailbox("bob@mail.test").messages().len(), 1);

        let report = Order::new("smtp", postfix.smtp, &[Postfix::REFUSED]).send(client, MESSAGE);
        assert_eq!(codes(&report), [(550, Some([5, 1, 1]))], "{report:?}");

        let wrong = Credentials::password(USER, "wrong");
        let report =
            Order::new("submission", postfix.submission, to).login(wrong).send(client, MESSAGE);
        let refused = report.login_refused.expect("a refusal");
        assert_eq!((refused.code, refused.enhanced), (535, Some([5, 7, 8])));
        assert_eq!(report.recipients, vec![Outcome::NotSent; 4]);
    });
}

#[test]
fn postfix_has_a_limit() {
    by_both(|client, _, postfix| {
        let to = &["bob@mail.test"][..];
        let order = || Order::new("submission", postfix.small, to).with_password();
        let large = b"x\r\n".repeat(200_000 / 3);
        let report = order().send(client, &large[..]);
        // Too long for the buffer, so its size is not declared and the server finds out.
        let [Outcome::Refused(said)] = &report.recipients[..] else { panic!("{report:?}") };
        assert_eq!((said.code, said.enhanced), (552, Some([5, 3, 4])));
        // Declared by the caller, it is never sent.
        let (size, content) = (Some(large.len() as u64), Content::SevenBit);
        let report = Order { size, content, ..order() }.send(client, &large[..]);
        assert_eq!(report.lacks, Some(Feature::Size(100_000)));
        assert_eq!(report.recipients, [Outcome::NotSent]);
    });
}

#[test]
fn dovecot_takes_mail_over_submission_and_lmtp() {
    by_both(|client, dovecot, postfix| {
        let to = &["bob@mail.test"][..];
        for (scheme, port) in
            [("submission", dovecot.submission), ("submissions", dovecot.submissions)]
        {
            let report = Order::new(scheme, port, to).with_password().send(client, MESSAGE);
            assert!(report.is_delivered(), "{report:?}");
        }
        assert_eq!(postfix.mailbox("bob@mail.test").wait_for(2).len(), 2);

        // LMTP: a reply for each recipient behind the message.
        let to = &["alice@mail.test", "nobody@mail.test", "bob@mail.test"][..];
        let report = Order::new("lmtp", dovecot.lmtp, to).send(client, MESSAGE);
        let [Outcome::Delivered(_), Outcome::Refused(no), Outcome::Delivered(_)] =
            &report.recipients[..]
        else {
            panic!("{report:?}");
        };
        assert_eq!((no.code, no.enhanced), (550, Some([5, 1, 1])));
        assert_eq!(dovecot.mailbox("alice").only_message(), MESSAGE);
        assert_eq!(dovecot.mailbox("bob").only_message(), MESSAGE);
    });
}

#[test]
fn neither_is_taken_for_another() {
    by_both(|client, dovecot, postfix| {
        for (scheme, port) in [
            ("smtp", postfix.smtp),
            ("submission", postfix.submission),
            ("submissions", postfix.submissions),
            ("submission", dovecot.submission),
            ("submissions", dovecot.submissions),
            ("lmtp", dovecot.lmtp),
        ] {
            client.takes_for_no_other(scheme, port);
        }
    });
}

/// 100 MB that exist nowhere as a whole.
struct Lines(u64);

impl Read for Lines {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        const LINE: &[u8] =
            b".seventy-eight octets of a line that begins with a dot, ............ .......\r\n";
        let mut at = 0;
        while at < buf.len() && self.0 > 0 {
            let from = (LINE.len() as u64 - self.0 % LINE.len() as u64) as usize % LINE.len();
            let n = (LINE.len() - from).min(buf.len() - at).min(self.0 as usize);
            buf[at..at + n].copy_from_slice(&LINE[from..from + n]);
            (at, self.0) = (at + n, self.0 - n as u64);
        }
        Ok(at)
    }
}

#[test]
fn a_hundred_megabytes_pass_in_constant_memory() {
    by_both(|client, _, postfix| {
        let peak = || -> u64 {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let to = &["bob@mail.test"][..];
        let order = || Order::new("submission", postfix.submission, to).with_password();
        assert!(order().send(client, MESSAGE).is_delivered());
        let before = peak();
        let report = order().send(client, Lines(100_000_000));
        assert!(report.is_delivered(), "{report:?}");
        let grown = peak() - before;
        assert!(grown < 4_000, "{grown} KiB more for 100 MB");
    });
}
