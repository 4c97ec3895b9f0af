//! The firmware of `adapters/embedded-io/examples/stm32f405`, on an emulated board, at real
//! servers: what arrives is what it composed, and every fault is an error that it names.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use starttls_tests::peers::{
    Board, Ca, Call, Dovecot, Fault, Halted, Impostor, Mailbox, Missing, Modem, Postfix, Proof,
    Side, python, skip_or_fail,
};

const TO: &str = "bob@mail.test";

/// The firmwares, which differ in how they wait.
const FIRMWARES: &[&str] = &["blocking", "asynchronous"];

/// With embedded-tls in place of rustls, and trust in a key in place of the authority.
const PINNED: &str = "embedded-tls";

/// The same with AUTH.
const PINNED_LOGIN: &str = "embedded-tls-login";

/// The servers of a test.
struct Servers {
    ca: Ca,
    postfix: Postfix,
    _dovecot: Dovecot,
}

impl Servers {
    fn start() -> Result<Self, Missing> {
        Self::certified(Ca::new())
    }

    fn certified(ca: Ca) -> Result<Self, Missing> {
        // Before the servers are started in vain.
        Board::new(FIRMWARES[0], &ca)?;
        let dovecot = Dovecot::start(&ca)?;
        let postfix = Postfix::start(&ca, &dovecot)?;
        Ok(Self { ca, postfix, _dovecot: dovecot })
    }

    fn board(&self, firmware: &str) -> Board {
        let board = Board::new(firmware, &self.ca).expect("found before");
        match firmware {
            PINNED | PINNED_LOGIN => board.pinned(&self.ca.server),
            _ => board,
        }
    }

    fn mails(&self) -> usize {
        self.postfix.mailbox(TO).messages().len()
    }
}

/// The lines that say how each try went.
fn outcomes(halted: &Halted) -> Vec<String> {
    let says = ["try ", "peak ", "cycles ", "connected"];
    let outcome = |line: &&str| !says.iter().any(|text| line.starts_with(text));
    halted.log().into_iter().filter(outcome).map(str::to_owned).collect()
}

fn assert_halted(halted: &Halted, status: i32, said: &[&str]) {
    assert_eq!((halted.status(), &outcomes(halted)[..]), (Some(status), &said.map_strings()[..]));
}

trait Strings {
    fn map_strings(&self) -> Vec<String>;
}

impl Strings for [&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

/// What a reader of mail finds in a message: its text and its attachment.
fn read(message: &[u8]) -> Result<(String, Vec<u8>), Missing> {
    const SCRIPT: &str = "
import email, email.policy, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not message.defects, message.defects
print(message.get_body().get_content().strip())
for part in message.iter_attachments():
    assert part.get_filename() == 'readings.bin', part.get_filename()
    print(part.get_content().hex())
";
    let ran = python("email")?.arg(SCRIPT).input(message).run();
    assert!(ran.status.success(), "{ran:?}");
    let (text, attachment) = ran.stdout.split_once('\n').unwrap_or_default();
    let octet = |at| u8::from_str_radix(&attachment[at..at + 2], 16).expect("hexadecimal");
    let octets = (0..attachment.trim().len()).step_by(2).map(octet).collect();
    Ok((text.to_owned(), octets))
}

/// Waits for so many different mails, of which some may have come twice, and gives all.
fn wait_for_different(mailbox: &Mailbox, count: usize) -> Vec<Vec<u8>> {
    let id = |mail: &Vec<u8>| {
        let mail = String::from_utf8_lossy(mail).into_owned();
        mail.lines().find(|line| line.starts_with("Message-ID: ")).expect("an id").to_owned()
    };
    let mut mails = mailbox.wait_for(count);
    loop {
        let different = mails.iter().map(id).collect::<BTreeSet<_>>().len();
        assert!(different <= count, "{different} mails");
        if different == count {
            return mails;
        }
        mails = mailbox.wait_for(mails.len() + 1);
    }
}

/// Octets of every kind, in no order.
fn octets(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_mail_with_an_attachment_arrives_by_every_door() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let attachment = octets(30_000);
    let mut sent = 0;
    for firmware in FIRMWARES {
        for (mode, port) in
            [("starttls", servers.postfix.submission), ("implicit", servers.postfix.submissions)]
        {
            let modem = Modem::start(port, &[]);
            let board = servers.board(firmware).login().set("mode", mode);
            let halted = board.set_octets("attachment", &attachment).run(&modem);
            assert_halted(&halted, 0, &["sent"]);
            let [Call { number, hung_up: true, .. }] = &modem.calls()[..] else {
                panic!("{:?}", modem.calls());
            };
            assert_eq!(number, "555-0100");
            sent += 1;
            let messages = servers.postfix.mailbox(TO).wait_for(sent);
            for message in messages {
                let Some((text, octets)) = skip_or_fail(read(&message)) else { return };
                assert_eq!(text, "Hello from a microcontroller.");
                assert!(octets == attachment, "{firmware} {mode}: another attachment");
            }
            eprintln!("{firmware} {mode}: {:?}", halted.log());
        }
    }
}

#[test]
fn a_server_may_have_keys_of_rsa_and_a_chain_of_certificates() {
    let Some(servers) = skip_or_fail(Servers::certified(Ca::rsa())) else { return };
    for firmware in FIRMWARES {
        for port in [servers.postfix.smtp, servers.postfix.chained] {
            let halted = servers.board(firmware).run(&Modem::start(port, &[]));
            assert_halted(&halted, 0, &["sent"]);
            eprintln!("{firmware} {:?}", halted.log());
        }
    }
}

#[test]
fn a_chain_is_as_long_as_the_heap_lets_it() {
    let Some(servers) = skip_or_fail(Servers::certified(Ca::rsa())) else { return };
    let modem = || Modem::start(servers.postfix.bulky, &[]);
    let halted = servers.board("blocking").run(&modem());
    assert_halted(&halted, 102, &["heap exhausted"]);
    assert_eq!(servers.mails(), 0);

    let halted = servers.board("long-chains").run(&modem());
    assert_halted(&halted, 0, &["sent"]);
    eprintln!("long-chains {:?}", halted.log());
}

#[test]
fn a_record_that_is_larger_than_the_buffer_is_said_to_be() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let halted = servers.board("small").run(&Modem::start(servers.postfix.smtp, &[]));
    assert_halted(&halted, 0, &["sent"]);
    eprintln!("small {:?}", halted.log());
    servers.postfix.mailbox(TO).wait_for(1);

    let modem = Modem::start(servers.postfix.bulky, &[]);
    let halted = servers.board("small").run(&modem);
    assert_eq!(halted.status(), Some(34), "{halted:?}");
    assert!(halted.number("record larger than the buffer") > 4096, "{halted:?}");
    assert!(modem.calls()[0].hung_up);
    assert_eq!(servers.mails(), 1);
}

