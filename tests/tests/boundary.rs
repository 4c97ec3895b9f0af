//! What crosses the hand-over, in real sockets: nothing learnt before it, no plaintext after it,
//! and no peer that takes its time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use starttls::Error;
use starttls::error::{Misbehaviour, RefusalKind, TlsError};
use starttls::negotiate::AllowPlaintext;
use starttls::protocol::{Implicit, Mail, SMTP, smtp};
use starttls::submission::{Content, Envelope, Outcome, Require, Submission};
use starttls::tls::{ClientTls, ServerTls};
use starttls_std::{Channel, Stream};
use starttls_tests::peers::Ca;
use starttls_tests::pki::{NAME, Pki};
use starttls_tests::serving::{Ended, Serving};

const PATIENCE: Duration = Duration::from_secs(20);

fn client_tls(pki: &Pki) -> ClientTls {
    ClientTls::new(Arc::new(pki.client(&TLS13)))
}

fn server_tls(pki: &Pki) -> ServerTls {
    ServerTls::new(Arc::new(pki.server())).unwrap()
}

fn client() -> smtp::Client<'static> {
    smtp::Client::new("client.example.org").unwrap()
}

/// Two ends of a transport that does not wait for ever.
fn transport() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    for end in [&ours, &theirs] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_write_timeout(Some(PATIENCE)).unwrap();
    }
    (ours, theirs)
}

fn submission(greeting: bool) -> Submission<'static> {
    let mut submission = Submission::new(Mail::Smtp, "client.example.org", greeting).unwrap();
    let envelope = Envelope {
        from: "a@example.org",
        to: &["b@example.org"],
        size: None,
        content: Content::Unknown,
        utf8: false,
        require: Require::Any,
    };
    submission.mail(envelope, true).unwrap();
    submission
}

/// Reads one line from a plaintext transport, and not an octet more.
fn line(mut transport: &UnixStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut octet = [0];
        transport.read_exact(&mut octet).unwrap();
        line.push(octet[0]);
    }
    String::from_utf8(line).unwrap()
}

/// What our submission comes to if the server says `first` as soon as there is TLS, and whatever
/// else the server heard.
fn greeted(implicit: bool, first: &'static [u8]) -> (Error, Vec<u8>) {
    let pki = Pki::default();
    let (ours, theirs) = transport();
    let tls = server_tls(&pki);
    let server = thread::spawn(move || {
        fn speak<N: starttls::negotiate::Negotiate>(
            mut stream: Stream<UnixStream, N>,
            first: &[u8],
        ) -> Vec<u8> {
            stream.write_all(first).unwrap();
            let mut heard = Vec::new();
            // The client leaves at once.
            let _ = stream.read_to_end(&mut heard);
            heard
        }
        match implicit {
            true => {
                speak(starttls_std::accept(theirs, Implicit::server(&SMTP), &tls).unwrap(), first)
            }
            false => {
                let machine = smtp::Server::new(NAME, &[]).unwrap();
                speak(starttls_std::accept(theirs, machine, &tls).unwrap(), first)
            }
        }
    });
    let tls = client_tls(&pki);
    let broken = match implicit {
        true => {
            let machine = Implicit::client(&SMTP);
            starttls_std::submit(ours, machine, &tls, NAME, submission(true), &b"x"[..])
        }
        false => starttls_std::submit(ours, client(), &tls, NAME, submission(false), &b"x"[..]),
    }
    .unwrap_err();
    assert_eq!(broken.report.recipients, [Outcome::NotSent]);
    (broken.error.session().expect("an error of the session"), server.join().unwrap())
}

#[test]
fn a_greeting_stands_where_the_protocol_has_it() {
    let greeting = Error::from(Misbehaviour::Greeting);
    // Behind STARTTLS there is none (RFC 3207 §4.2): the server is another one (Opossum).
    let (error, _) = greeted(false, b"220 other.example.org ESMTP\r\n");
    assert_eq!(error, greeting);
    let (error, _) = greeted(false, b"220-other.example.org\r\n220 ESMTP\r\n");
    assert_eq!(error, greeting);
    // With implicit TLS there is one.
    for first in [&b"250-mail.example.org\r\n250 AUTH PLAIN\r\n"[..], b"250 x\r\n"] {
        let (error, heard) = greeted(true, first);
        assert_eq!((error, &heard[..]), (greeting, &b""[..]));
    }
}

