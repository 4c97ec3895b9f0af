//! The dialogues and the attacks over real TLS: what follows the hand-over crosses in both
//! directions, and what was said behind it in plaintext is never data.

use std::sync::Arc;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use starttls::Error;
use starttls::error::{Misuse, TlsError};
use starttls::negotiate::{Client, Negotiate, Server};
use starttls::session::{Event, MIN_SEND_BUFFER};
use starttls::tls::ClientTls;
use starttls_tests::attack::Attack;
use starttls_tests::dialogue::{Dialogue, Speaker};
use starttls_tests::hostile::Hostile;
use starttls_tests::pki::Pki;
use starttls_tests::play::{Played, Run};
use starttls_tests::sessions::{Cut, Pair};
use starttls_tests::table::{Entry, Role};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn entries(dialogue: &Dialogue) -> (&'static Entry<Client>, &'static Entry<Server>) {
    let name = dialogue.protocol();
    (Client::entry(name).expect(name), Server::entry(name).expect(name))
}

#[test]
fn dialogues_go_on_inside_tls() {
    let pki = Pki::default();
    let mut lines = 0;
    for dialogue in Dialogue::all() {
        let (client, server) = entries(&dialogue);
        for version in VERSIONS {
            for (chunk, send) in [(1, MIN_SEND_BUFFER), (7, 80), (usize::MAX, 4096)] {
                let (c, s) = (
                    (client.new)(dialogue.setting).unwrap(),
                    (server.new)(dialogue.setting).unwrap(),
                );
                let tls = ClientTls::new(Arc::new(pki.client(version)));
                let cut = Cut { chunk, send, ..Cut::default() };
                let mut pair = Pair::of(c, s, &tls, pki.server(), cut).establish();
                for (speaker, line) in dialogue.after_tls() {
                    let heard = match speaker {
                        Speaker::Client => {
                            pair.client_writes(line);
                            std::mem::take(&mut pair.server.data)
                        }
                        Speaker::Server => {
                            pair.server_writes(line);
                            std::mem::take(&mut pair.client.data)
                        }
                    };
                    assert_eq!(heard, line, "{}", dialogue.file);
                    lines += 1;
                }
                assert_eq!((pair.client.data.len(), pair.server.data.len()), (0, 0));
            }
        }
    }
    assert!(lines > 100, "{lines} lines crossed");
}

/// Plays the plaintext of a dialogue with our side in the hands of a peer; what our side said is
/// compared by `same`, and its first TLS octets are left to be answered.
fn negotiated<N: Negotiate>(
    mut peer: Hostile<N>,
    dialogue: &Dialogue,
    ours: Speaker,
    same: fn(&[u8]) -> Vec<String>,
) -> Hostile<N> {
    let exchange = dialogue.exchange(ours);
    let mut turns = Vec::new();
    for turn in &exchange.peer {
        assert_eq!(peer.feed(&[]), Ok(Event::NeedInput));
        turns.push(peer.said());
        assert_eq!(peer.feed(turn), Ok(Event::NeedInput));
    }
    assert_eq!(peer.feed(&[]), Ok(Event::NeedInput));
    let mut said = peer.said();
    // A client's first flight of TLS stands behind its last words.
    let hello = match ours {
        Speaker::Client => said.windows(2).position(|two| two == b"\x16\x03").expect("ClientHello"),
        Speaker::Server => said.len(),
    };
    let hello = said.split_off(hello);
    turns.push(said);
    let shapes = |turns: &[Vec<u8>]| -> Vec<_> {
        dialogue.compared(turns).iter().map(|turn| same(turn)).collect()
    };
    assert_eq!(shapes(&turns), shapes(&exchange.ours), "{}", dialogue.file);
    peer.sent = hello;
    peer.established()
}