#[test]
fn a_server_that_is_not_who_it_has_to_be_gets_an_alert_and_no_mail() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let postfix = &servers.postfix;
    for firmware in FIRMWARES {
        for (port, said, alert) in [
            (postfix.expired, "certificate expired", "alert certificate expired"),
            (postfix.wrong_name, "certificate for another name", "alert bad certificate"),
            (postfix.untrusted, "certificate not trusted", "alert unknown ca"),
        ] {
            let before = postfix.log().matches(alert).count();
            let halted = servers.board(firmware).run(&Modem::start(port, &[]));
            assert_halted(&halted, 31, &[said]);
            let alerts = postfix.log().matches(alert).count();
            assert!(alerts > before, "{firmware}: no {alert} in\n{}", postfix.log());
        }
        let halted = servers.board(firmware).run(&Modem::start(postfix.plaintext, &[]));
        assert_halted(&halted, 32, &["upgrade refused 502"]);
    }
    assert_eq!(servers.mails(), 0);
}

#[test]
fn what_the_server_refuses_is_not_sent() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let modem = || Modem::start(servers.postfix.submission, &[]);
    for firmware in FIRMWARES {
        let wrong = servers.board(firmware).login().set("password", "wrong");
        assert_halted(&wrong.run(&modem()), 41, &["login refused 535"]);
        let nobody = servers.board(firmware).login().set("to", Postfix::REFUSED);
        assert_halted(&nobody.run(&modem()), 42, &["mail refused 550"]);
    }
}

#[test]
fn a_call_that_fails_is_tried_again() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let faults = [
        (Fault::Answers("NO CARRIER"), "modem no carrier"),
        (Fault::Answers("BUSY"), "modem busy"),
        (Fault::Answers("NO DIALTONE"), "modem no dialtone"),
        (Fault::Answers("NO ANSWER"), "modem no answer"),
        (Fault::Answers("ERROR"), "modem refused"),
        (Fault::NoAnswer, "modem silent"),
    ];
    for (round, firmware) in FIRMWARES.iter().enumerate() {
        let modem = Modem::start(servers.postfix.smtp, &faults.map(|(fault, _)| fault));
        let board = servers.board(firmware).set("tries", "9").set("patience", "20");
        let halted = board.run(&modem);
        let mut said: Vec<&str> = faults.map(|(_, said)| said).to_vec();
        said.push("sent");
        assert_halted(&halted, 0, &said);
        assert_eq!(servers.postfix.mailbox(TO).wait_for(round + 1).len(), round + 1);

        // Nobody is at the line at all.
        let deaf = Modem::start(servers.postfix.smtp, &[Fault::Deaf; 6]);
        let halted = servers.board(firmware).set("tries", "2").run(&deaf);
        assert_halted(&halted, 20, &["modem silent", "modem silent"]);
        assert_eq!(deaf.calls(), []);
    }
}