/// Speaks `clear` in plaintext, a line at a time, then STARTTLS, then `inside` in TLS; the replies
/// to that.
fn spoken(ca: &Ca, server: &Serving, clear: &[&str], inside: &str) -> (Vec<String>, String) {
    let transport = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    transport.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(transport.try_clone().unwrap());
    let mut reply = || {
        let mut whole = String::new();
        while lines.read_line(&mut whole).unwrap() > 0 {
            let last = whole.lines().last().unwrap();
            if last.as_bytes()[3] == b' ' {
                break;
            }
        }
        whole
    };
    let mut replies = vec![reply()];
    for command in clear.iter().chain(&["STARTTLS\r\n"]) {
        (&transport).write_all(command.as_bytes()).unwrap();
        replies.push(reply());
    }
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca.root_der.clone().into()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut tls =
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), transport);
    tls.write_all(inside.as_bytes()).unwrap();
    let mut heard = String::new();
    tls.read_to_string(&mut heard).unwrap();
    (replies, heard)
}

#[test]
fn what_was_said_in_plaintext_is_forgotten() {
    const FIRST: &str = "503 5.5.1 Introduce yourself first\r\n";
    let ca = Ca::new();
    let server = Serving::start("smtp", &ca.server);
    let must = "530 Must issue a STARTTLS command first\r\n";
    // EHLO before TLS is no EHLO; MAIL and RCPT before TLS are nothing at all.
    let clear = ["EHLO c\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "HELO c\r\n"];
    let (replies, heard) =
        spoken(&ca, &server, &clear, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nQUIT\r\n");
    assert_eq!(replies[2..5], [must; 3]);
    assert_eq!(replies[5], "220 Go ahead\r\n");
    let data = "503 5.5.1 MAIL first\r\n";
    assert_eq!(heard, format!("{FIRST}{data}{data}221 2.0.0 Bye\r\n"));

    // A transaction of plaintext does not go on inside.
    let inside = "EHLO c\r\nRCPT TO:<c@d>\r\nQUIT\r\n";
    let (_, heard) = spoken(&ca, &server, &["EHLO c\r\n", "MAIL FROM:<a@b>\r\n"], inside);
    assert!(heard.ends_with(&format!("{data}221 2.0.0 Bye\r\n")), "{heard}");
    assert!(!heard.contains("STARTTLS"), "{heard}");
    assert_eq!(server.mails(), []);
    assert!(server.ends(2).iter().all(|end| matches!(end, Ended::Quit { .. })));
}

#[test]
fn starttls_inside_tls_is_refused_and_changes_nothing() {
    const ACTIVE: &str = "503 5.5.1 TLS is active\r\n";
    let ca = Ca::new();
    let server = Serving::start("smtp", &ca.server);
    let inside = "STARTTLS\r\nEHLO c\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\nSTARTTLS\r\nRCPT TO:<c@d>\r\n\
                  STARTTLS\r\nDATA\r\nSTARTTLS\r\n.\r\nSTARTTLS\r\nQUIT\r\n";
    let (_, heard) = spoken(&ca, &server, &[], inside);
    let (before, after) = heard.split_once("250-mail.test\r\n").unwrap();
    let (_, after) = after.split_once("250 ENHANCEDSTATUSCODES\r\n").unwrap();
    assert_eq!(before, ACTIVE);
    let expected = format!(
        "{ACTIVE}250 2.1.0 Sender OK\r\n{ACTIVE}250 2.1.5 Recipient OK\r\n{ACTIVE}\
         354 End with <CR><LF>.<CR><LF>\r\n250 2.0.0 Message accepted\r\n{ACTIVE}221 2.0.0 Bye\r\n"
    );
    assert_eq!(after, expected);
    let [taken] = &server.mails()[..] else { panic!("{:?}", server.mails()) };
    assert_eq!(taken.message, b"STARTTLS\r\n");
}

/// A server that speaks `clear` in plaintext, the first at once and each other behind a line of
/// the client, and then does as it likes.
fn serving(
    clear: &'static [&'static str],
    then: impl FnOnce(&UnixStream) + Send + 'static,
) -> UnixStream {
    let (ours, theirs) = transport();
    thread::spawn(move || {
        for (index, text) in clear.iter().enumerate() {
            if index > 0 {
                line(&theirs);
            }
            // The client may have left already.
            let _ = (&theirs).write_all(text.as_bytes());
        }
        then(&theirs);
    });
    ours
}

/// Says no more, and hears the client out.
fn leaves(mut transport: &UnixStream) {
    transport.shutdown(Shutdown::Write).unwrap();
    let _ = transport.read_to_end(&mut Vec::new());
}

/// What a client that would take plaintext gets.
fn opportunist(pki: &Pki, server: UnixStream) -> Result<(RefusalKind, u16), Error> {
    let tls = client_tls(pki);
    match starttls_std::connect_or_plaintext(server, client(), &tls, NAME, AllowPlaintext) {
        Ok(Channel::Secured(_)) => panic!("no TLS was to be had"),
        Ok(Channel::Plaintext(plain)) => Ok((plain.why().kind, plain.why().code)),
        Err(error) => Err(error.session().expect("an error of the session")),
    }
}

const UPTO_GO_AHEAD: &[&str] = &["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"];

#[test]
fn nothing_but_a_refusal_leads_to_plaintext() {
    let (pki, stranger) = (Pki::default(), Pki::default());
    // The control: this is how it is done.
    let refusing = serving(&["220 x\r\n", "250 x\r\n", "454 no\r\n"], |_| ());
    assert_eq!(opportunist(&pki, refusing), Ok((RefusalKind::Upgrade, 454)));

    type Then = Box<dyn FnOnce(&UnixStream) + Send>;
    let says = |octets: &'static [u8]| -> Then {
        Box::new(move |mut transport| {
            // The ClientHello first, or some of it.
            transport.read_exact(&mut [0; 5]).unwrap();
            transport.write_all(octets).unwrap();
            let _ = transport.read_to_end(&mut Vec::new());
        })
    };
    let with_tls = |pki: &Pki| -> Then {
        let tls = server_tls(pki);
        Box::new(move |transport| {
            assert!(starttls_std::accept(transport, Implicit::server(&SMTP), &tls).is_err());
        })
    };
    let wrong_name = Pki::with(|params| params.subject_alt_names.clear());
    let failures: [(Then, Error); 6] = [
        (says(b"454 TLS not available\r\n"), TlsError::NotTls.into()),
        (says(b"\x15\x03\x03\0\x02\x02\x28"), TlsError::AlertReceived(40).into()),
        (says(b"\x15\x03\x03\0\x02\x02\x46"), TlsError::AlertReceived(70).into()),
        (Box::new(leaves), Error::ClosedInHandshake),
        (with_tls(&stranger), TlsError::UnknownIssuer.into()),
        (with_tls(&wrong_name), TlsError::UnknownIssuer.into()),
    ];
    for (then, error) in failures {
        assert_eq!(opportunist(&pki, serving(UPTO_GO_AHEAD, then)), Err(error));
    }
    assert_eq!(
        opportunist(&wrong_name, serving(UPTO_GO_AHEAD, with_tls(&wrong_name))),
        Err(TlsError::WrongName.into())
    );

    // Misbehaviour before TLS is no refusal either, nor is a server that just leaves.
    let misbehaving: [(&[&str], Error); 6] = [
        (&["220 x\n"], Misbehaviour::BareLineEnd.into()),
        (&["220 x\r\n250 x\r\n"], Misbehaviour::Unsolicited.into()),
        (&["220 x\r\n", "250-x\r\n550 y\r\n"], Misbehaviour::MixedReply.into()),
        (&["220 x\r\n", "250 x\r\n", "250 go\r\n"], Misbehaviour::UnexpectedReply(250).into()),
        (
            &["220 x\r\n", "250 x\r\n", "220 go\r\n454 no\r\n"],
            Misbehaviour::BytesAfterUpgrade.into(),
        ),
        (&["220 x\r\n", "250 x\r\n"], Error::Closed),
    ];
    for (clear, error) in misbehaving {
        assert_eq!(opportunist(&pki, serving(clear, leaves)), Err(error), "{clear:?}");
    }
}

