//! Our submission against Postfix and Dovecot: what arrives is what was sent.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use starttls::Error;
use starttls::protocol::{Names, scheme};
use starttls::submission::{
    Content, Credentials, Envelope, Feature, Mechanism, Outcome, Report, Require, Submission,
};
use starttls::tls::ClientTls;
use starttls_tests::peers::{Ca, Dovecot, PASSWORD, Postfix, TOKEN, USER, skip_or_fail};

/// Dots where they hurt, octets above 127, a line longer than a record, no final line end missing.
const MESSAGE: &[u8] = b"From: alice@mail.test\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n\
    Gr\xc3\xbc\xc3\x9fe\r\nend\r\n";

fn random(octets: &mut [u8]) -> Result<(), Error> {
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(octets));
    read.map_err(|_| starttls::error::Misuse::Randomness.into())
}

fn tls(ca: &Ca) -> ClientTls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.root_der.clone())).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    ClientTls::new(Arc::new(config))
}

struct Order<'a> {
    scheme: &'a str,
    port: u16,
    login: Option<Credentials<'a>>,
    to: &'a [&'a str],
    require: Require,
    content: Content,
}

impl<'a> Order<'a> {
    fn new(scheme: &'a str, port: u16, to: &'a [&'a str]) -> Self {
        Self { scheme, port, login: None, to, require: Require::Any, content: Content::Unknown }
    }

    fn login(mut self, credentials: Credentials<'a>) -> Self {
        self.login = Some(credentials);
        self
    }

    fn with_password(self) -> Self {
        self.login(Credentials::password(USER, PASSWORD))
    }

    fn send(self, ca: &Ca, message: impl Read) -> Report {
        let scheme = scheme(self.scheme).unwrap();
        let name = "client.mail.test";
        let mail = scheme.row.mail.unwrap();
        let mut submission = Submission::new(mail, name, scheme.implicit).unwrap();
        if let Some(credentials) = self.login {
            submission.login(credentials, &mut random).unwrap();
        }
        let from = "alice@mail.test";
        let Self { to, require, content, .. } = self;
        let envelope = Envelope { from, to, size: None, content, utf8: false, require };
        submission.mail(envelope, true).unwrap();
        let machine = scheme.client(Names::new(name)).unwrap();
        let transport = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(90);
        let (tls, host) = (tls(ca), "localhost");
        starttls_std::submit_by(transport, machine, &tls, host, submission, message, deadline)
            .unwrap()
    }
}

macro_rules! servers {
    ($ca:ident, $dovecot:ident, $postfix:ident) => {
        let $ca = Ca::new();
        let Some($dovecot) = skip_or_fail(Dovecot::start(&$ca)) else { return };
        let Some($postfix) = skip_or_fail(Postfix::start(&$ca, &$dovecot)) else { return };
    };
}

#[test]
fn postfix_takes_mail_by_every_door_and_mechanism() {
    servers!(ca, dovecot, postfix);
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
            let report = order.send(&ca, MESSAGE);
            assert!(report.is_delivered(), "{scheme} {credentials:?} {report:?}");
            sent += 1;
        }
    }
    // Without a known size: DATA instead of BDAT.
    let long = MESSAGE.repeat(2000);
    let report = Order::new("smtp", postfix.smtp, to).send(&ca, &long[..]);
    assert!(report.is_delivered(), "{report:?}");
    let mailbox = postfix.mailbox("bob@mail.test");
    let messages = mailbox.wait_for(sent + 1);
    let found = |wanted: &[u8]| {
        let count = |message: &&Vec<u8>| {
            starttls_tests::peers::without_trace(&starttls_tests::peers::sent_form(message))
                == wanted
        };
        messages.iter().filter(count).count()
    };
    assert_eq!((found(MESSAGE), found(&long)), (sent, 1));
}