/// Where a call of the firmware may break: at these octets of the device and the server.
fn places(servers: &Servers, firmware: &str) -> Vec<(Side, usize)> {
    let modem = Modem::start(servers.postfix.smtp, &[]);
    assert_halted(&servers.board(firmware).run(&modem), 0, &["sent"]);
    let call = modem.calls().remove(0);
    // Behind the last of these the server has the mail.
    let within = |side, count: usize| [1, 3, 5, 7, 8].map(|part| (side, count * part / 10));
    [within(Side::Device, call.from_device), within(Side::Server, call.from_server)].concat()
}

fn goes_silent(firmware: &str) {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let places = places(&servers, firmware);
    let faults: Vec<Fault> = places.iter().map(|&(side, at)| Fault::Silences(side, at)).collect();
    let mailbox = servers.postfix.mailbox(TO);
    let before = wait_for_different(&mailbox, 1).len();
    let board = servers.board(firmware).set("patience", "5").set("tries", "20");
    let halted = board.run(&Modem::start(servers.postfix.smtp, &faults));
    let said = outcomes(&halted);
    assert_eq!((halted.status(), said.len()), (Some(0), faults.len() + 1), "{said:?}");
    let doubts = said.iter().filter(|said| *said == "mail in doubt").count();
    let late = said.iter().filter(|said| *said == "timed out").count();
    assert_eq!(doubts + late, faults.len(), "{said:?}");
    // None is counted as sent that was not, and none is lost.
    let mails = wait_for_different(&mailbox, 2).len() - before;
    assert!((1..=1 + doubts).contains(&mails), "{mails} mails, {said:?}");
}

#[test]
fn a_line_that_goes_silent_anywhere_is_an_error_and_is_tried_again_blocking() {
    goes_silent("blocking");
}

#[test]
fn a_line_that_goes_silent_anywhere_is_an_error_and_is_tried_again_asynchronously() {
    goes_silent("asynchronous");
}

#[test]
fn a_line_that_goes_silent_anywhere_is_an_error_and_is_tried_again_by_embedded_tls() {
    goes_silent(PINNED);
}

fn loses(firmware: &str) {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let places = places(&servers, firmware);
    // In plaintext an octet may be of no consequence; from the middle on all is TLS.
    let inside = || places.iter().filter(|place| place.1 >= places[2].1.min(places[7].1));
    let lost = inside().map(|&(side, at)| Fault::Loses(side, at));
    let faults: Vec<Fault> =
        lost.chain(places.iter().map(|&(side, at)| Fault::HangsUp(side, at))).collect();
    let mailbox = servers.postfix.mailbox(TO);
    let before = wait_for_different(&mailbox, 1).len();
    let board = servers.board(firmware).set("patience", "5").set("tries", "30");
    let halted = board.run(&Modem::start(servers.postfix.smtp, &faults));
    let said = outcomes(&halted);
    assert_eq!((halted.status(), said.len()), (Some(0), faults.len() + 1), "{said:?}");
    let doubts = said.iter().filter(|said| *said == "mail in doubt").count();
    let mails = wait_for_different(&mailbox, 2).len() - before;
    assert!((1..=1 + doubts).contains(&mails), "{mails} mails, {said:?}");
}

#[test]
fn lost_octets_and_a_lost_line_are_errors_and_are_tried_again_blocking() {
    loses("blocking");
}

#[test]
fn lost_octets_and_a_lost_line_are_errors_and_are_tried_again_asynchronously() {
    loses("asynchronous");
}

#[test]
fn lost_octets_and_a_lost_line_are_errors_and_are_tried_again_by_embedded_tls() {
    loses(PINNED);
}

#[test]
fn a_clock_that_was_never_set_judges_no_certificate() {
    let ca = Ca::new();
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 86_400;
    for firmware in FIRMWARES {
        let Some(board) = skip_or_fail(Board::new(firmware, &ca)) else { return };
        let modem = Modem::without_line();
        let halted = board.set("since", &tomorrow.to_string()).run(&modem);
        assert_halted(&halted, 11, &["clock not set"]);
        assert_eq!(modem.calls(), []);
    }
}