#[test]
fn a_server_that_asked_for_tls_gets_no_plaintext() {
    let pki = Pki::default();
    let accepts = |says: Vec<&'static [u8]>| {
        let (ours, theirs) = transport();
        let talking = thread::spawn(move || {
            line(&theirs);
            for text in says {
                (&theirs).write_all(text).unwrap();
                let _ = (&theirs).read(&mut [0; 1000]);
            }
        });
        let machine = smtp::Server::new(NAME, &[]).unwrap();
        let tls = server_tls(&pki);
        let end = starttls_std::accept_or_plaintext(ours, machine, &tls, AllowPlaintext);
        let end = match end {
            Ok(Channel::Secured(_)) => panic!("nobody spoke TLS"),
            Ok(Channel::Plaintext(plain)) => Ok(plain.why().kind),
            Err(error) => Err(error.session().expect("an error of the session")),
        };
        talking.join().unwrap();
        end
    };
    assert_eq!(accepts(vec![b"EHLO c\r\n", b"MAIL FROM:<a@b>\r\n"]), Ok(RefusalKind::NotAsked));
    let asks: &[u8] = b"STARTTLS\r\n";
    assert_eq!(accepts(vec![asks, b"MAIL FROM:<a@b>\r\n"]), Err(TlsError::NotTls.into()));
    let alert: &[u8] = b"\x15\x03\x03\0\x02\x02\x30";
    assert_eq!(accepts(vec![asks, alert]), Err(TlsError::AlertReceived(48).into()));
    assert_eq!(accepts(vec![asks]), Err(Error::ClosedInHandshake));
    let injected = accepts(vec![b"STARTTLS\r\nRSET\r\n"]);
    assert_eq!(injected, Err(Misbehaviour::BytesAfterUpgrade.into()));
}