/// What follows the hand-over, between our side and a peer that has TLS of its own.
fn crosses<N: Negotiate>(mut peer: Hostile<N>, dialogue: &Dialogue, ours: Speaker) {
    for (speaker, line) in dialogue.after_tls() {
        let heard = if speaker == ours {
            peer.we_write(line)
        } else {
            peer.they_write(line);
            std::mem::take(&mut peer.data)
        };
        assert_eq!(heard, line, "{}", dialogue.file);
    }
}

#[test]
fn dialogues_are_spoken_to_tls_of_others() {
    let pki = Pki::default();
    let dialogues = Dialogue::all();
    assert!(!dialogues.is_empty());
    for dialogue in &dialogues {
        let (client, server) = entries(dialogue);
        for version in VERSIONS {
            let machine = (client.new)(dialogue.setting).unwrap();
            let peer = Hostile::server(machine, pki.client(version), pki.server());
            let peer = negotiated(peer, dialogue, Speaker::Client, client.shape);
            crosses(peer, dialogue, Speaker::Client);

            let machine = (server.new)(dialogue.setting).unwrap();
            let peer = Hostile::client(machine, pki.client(version), pki.server());
            let peer = negotiated(peer, dialogue, Speaker::Server, server.shape);
            crosses(peer, dialogue, Speaker::Server);
        }
    }
}

/// What the octets that came too late, or stood behind a hand-over that lets them pass, end in.
fn behind<N: Negotiate>(mut peer: Hostile<N>, fed: &[u8], late: &[u8], title: &str) -> Error {
    for octet in fed {
        let event = peer.feed(&[*octet]);
        assert_eq!(event, Ok(Event::NeedInput), "{title}");
    }
    assert!(peer.ours.is_tls(), "{title}: handed over");
    let end = match peer.feed(late) {
        Ok(Event::NeedInput) => peer.end(),
        end => end,
    };
    let Err(error) = end else { panic!("{title}: {end:?}") };
    assert!(peer.data.is_empty() && !peer.ours.is_established(), "{title}");
    assert_eq!(peer.ours.read(&mut [0; 16]), 0, "{title}");
    assert_eq!(peer.ours.process(), Err(error), "{title}");
    assert_eq!(peer.ours.write(b"x"), Err(Misuse::Phase.into()), "{title}");
    error
}

/// All runs of an attack that end in TLS with octets still on their way.
fn late<S: Role>(attack: &Attack, entry: &Entry<S>) -> Vec<Played> {
    let mut runs: Vec<Played> = Run::splits(&attack.exchange.peer)
        .map(|run| attack.play(entry, run))
        .filter(|played| played.end.is_ok())
        .filter(|played| !(played.late.is_empty() && played.residue.is_empty()))
        .collect();
    runs.dedup_by_key(|played| (played.fed, played.residue.len()));
    runs
}

