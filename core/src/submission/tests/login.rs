//! Logins: every mechanism, which is chosen, and every way to be refused.

use super::*;

fn hello(auth: &str) -> String {
    format!("250-mx\r\n250-PIPELINING\r\n250 {auth}\r\n")
}

fn case(credentials: Credentials<'_>) -> Case<'_> {
    Case { login: Some(credentials), ..Case::new(&[]) }
}

const IN: (&str, &str) = ("QUIT\r\n", "221 bye\r\n");
const PASSWORD: Credentials<'_> = Credentials::password("user", "pencil");
const TOKEN: Credentials<'_> =
    Credentials::token("user@example.org", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");

const SCRAM_FIRST: &str = "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9Ly8vLy8vLy8vLy8vLy8vLy8vLy8vLy8v\r\n";

#[test]
fn plain() {
    let auth = "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n";
    case(PASSWORD).check(
        &[(EHLO, &hello("AUTH LOGIN PLAIN")), (auth, "235 2.7.0 welcome\r\n"), IN],
        &["ready", "done"],
    );
}

#[test]
fn once_is_enough() {
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    submission.login(PASSWORD, &mut |_| Ok(())).unwrap();
    let mut storage = [0; 512];
    let mut play = |input: &str| {
        let mut out = Out::new(&mut storage);
        let (_, event) = submission.process(Decrypted::new(input.as_bytes()), &mut out).unwrap();
        tell(event)
    };
    for input in ["", "250-c\r\n250 AUTH PLAIN\r\n"] {
        assert_eq!(play(input), None);
    }
    assert_eq!(play("235 ok\r\n").as_deref(), Some("ready"));
    assert_eq!(submission.login(PASSWORD, &mut |_| Ok(())), Err(Misuse::Phase.into()));
}

#[test]
fn login_in_three_steps() {
    case(PASSWORD).check(
        &[
            (EHLO, &hello("auth login")),
            ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
            ("dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n"),
            ("cGVuY2ls\r\n", "235 ok\r\n"),
            IN,
        ],
        &["ready", "done"],
    );
}

/// An exchange computed apart from this crate, by the formulas of RFC 5802 §3.
fn scram() -> [(&'static str, &'static str); 3] {
    [
        (
            SCRAM_FIRST,
            // r=////////////////////////server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
            "334 cj0vLy8vLy8vLy8vLy8vLy8vLy8vLy8vLy9zZXJ2ZXIscz1XMjJaYUowU05ZN3NvRXNVRW\
             piNmdRPT0saT00MDk2\r\n",
        ),
        (
            "Yz1iaXdzLHI9Ly8vLy8vLy8vLy8vLy8vLy8vLy8vLy8vc2VydmVyLHA9SEhac2RFYW0xeF\
             BlNi9GcXhDb1JRSTB3T2JxMHlndWY0L2liQlNGQmRRbz0=\r\n",
            "334 dj1MSW9HaFdpMU9xV0ZtaUhOS1h4QUUzZEpUR0hDNDZyVUlORDFDTzZic1RNPQ==\r\n",
        ),
        ("\r\n", "235 ok\r\n"),
    ]
}

#[test]
fn scram_proves_both_sides() {
    let [first, last, empty] = scram();
    case(PASSWORD).check(
        &[(EHLO, &hello("AUTH PLAIN SCRAM-SHA-256")), first, last, empty, IN],
        &["ready", "done"],
    );
}

#[test]
fn a_server_has_to_prove_itself() {
    let [first, last, empty] = scram();
    let hello = hello("AUTH SCRAM-SHA-256");
    let error = "the server does not know the password";
    let ok = "235 ok\r\n";
    case(PASSWORD).check(&[(EHLO, &hello), (first.0, ok)], &[error]);
    case(PASSWORD).check(&[(EHLO, &hello), first, (last.0, ok)], &[error]);
    // e=other-error, v= of something else
    case(PASSWORD).check(
        &[(EHLO, &hello), first, (last.0, "334 ZT1vdGhlci1lcnJvcg==\r\n"), (empty.0, ok)],
        &[error],
    );
    let wrong = "334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n";
    case(PASSWORD).check(&[(EHLO, &hello), first, (last.0, wrong)], &[error]);
}

#[test]
fn scram_refused_is_the_end() {
    let [first, last, empty] = scram();
    let hello = hello("AUTH LOGIN PLAIN SCRAM-SHA-256");
    let (no, told) = ("535 5.7.8 no\r\n", ["login refused: 535=5.7.8 5.7.8 no", "done"]);
    case(PASSWORD).check(&[(EHLO, &hello), (first.0, no), IN], &told);
    case(PASSWORD).check(&[(EHLO, &hello), first, (last.0, no), IN], &told);
    case(PASSWORD).check(
        &[(EHLO, &hello), first, (last.0, "334 ZT1vdGhlci1lcnJvcg==\r\n"), (empty.0, no), IN],
        &told,
    );
}

#[test]
fn scram_limits() {
    let [first, ..] = scram();
    let limits = Limits { scram_iterations: 4095, ..Limits::default() };
    Case { limits, ..case(PASSWORD) }.check(
        &[(EHLO, &hello("AUTH SCRAM-SHA-256")), first],
        &["the server asks for 4096 rounds of password hashing"],
    );
    for challenge in ["334 \r\n", "334 *\r\n", "334 cj14\r\n", "334-cj0v\r\n334 cj0v\r\n"] {
        case(PASSWORD).check(
            &[(EHLO, &hello("AUTH SCRAM-SHA-256")), (first.0, challenge)],
            &["a message is malformed"],
        );
    }
}

#[test]
fn challenges_are_one_line() {
    let script = [
        (EHLO, &*hello("AUTH LOGIN")),
        ("AUTH LOGIN\r\n", "334-VXNlcm5hbWU6\r\n334 VXNlcm5hbWU6\r\n"),
    ];
    case(PASSWORD).check(&script, &["a message is malformed"]);
}

#[test]
fn bearer_tokens() {
    // RFC 7628 §4.1, without host and port.
    let auth = "AUTH OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5vcmcsAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNr\
                QmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB\r\n";
    case(TOKEN).check(
        &[(EHLO, &hello("AUTH XOAUTH2 OAUTHBEARER")), (auth, "235 ok\r\n"), IN],
        &["ready", "done"],
    );
    let problem = "334 eyJzdGF0dXMiOiI0MDEifQ==\r\n";
    let (no, told) = ("535 5.7.8 expired\r\n", ["login refused: 535=5.7.8 5.7.8 expired", "done"]);
    case(TOKEN)
        .check(&[(EHLO, &hello("AUTH OAUTHBEARER")), (auth, problem), ("AQ==\r\n", no), IN], &told);
    let auth = "AUTH XOAUTH2 dXNlcj11c2VyQGV4YW1wbGUub3JnAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhi\
                SFJoZG1semRHRXVZMjl0Q2c9PQEB\r\n";
    case(TOKEN).check(&[(EHLO, &hello("AUTH XOAUTH2")), (auth, problem), ("\r\n", no), IN], &told);
    case(TOKEN).check(
        &[(EHLO, &hello("AUTH XOAUTH2")), (auth, problem), ("\r\n", "235 ok\r\n")],
        &["unexpected reply 235"],
    );
}

#[test]
fn the_mechanism_may_be_forced() {
    let auth = "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n";
    case(PASSWORD.mechanism(Mechanism::Plain)).check(
        &[(EHLO, &hello("AUTH SCRAM-SHA-256 PLAIN")), (auth, "235 ok\r\n"), IN],
        &["ready", "done"],
    );
    for (credentials, offer) in [
        (PASSWORD.mechanism(Mechanism::ScramSha256), "AUTH PLAIN LOGIN"),
        (PASSWORD, "AUTH XOAUTH2 CRAM-MD5"),
        (TOKEN, "AUTH PLAIN LOGIN"),
        (PASSWORD, "HELP"),
    ] {
        case(credentials).check(&[(EHLO, &hello(offer)), IN], &["lacks Mechanism", "done"]);
    }
}

#[test]
fn refused_logins_take_the_mail_with_them() {
    let auth = ("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n", "454 4.7.0 later\r\n");
    let mails = [(envelope(&["b@example.org"]), true)];
    Case { login: Some(PASSWORD), ..Case::new(&mails) }.check(
        &[(EHLO, &hello("AUTH PLAIN LOGIN")), auth, IN],
        &["login refused: 454=4.7.0 4.7.0 later", "done"],
    );
}

#[test]
fn credentials_are_checked() {
    let long = "x".repeat(9300);
    let fits = "x".repeat(9180);
    for bad in [
        Credentials::password("", "x"),
        Credentials::password("x", ""),
        Credentials::password("a\0b", "x"),
        Credentials::password("x", "a\rb"),
        Credentials::password("x", "a\nb"),
        Credentials::token("x", "a\x01b"),
        Credentials::token("a\x01b", "x"),
        Credentials::password("x", &long),
        Credentials::token("x", &long),
        PASSWORD.mechanism(Mechanism::XOAuth2),
        TOKEN.mechanism(Mechanism::Plain),
    ] {
        let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
        let refused = submission.login(bad, &mut |_| Ok(()));
        assert_eq!(refused, Err(Misuse::Credential.into()));
    }
    for good in [Credentials::password("x", &fits), Credentials::password("x", "a\x01b")] {
        let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
        assert_eq!(submission.login(good, &mut |_| Ok(())), Ok(()));
    }
    let mut submission = Submission::new(Mail::Smtp, "c", false).unwrap();
    let failed = submission.login(PASSWORD, &mut |_| Err(Misuse::Randomness.into()));
    assert_eq!(failed, Err(Misuse::Randomness.into()));
}

/// Waits with everything in one session: the counts the README states.
#[test]
fn waits_from_ehlo_to_quit() {
    let to = ["b@example.org"];
    let sized = Envelope { size: Some(21), ..envelope(&to) };
    let offer = "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n";
    let plain = [("AUTH PLAIN AHVzZXIAcGVuY2ls\r\n", "235 ok\r\n")];
    let data = [
        (
            "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
            "250 ok\r\n250 ok\r\n354 go\r\n",
        ),
        ("Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n", "250 queued\r\n221 bye\r\n"),
    ];
    let bdat = [(
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nBDAT 21 LAST\r\n\
         Subject: hi\r\n\r\n.dot\r\nQUIT\r\n",
        "250 ok\r\n250 ok\r\n250 queued\r\n221 bye\r\n",
    )];
    let (plain, scram): (Script<'_>, Script<'_>) = (&plain, &scram());
    let (data, bdat): (Script<'_>, Script<'_>) = (&data, &bdat);
    let only = PASSWORD.mechanism(Mechanism::Plain);
    for (greeting, credentials, auth, envelope, mail, waits) in [
        (false, only, plain, envelope(&to), data, 4),
        (false, only, plain, sized, bdat, 3),
        (true, only, plain, envelope(&to), data, 5),
        (true, only, plain, sized, bdat, 4),
        (false, PASSWORD, scram, envelope(&to), data, 6),
        (false, PASSWORD, scram, sized, bdat, 5),
    ] {
        let hello = [("", "220 mx\r\n"), (EHLO, offer)];
        let script = [&hello[usize::from(!greeting)..], auth, mail].concat();
        assert_eq!(script.len(), waits);
        let mails = [(envelope, true)];
        Case { greeting, login: Some(credentials), ..Case::new(&mails) }
            .check(&script, &["recipient 0", "delivered: 250 queued", "mail done", "done"]);
    }
}