/// Sends `octets` one by one, and then the last of them for ever.
fn drip(mut transport: impl Write, octets: &[u8]) {
    let last = octets.last().unwrap();
    for octet in octets.iter().chain(std::iter::repeat(last)) {
        if transport.write_all(&[*octet]).and_then(|()| transport.flush()).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether `attempt` ends in time and for want of it: every octet came long before the limit.
#[track_caller]
fn times_out<T>(attempt: impl FnOnce(Instant) -> Result<T, starttls_std::Error>) {
    const LIMIT: Duration = Duration::from_millis(300);
    let begin = Instant::now();
    let Err(error) = attempt(begin + LIMIT) else { panic!("it came through") };
    let took = begin.elapsed();
    let starttls_std::Error::Transport(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!((LIMIT..LIMIT * 10).contains(&took), "{took:?}");
}

#[test]
fn a_peer_that_drips_meets_the_deadline() {
    let pki = Pki::default();
    let (tls, server) = (client_tls(&pki), server_tls(&pki));
    let connect = |transport: UnixStream| {
        times_out(|by| starttls_std::connect_by(transport, client(), &tls, NAME, by));
    };
    // In the greeting, in the reply to EHLO, in the go-ahead.
    connect(serving(&[], |transport| drip(transport, b"220 x")));
    connect(serving(&["220 x\r\n", ""], |transport| drip(transport, b"250-x")));
    connect(serving(&["220 x\r\n", "250 x\r\n", ""], |transport| drip(transport, b"220 x")));
    // In the handshake: a record that is announced, and never whole.
    let record: &[u8] = &[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3, 0];
    connect(serving(UPTO_GO_AHEAD, |mut transport| {
        transport.read_exact(&mut [0; 5]).unwrap();
        drip(transport, record);
    }));
    // Nothing at all.
    connect(serving(UPTO_GO_AHEAD, |transport| {
        let _ = (&mut &*transport).read_to_end(&mut Vec::new());
    }));

    let accept = |transport: UnixStream| {
        let machine = smtp::Server::new(NAME, &[]).unwrap();
        times_out(|by| starttls_std::accept_by(transport, machine, &server, by));
    };
    accept(serving(&[], |transport| drip(transport, b"EHLO x")));
    accept(serving(&[""; 1], |transport| {
        let mut transport = transport;
        transport.write_all(b"STARTTLS\r\n").unwrap();
        while line(transport) != "220 Go ahead\r\n" {}
        drip(transport, &[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3, 0]);
    }));
}

#[test]
fn a_server_that_drips_inside_tls_meets_the_deadline() {
    let pki = Pki::default();
    let (tls, server) = (client_tls(&pki), server_tls(&pki));
    let (ours, theirs) = transport();
    thread::spawn(move || {
        let machine = smtp::Server::new(NAME, &[]).unwrap();
        drip(starttls_std::accept(theirs, machine, &server).unwrap(), b"250-x");
    });
    times_out(|by| {
        let submission = submission(false);
        starttls_std::submit_by(ours, client(), &tls, NAME, submission, &b"x"[..], by).map_err(
            |broken| {
                assert_eq!(broken.report.recipients, [Outcome::NotSent]);
                broken.error
            },
        )
    });
}