#[test]
fn postfix_refuses_and_each_recipient_knows() {
    servers!(ca, dovecot, postfix);
    let to = &["bob@mail.test", Postfix::REFUSED, Postfix::LATER, "carol@mail.test"][..];
    let order = || Order::new("submission", postfix.submission, to).with_password();
    let report = order().send(&ca, MESSAGE);
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
    let report = order.send(&ca, MESSAGE);
    assert!(!report.recipients.iter().any(|at| matches!(at, Outcome::Delivered(_))), "{report:?}");
    assert_eq!(postfix.mailbox("bob@mail.test").messages().len(), 1);

    let report = Order::new("smtp", postfix.smtp, &[Postfix::REFUSED]).send(&ca, MESSAGE);
    assert_eq!(codes(&report), [(550, Some([5, 1, 1]))], "{report:?}");

    let wrong = Credentials::password(USER, "wrong");
    let report = Order::new("submission", postfix.submission, to).login(wrong).send(&ca, MESSAGE);
    let refused = report.login_refused.expect("a refusal");
    assert_eq!((refused.code, refused.enhanced), (535, Some([5, 7, 8])));
    assert_eq!(report.recipients, vec![Outcome::NotSent; 4]);
}

#[test]
fn postfix_has_a_limit() {
    servers!(ca, dovecot, postfix);
    let to = &["bob@mail.test"][..];
    let order = || Order::new("submission", postfix.small, to).with_password();
    // Known before it is sent: within the buffer, but one octet too many.
    let large = b"x\r\n".repeat(200_000 / 3);
    let report = order().send(&ca, &large[..]);
    // Too long for the buffer, so its size is not declared and the server finds out.
    let [Outcome::Refused(said)] = &report.recipients[..] else { panic!("{report:?}") };
    assert_eq!((said.code, said.enhanced), (552, Some([5, 3, 4])));
    // Declared by the caller, it is never sent.
    let scheme = scheme("submission").unwrap();
    let mut submission = Submission::new(scheme.row.mail.unwrap(), "c.test", false).unwrap();
    submission.login(Credentials::password(USER, PASSWORD), &mut random).unwrap();
    let envelope = Envelope {
        from: "alice@mail.test",
        to,
        size: Some(large.len() as u64),
        content: Content::SevenBit,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();
    let machine = scheme.client(Names::new("c.test")).unwrap();
    let transport = TcpStream::connect(("127.0.0.1", postfix.small)).unwrap();
    let report =
        starttls_std::submit(transport, machine, &tls(&ca), "localhost", submission, &large[..])
            .unwrap();
    assert_eq!(report.lacks, Some(Feature::Size(100_000)));
    assert_eq!(report.recipients, [Outcome::NotSent]);
}

#[test]
fn dovecot_takes_mail_over_submission_and_lmtp() {
    servers!(ca, dovecot, postfix);
    let to = &["bob@mail.test"][..];
    for (scheme, port) in [("submission", dovecot.submission), ("submissions", dovecot.submissions)]
    {
        let report = Order::new(scheme, port, to).with_password().send(&ca, MESSAGE);
        assert!(report.is_delivered(), "{report:?}");
    }
    assert_eq!(postfix.mailbox("bob@mail.test").wait_for(2).len(), 2);

    // LMTP: a reply for each recipient behind the message.
    let to = &["alice@mail.test", "nobody@mail.test", "bob@mail.test"][..];
    let report = Order::new("lmtp", dovecot.lmtp, to).send(&ca, MESSAGE);
    let [Outcome::Delivered(_), Outcome::Refused(no), Outcome::Delivered(_)] =
        &report.recipients[..]
    else {
        panic!("{report:?}");
    };
    assert_eq!((no.code, no.enhanced), (550, Some([5, 1, 1])));
    assert_eq!(dovecot.mailbox("alice").only_message(), MESSAGE);
    assert_eq!(dovecot.mailbox("bob").only_message(), MESSAGE);
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
    servers!(ca, dovecot, postfix);
    let peak = || -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let to = &["bob@mail.test"][..];
    let order = || Order::new("submission", postfix.submission, to).with_password();
    assert!(order().send(&ca, MESSAGE).is_delivered());
    let before = peak();
    let report = order().send(&ca, Lines(100_000_000));
    assert!(report.is_delivered(), "{report:?}");
    let grown = peak() - before;
    assert!(grown < 4_000, "{grown} KiB more for 100 MB");
}