#[test]
fn a_configuration_that_is_none_is_said_to_be() {
    let ca = Ca::new();
    let board = || Board::new("blocking", &ca);
    let Some(good) = skip_or_fail(board()) else { return };
    let good = good.config();
    let cases = [
        (vec![0xff; 64], "configuration missing"),
        ([&good[..good.len() / 2], &[0xff; 512]].concat(), "configuration malformed"),
        ([&good[..good.len() - 4], &[0xff; 512]].concat(), "configuration malformed"),
        (b"starttls-device 1\nend\n".to_vec(), "configuration incomplete"),
        (b"starttls-device 1\ndial 1\n1\ndial 1\n2\nend\n".to_vec(), "configuration malformed"),
        (b"starttls-device 1\nmode 5\nplain\nend\n".to_vec(), "configuration malformed"),
    ];
    for (config, said) in cases {
        let halted = board().expect("found before").run_with(&Modem::without_line(), &config);
        assert_halted(&halted, 10, &[said]);
    }
    let long = board().expect("found before").set("name", &"n".repeat(65));
    assert_halted(&long.run(&Modem::without_line()), 10, &["configuration malformed"]);
    let garbage = board().expect("found before").set("anchor", "no certificate");
    assert_halted(&garbage.run(&Modem::without_line()), 13, &["trust anchor malformed"]);
}

#[test]
fn what_ends_the_program_is_named() {
    let ca = Ca::new();
    for (argument, status, said) in [
        ("stack", 103, "stack overflow"),
        ("heap", 102, "heap exhausted"),
        ("panic", 101, "panic"),
        ("crowded", 12, "heap too small"),
    ] {
        let Some(board) = skip_or_fail(Board::new("faults", &ca)) else { return };
        let halted = board.argument(argument).run(&Modem::without_line());
        let last = outcomes(&halted).pop().unwrap_or_default();
        assert_eq!(halted.status(), Some(status), "{halted:?}");
        assert!(last.starts_with(said), "{argument}: {halted:?}");
    }
}

#[test]
fn another_tls_library_sends_the_mail_by_every_door() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let attachment = octets(30_000);
    for (sent, mode, port) in
        [(1, "starttls", servers.postfix.submission), (2, "implicit", servers.postfix.submissions)]
    {
        let modem = Modem::start(port, &[]);
        let board = servers.board(PINNED_LOGIN).login();
        let halted = board.set("mode", mode).set_octets("attachment", &attachment).run(&modem);
        assert_halted(&halted, 0, &["sent"]);
        assert!(modem.calls()[0].hung_up);
        for message in servers.postfix.mailbox(TO).wait_for(sent) {
            let Some((text, octets)) = skip_or_fail(read(&message)) else { return };
            assert_eq!(text, "Hello from a microcontroller.");
            assert!(octets == attachment, "{mode}: another attachment");
        }
        eprintln!("{mode}: {:?}", halted.log());
    }
}

#[test]
fn another_tls_library_is_no_reason_to_trust_another_key() {
    let Some(servers) = skip_or_fail(Servers::start()) else { return };
    let (ca, postfix) = (&servers.ca, &servers.postfix);
    let run = |board: Board, port| board.run(&Modem::start(port, &[]));
    // The authority's certificate is no digest of a key.
    let none = Board::new(PINNED, ca).expect("found before").run(&Modem::without_line());
    assert_halted(&none, 13, &["trust anchor malformed"]);

    let other = run(servers.board(PINNED).pinned(&ca.untrusted), postfix.smtp);
    assert_halted(&other, 31, &["certificate not the pinned one"]);
    assert!(postfix.log().contains("SSL_accept error"), "{}", postfix.log());
    let plain = run(servers.board(PINNED), postfix.plaintext);
    assert_halted(&plain, 32, &["upgrade refused 502"]);
    let nobody = servers.board(PINNED).set("to", Postfix::REFUSED);
    assert_halted(&run(nobody, postfix.smtp), 42, &["mail refused 550"]);
    let login = servers.board(PINNED_LOGIN).login().set("password", "wrong");
    assert_halted(&run(login, postfix.submission), 41, &["login refused 535"]);
    let large = run(servers.board(PINNED).pinned(&ca.bulky), postfix.bulky);
    assert_eq!(large.status(), Some(34), "{large:?}");
    assert!(large.number("record larger than the buffer") > 4096, "{large:?}");
    assert_eq!(servers.mails(), 0);
}

#[test]
fn a_handshake_that_is_over_is_no_proof() {
    let ca = Ca::new();
    for (proof, said) in [
        (Proof::None, "no certificate"),
        (Proof::Certificate, "TLS broken by the server"),
        (Proof::OtherSignature, "certificate not acceptable"),
        (Proof::SignatureAlone, "TLS broken by the server"),
    ] {
        let Some(board) = skip_or_fail(Board::new(PINNED, &ca)) else { return };
        let impostor = Impostor::start(&ca.server, proof);
        let halted = board.pinned(&ca.server).run(&Modem::start(impostor.port, &[]));
        assert_eq!(impostor.heard(), "", "{proof:?}: {halted:?}");
        assert_halted(&halted, 31, &[said]);
    }
}
