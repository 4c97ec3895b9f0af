//! The laws, over the table: a protocol that is added there is held to them without more ado.
//!
//! Each test prints how many runs stand behind it for each machine.

mod subject;

use proptest::prelude::*;
use starttls::Error;
use starttls::error::{Misbehaviour, Misuse};
use starttls::negotiate::{Client, Residue, Server};
use starttls_tests::attack::Attack;
use starttls_tests::dialogue::{Dialogue, Speaker};
use starttls_tests::pair::pair;
use starttls_tests::play::{AtReady, Idle, Played, Run, TOO_EARLY, prefix, total};
use starttls_tests::table::{Entry, Role};

use crate::subject::{Subject, any_run, cases, garbled, print};

/// Runs one law for both roles and prints the counts.
macro_rules! law {
    ($(#[$meta:meta])* $test:ident, $name:literal, $subjects:ident, $check:ident) => {
        $(#[$meta])*
        #[test]
        fn $test() {
            let mut counts: Vec<(&str, &str, usize)> = Vec::new();
            for subject in Subject::<Client>::$subjects() {
                let runs = $check(&subject);
                assert!(runs > 0 || subject.exchange.peer.is_empty(), "never tried");
                counts.push((subject.entry.name, Client::NAME, runs));
            }
            for subject in Subject::<Server>::$subjects() {
                let runs = $check(&subject);
                assert!(runs > 0 || subject.exchange.peer.is_empty(), "never tried");
                counts.push((subject.entry.name, Server::NAME, runs));
            }
            print($name, counts);
        }
    };
}

// 1. Chunking.

law! {
    /// Any split of a peer's words who speaks in turn comes to the same octets and the same end.
    law_1_chunking, "1 chunking", all, chunking
}

fn chunking<S: Role>(subject: &Subject<S>) -> usize {
    let (clean, peer) = (subject.clean(), &subject.exchange.peer);
    let same = |run: Run| {
        let played = subject.play(peer, &run);
        assert_eq!((played.end, played.ours()), (Ok(()), clean.ours()), "{run:?}");
        assert_eq!(played.frames, clean.frames, "{run:?}");
        assert!(played.late.is_empty() && played.residue.is_empty(), "{run:?}");
    };
    let splits = Run::splits(peer).map(same).count();
    splits + cases(256, any_run(), same)
}

law! {
    /// The same for a peer who errs, or speaks out of turn: a split may hide that from us, and then
    /// what was sent up to there agrees.
    law_1_chunking_of_garbage, "1 of garbage", each, chunking_of_garbage
}

fn chunking_of_garbage<S: Role>(subject: &Subject<S>) -> usize {
    let garbled = (garbled(&subject.exchange.peer), any_run(), any_run());
    cases(512, garbled, |(turns, one, other)| {
        let whole = subject.play(&turns, &Run::default());
        let (one, other) = (subject.play(&turns, &one), subject.play(&turns, &other));
        one.agrees(&whole, &turns);
        other.agrees(&whole, &turns);
        one.agrees(&other, &turns);
    })
}

// 2. Starvation.

law! {
    /// Any output buffers, of no octet even, bring out the same octets.
    law_2_starvation, "2 starvation", all, starvation
}

fn starvation<S: Role>(subject: &Subject<S>) -> usize {
    let (clean, peer) = (subject.clean(), &subject.exchange.peer);
    let same = |run: Run| {
        let played = subject.play(peer, &run);
        assert_eq!((played.end, played.ours()), (Ok(()), clean.ours()), "{run:?}");
        played.full
    };
    // Of one size throughout: somewhere, each is too small, until it is not.
    let longest = clean.ours().iter().map(Vec::len).max().unwrap_or(0);
    for size in 0..=longest {
        let full = same(Run { outs: vec![size], ..Run::default() });
        assert!((full == 0) == (size >= longest), "{full} times full, {size} of {longest}");
    }
    longest
        + 1
        + cases(256, any_run(), |run| {
            same(run);
        })
}

// 3. Injection.

law! {
    /// Whatever stands behind the last plaintext frame is an error, and a server has not said
    /// go-ahead then; where TLS may stand there, TLS gets all of it and nobody else does.
    law_3_injection, "3 injection", each, injection
}

fn injection<S: Role>(subject: &Subject<S>) -> usize {
    let clean = subject.clean();
    let mut runs = 0;
    let mut all: Vec<Vec<u8>> = (0..=255).map(|octet| vec![octet]).collect();
    for text in [
        &b"\x16\x03"[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"\r\n",
        b"250 AUTH PLAIN\r\n",
        b"RSET\r\nM",
    ] {
        all.push(text.to_vec());
    }
    for injected in &all {
        let mut peer = subject.exchange.peer.clone();
        let Some(last) = peer.last_mut() else { continue };
        last.extend(injected);
        let start = total(&peer[..peer.len() - 1]);
        for at in start..=total(&peer) {
            for ready in [AtReady::Upgrade, AtReady::Receive] {
                let run = Run { ready, ..Run::cut(&peer, at) };
                injected_run(subject, &clean, &peer, injected, &run);
                runs += 1;
            }
        }
        for ready in [AtReady::Upgrade, AtReady::Receive] {
            injected_run(subject, &clean, &peer, injected, &Run { ready, ..Run::reads(&[1]) });
            runs += 1;
        }
    }
    runs
}

fn injected_run<S: Role>(
    subject: &Subject<S>,
    clean: &Played,
    peer: &[Vec<u8>],
    injected: &[u8],
    run: &Run,
) {
    let played = subject.play(peer, run);
    let caught = Err(Misbehaviour::BytesAfterUpgrade.into());
    // How much of it stood there when the last frame was answered.
    let seen = injected.len() - played.late.len();
    match (subject.entry.residue, played.end) {
        (Residue::Tls, end) => {
            assert_eq!(end, Ok(()), "{run:?}");
            assert_eq!([&played.residue[..], &played.late].concat(), injected, "{run:?}");
        }
        (Residue::Forbid, Ok(())) => {
            // It has not come yet. The hand-over has nothing of it.
            assert_eq!(seen, 0, "{run:?}");
            assert!(run.ready == AtReady::Upgrade && played.residue.is_empty(), "{run:?}");
            assert_eq!(played.sent, clean.sent);
        }
        (Residue::Forbid, end) => {
            assert_eq!(end, caught, "{run:?} {injected:?}");
            let before = &clean.sent[..clean.marks.last().copied().unwrap_or(0)];
            // Received behind Ready, it finds the go-ahead said: that is the careless caller's.
            if run.ready == AtReady::Upgrade {
                assert_eq!(played.sent, before, "{run:?}");
            } else {
                assert!(played.sent == before || played.sent == clean.sent, "{run:?}");
            }
        }
    }
}

// 4. Refusal.

/// Every refusal in `tests/attacks` stays one under any split of input and output, and shows the
/// refusing line as what it is; every protocol that negotiates has some in each role.
#[test]
fn law_4_refusal() {
    fn refusals<S: Role>(attacks: &[Attack]) -> Vec<(&'static str, &'static str, usize)> {
        let mut counts = Vec::new();
        // Inside TLS a server leaves what it does not know to its application.
        let refuses = |entry: &Entry<S>| {
            let inside = entry.name.ends_with("-inside");
            entry.max_frame > 0 && !(inside && S::SPEAKER == Speaker::Server)
        };
        for subject in Subject::<S>::each().iter().filter(|subject| refuses(subject.entry)) {
            let mut runs = 0;
            let mine = attacks
                .iter()
                .filter(|attack| attack.to == S::SPEAKER && attack.protocol == subject.entry.name);
            for attack in mine.filter(|a| a.end.starts_with("PeerRefused") && a.splits.is_empty()) {
                let same = |run: Run| {
                    let played = attack.play(subject.entry, run);
                    assert_eq!(played.end_name(), attack.end, "{}", attack.title);
                    assert_eq!(played.sent, attack.exchange.ours.concat(), "{}", attack.title);
                    assert_eq!(played.untrusted, played.frames.last().cloned(), "{}", attack.title);
                };
                runs += cases(64, any_run(), same);
            }
            assert!(runs > 0, "no refusal for {} {}", subject.entry.name, S::NAME);
            counts.push((subject.entry.name, S::NAME, runs));
        }
        counts
    }
    let attacks = Attack::all();
    let mut counts = refusals::<Client>(&attacks);
    counts.extend(refusals::<Server>(&attacks));
    print("4 refusal", counts);
}

// 5. Truncation.

law! {
    /// A transport that ends at any octet is an error, and no verb makes a success of it.
    law_5_truncation, "5 truncation", all, truncation
}

fn truncation<S: Role>(subject: &Subject<S>) -> usize {
    let (clean, peer) = (subject.clean(), &subject.exchange.peer);
    for n in 0..total(peer) {
        let turns = prefix(peer, n);
        for reads in [usize::MAX, 1] {
            let run = Run::reads(&[reads]);
            let played = subject.play(&turns, &run);
            assert_eq!(played.end, Err(Error::Closed), "{n} octets");
            assert!(clean.sent.starts_with(&played.sent), "{n} octets");
            let early = subject.play(&turns, &Run { idle: Idle::Upgrade, ..run.clone() });
            assert_eq!(early.end, Err(TOO_EARLY), "{n} octets");
            for plaintext in [false, true] {
                let run = Run { idle: Idle::Plaintext, plaintext, ..run.clone() };
                let end = subject.play(&turns, &run).end;
                assert_eq!(end, Err(Misuse::PlaintextNotAllowed.into()), "{n} octets");
            }
        }
    }
    let run = Run { ready: AtReady::Close, ..Run::default() };
    assert_eq!(subject.play(peer, &run).end, Err(Error::ClosedInHandshake));
    8 * total(peer) + 1
}

// 6. Bounds.

law! {
    /// No stream without end keeps a machine going. Its state is of one size, which the table pins:
    /// machines have no heap to grow on.
    law_6_bounds, "6 bounds", each, bounds
}

fn bounds<S: Role>(subject: &Subject<S>) -> usize {
    const MANY: usize = 1024;
    let (peer, frames) = (&subject.exchange.peer, subject.clean().frames);
    let (max, mut runs) = (subject.entry.max_frame, 0);
    let mut flood = |said: usize, octets: Vec<u8>, reads: usize| {
        let mut turns = peer[..said].to_vec();
        turns.push(octets);
        let played = subject.play(&turns, &Run::reads(&[reads]));
        assert_ne!(played.end, Err(Error::Closed), "still going after {} octets", total(&turns));
        runs += 1;
    };
    for said in 0..peer.len() {
        for octet in 0..=255 {
            flood(said, vec![octet; max.max(16) * 2], usize::MAX);
        }
        for frame in &frames {
            // Read as they are answered, so that nobody seems to speak out of turn. Short ones may
            // join into one that is longer: then they are to be more than that holds.
            flood(said, frame.repeat(MANY.max(max)), frame.len());
        }
    }
    runs
}

law! {
    /// Framing examines each octet once, however it arrives: the work for reads of one octet is
    /// the number of octets.
    law_6_work, "6 work", all, work
}

fn work<S: Role>(subject: &Subject<S>) -> usize {
    for reads in [1, 2, 3, 7] {
        let played = subject.play(&subject.exchange.peer, &Run::reads(&[reads]));
        let octets = total(&subject.exchange.peer);
        assert_eq!((played.examined, played.fed), (octets, octets));
    }
    let long = vec![b'x'; subject.entry.max_frame.saturating_sub(1)];
    let played = subject.play(&[long], &Run::reads(&[1]));
    assert!(played.examined <= subject.entry.max_frame, "{} octets examined", played.examined);
    5
}

// 7. No panic.

law! {
    /// No octets make a machine panic, or reach TLS without a go-ahead.
    law_7_no_panic, "7 no panic", each, no_panic
}

fn no_panic<S: Role>(subject: &Subject<S>) -> usize {
    let octets = prop::collection::vec(any::<u8>(), 0..600);
    let random = cases(512, (prop::collection::vec(octets, 0..4), any_run()), |(turns, run)| {
        drop(subject.play(&turns, &run));
    });
    let garbled = (garbled(&subject.exchange.peer), any_run(), any::<[bool; 2]>());
    random
        + cases(1024, garbled, |(turns, run, [plaintext, careless])| {
            let ready = if careless { AtReady::Receive } else { AtReady::Upgrade };
            drop(subject.play(&turns, &Run { plaintext, ready, ..run }));
        })
}

// 8. Pair.

/// Our client and our server reach TLS with each other, over any transport.
#[test]
fn law_8_pair() {
    let mut counts = Vec::new();
    for subject in Subject::<Client>::all() {
        let server = Server::entry(subject.entry.name).expect("a server for every client");
        let play = |to_server: &[usize], to_client: &[usize]| {
            let server = (server.new)(subject.dialogue.setting).expect("good names");
            pair(subject.machine(), server, to_server, to_client)
        };
        let clean = play(&[usize::MAX], &[usize::MAX]);
        let mut runs = 1;
        let mut same = |to_server: &[usize], to_client: &[usize]| {
            assert!(play(to_server, to_client) == clean, "{to_server:?} {to_client:?}");
            runs += 1;
        };
        for cut in 1..=clean.0.len().max(clean.1.len()) {
            same(&[cut, usize::MAX], &[usize::MAX]);
            same(&[usize::MAX], &[cut, usize::MAX]);
            same(&[cut], &[cut]);
            same(&[cut], &[1]);
        }
        let sizes = || prop::collection::vec(1..50usize, 1..20);
        let random = cases(256, (sizes(), sizes()), |(to_server, to_client)| {
            assert!(play(&to_server, &to_client) == clean, "{to_server:?} {to_client:?}");
        });
        counts.push((subject.entry.name, "pair  ", runs + random));
    }
    assert!(counts.iter().any(|count| count.2 > 500));
    print("8 pair", counts);
}

/// Machines whose peer is ready at once take what is there already.
#[test]
fn what_came_before_the_first_call() {
    use starttls::negotiate::{Negotiation, Status};
    use starttls::wire::{Out, RecvBuf};
    fn check<S: Role>() {
        for entry in S::table().iter().filter(|entry| entry.residue == Residue::Tls) {
            let dialogues = Dialogue::of(entry.name);
            if !dialogues[0].exchange(S::SPEAKER).peer.is_empty() {
                continue;
            }
            let (mut storage, mut out) = ([0; 64], [0; 64]);
            let (mut recv, mut out) = (RecvBuf::new(&mut storage), Out::new(&mut out));
            assert_eq!(recv.fill(b"\x16\x03\x01"), 3);
            let mut negotiation = Negotiation::new((entry.new)(dialogues[0].setting).unwrap());
            assert_eq!(negotiation.process(&mut recv, &mut out), Ok(Status::Ready));
            let (upgrade, _) = negotiation.upgrade(recv).unwrap();
            assert_eq!(upgrade.into_recv().octets(), b"\x16\x03\x01");
        }
    }
    check::<Client>();
    check::<Server>();
    assert_eq!(Speaker::Client.peer(), Speaker::Server);
}