#[test]
fn what_is_injected_behind_the_hand_over_is_refused_by_tls() {
    let pki = Pki::default();
    let mut seen = 0;
    for attack in Attack::all() {
        let runs = match attack.to {
            Speaker::Client => late(&attack, Client::entry(&attack.protocol).unwrap()),
            Speaker::Server => late(&attack, Server::entry(&attack.protocol).unwrap()),
        };
        let all = attack.exchange.peer.concat();
        for played in runs {
            let before = played.fed - played.residue.len();
            let (fed, rest) = all.split_at(before);
            // Octets of the same turn only: a later turn would have waited for our side.
            let rest = &rest[..played.residue.len() + played.late.len()];
            let error = match attack.to {
                Speaker::Client => {
                    let entry = Client::entry(&attack.protocol).unwrap();
                    let machine = (entry.new)(attack.setting).unwrap();
                    let peer = Hostile::server(machine, pki.client(&TLS13), pki.server());
                    behind(peer, fed, rest, &attack.title)
                }
                Speaker::Server => {
                    let entry = Server::entry(&attack.protocol).unwrap();
                    let machine = (entry.new)(attack.setting).unwrap();
                    let peer = Hostile::client(machine, pki.client(&TLS13), pki.server());
                    behind(peer, fed, rest, &attack.title)
                }
            };
            // Fewer octets than the header of a record are cut off, and no more.
            let expected: &[Error] = match rest.len() {
                ..5 => &[Error::ClosedInHandshake],
                _ if rest.starts_with(b"\x16\x03") => {
                    &[Error::ClosedInHandshake, Error::Tls(TlsError::PeerMisbehaved)]
                }
                _ => &[Error::Tls(TlsError::NotTls)],
            };
            assert!(expected.contains(&error), "{} {error:?}", attack.title);
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} attacks came late");
}

#[test]
fn every_way_to_say_something_behind_the_hand_over() {
    // Whatever plaintext is, it does not look like TLS; at every split of it.
    let pki = Pki::default();
    let texts: [&[u8]; 5] = [
        b"RSET\r\n",
        b"220 mail.example.org\r\n250 AUTH PLAIN\r\n",
        b"\0\0\0\0\0\0",
        b"\x80\x2e\x01\x03\x01\x00\x15", // an SSLv2 ClientHello
        b"\x15\x02\x00\x00\x02\x01\x00",
    ];
    let dialogues = Dialogue::all();
    for dialogue in &dialogues {
        let (client, server) = entries(dialogue);
        for text in texts {
            for cut in 0..text.len() {
                let machine = (client.new)(dialogue.setting).unwrap();
                let mut peer = Hostile::server(machine, pki.client(&TLS13), pki.server());
                for turn in &dialogue.exchange(Speaker::Client).peer {
                    assert_eq!(peer.feed(turn), Ok(Event::NeedInput));
                }
                let mut end = peer.feed(&text[..cut]);
                if end.is_ok() {
                    end = peer.feed(&text[cut..]);
                }
                assert_eq!(end, Err(TlsError::NotTls.into()), "{} {cut}", dialogue.file);

                let machine = (server.new)(dialogue.setting).unwrap();
                let mut peer = Hostile::client(machine, pki.client(&TLS13), pki.server());
                for turn in &dialogue.exchange(Speaker::Server).peer {
                    assert_eq!(peer.feed(turn), Ok(Event::NeedInput));
                }
                let mut end = peer.feed(&text[..cut]);
                if end.is_ok() {
                    end = peer.feed(&text[cut..]);
                }
                assert_eq!(end, Err(TlsError::NotTls.into()), "{} {cut}", dialogue.file);
                assert!(peer.data.is_empty());
            }
        }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Negotiation, handshake, data and close, cut as said: the same on both sides.
fn whole(pki: &Pki, scheme: &str, version: &'static SupportedProtocolVersion, cut: Cut) {
    let (there, back) = (pattern(2500), pattern(1777));
    let mut pair = Pair::new(scheme, pki.client(version), pki.server(), cut).establish();
    pair.client_writes(&there);
    pair.server_writes(&back);
    pair.client.session.close();
    pair.run();
    pair.server.session.close();
    pair.run();
    assert!(pair.server.data == there && pair.client.data == back, "{scheme} {cut:?}");
    let events = [Ok(Event::Established), Ok(Event::PeerClosed), Ok(Event::Closed)];
    assert_eq!(pair.server.events, events, "{scheme} {cut:?}");
    assert_eq!(pair.client.events.last(), Some(&Ok(Event::Closed)), "{scheme} {cut:?}");
}

#[test]
fn a_session_is_the_same_in_every_chunk_size() {
    let pki = Pki::default();
    for version in VERSIONS {
        for chunk in (1..=64).chain([67, 127, 251, 509, 1021, 2039, 4093, 16_411]) {
            let send = MIN_SEND_BUFFER + chunk % 17;
            whole(&pki, "smtp", version, Cut { chunk, send, ..Cut::default() });
        }
    }
}

#[test]
fn a_session_is_the_same_in_every_send_buffer() {
    let pki = Pki::default();
    for version in VERSIONS {
        for send in MIN_SEND_BUFFER..=80 {
            for chunk in [1, 13, usize::MAX] {
                whole(&pki, "smtps", version, Cut { chunk, send, ..Cut::default() });
            }
        }
    }
}
