//! Our client and our server, and somebody in the middle who does anything.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use starttls::negotiate::{Client, Server};
use starttls_tests::dialogue::Speaker;
use starttls_tests::middle::{Act, Deed, Met, Room, meet};
use starttls_tests::table::Role;

use crate::negotiation::{ROOM, attacks, dialogues, judge, pinned};
use crate::reader::Reader;

/// The most octets that a side receives beyond its longest frame, before it looks at them.
const SPARE: usize = 4096;

/// Protocols in which a client may hand over alone though only the server's words came to it. TLS is
/// agreed on before the first word, by the greeting's flag, or by one word from each in any order;
/// or the go-ahead looks like the answer to any other command, which somebody else may have asked.
/// What is said first inside TLS is no agreement either.
const ALONE: [&str; 5] = ["implicit", "mysql", "telnet", "pop3", "managesieve"];

/// Plays one input of the fuzzer, and tells what it came to.
///
/// It is an octet of flags (1 and 2: client and server receive no more than a frame at once), the
/// sizes of the client's output buffers and of the server's, and then what the middle does.
///
/// # Panics
/// If any of this does not hold: the player's own checks; a side hands over to TLS only behind a
/// legal go-ahead, as the table judges, and takes no plaintext with it; a client to whom only the
/// server's words came does not hand over alone; where nothing was changed, both hand over, and
/// have said what they say to each other with nobody in between.
pub fn run(name: &'static str, data: &[u8]) -> Option<String> {
    if data.is_empty() {
        return None;
    }
    let (client, server) = (Client::entry(name)?, Server::entry(name)?);
    let mut reader = Reader::new(data);
    let flags = reader.octet();
    let mut room = |bit: u8| Room {
        outs: reader.sizes(ROOM),
        spare: if flags & bit == 0 { SPARE } else { 0 },
    };
    let rooms = [room(1), room(2)];
    let mut deeds = Vec::new();
    while !reader.is_over() {
        deeds.push(deed(name, &mut reader));
    }
    let [at_client, at_server] = meeting(name, &rooms, &deeds);
    let Met { end, sent, frames, residue, .. } = &at_client;
    judge(client, *end, frames, sent, residue);
    let Met { end, sent, frames, residue, .. } = &at_server;
    judge(server, *end, frames, sent, residue);
    let alone = ALONE.contains(&name) || name.ends_with("-inside");
    if at_client.end.is_ok() && !at_client.changed && !alone {
        assert_eq!(at_server.end, Ok(()), "a go-ahead from nobody: {at_client:?} {at_server:?}");
    }
    if !at_client.changed && !at_server.changed {
        let clean = meeting(name, &Default::default(), &[]);
        assert_eq!((at_client.end, at_server.end), (Ok(()), Ok(())), "{deeds:?}");
        assert_eq!(at_client.sent, clean[0].sent, "{deeds:?}");
        assert_eq!(at_server.sent, clean[1].sent, "{deeds:?}");
    }
    let name = starttls_tests::play::name;
    Some(format!("{} {}", name(at_client.end), name(at_server.end)))
}

fn meeting(name: &str, rooms: &[Room; 2], deeds: &[Deed]) -> [Met; 2] {
    let (client, server) = (Client::entry(name).expect("both"), Server::entry(name).expect("both"));
    // One setting for both, so that each means the other.
    let setting = pinned(client.dialogue);
    let client = (client.new)(setting).expect("good names");
    let server = (server.new)(setting).expect("good names");
    meet((client, &rooms[0]), (server, &rooms[1]), deeds)
}

/// Kinds of deeds, by number. Bit 3 of an octet says to whom, bit 4 that nobody looks at once.
const FORWARD: u8 = 0;
const DROP: u8 = 1;
const HOLD: u8 = 2;
const ALTER: u8 = 3;
const INSERT: u8 = 4;
const QUOTE: u8 = 5;
const REPLAY: u8 = 6;
const CUT: u8 = 7;
const TO_SERVER: u8 = 8;
const LATER: u8 = 16;
const OTHER: u8 = 32;

fn deed(name: &str, reader: &mut Reader<'_>) -> Deed {
    let kind = reader.octet();
    let to = if kind & TO_SERVER == 0 { Speaker::Client } else { Speaker::Server };
    let act = match kind & 7 {
        FORWARD => Act::Forward(reader.number()),
        DROP => Act::Drop(reader.number()),
        HOLD => Act::Hold(reader.number()),
        ALTER => Act::Alter(reader.octet()),
        INSERT => Act::Insert(reader.octets().to_vec()),
        QUOTE => {
            let quotes = quotes(name);
            Act::Insert(quotes[reader.number() % quotes.len()].clone())
        }
        REPLAY => {
            let whose = if kind & OTHER == 0 { to } else { to.peer() };
            Act::Replay(whose, reader.number(), reader.number())
        }
        _ => Act::Cut,
    };
    Deed { to, act, run: kind & LATER == 0 }
}

/// What is said in the dialogues of this protocol and in the attacks on it, a turn each.
fn quotes(name: &str) -> &'static [Vec<u8>] {
    static QUOTES: OnceLock<BTreeMap<&str, Vec<Vec<u8>>>> = OnceLock::new();
    let all = QUOTES.get_or_init(|| {
        let quotes = |name: &'static str| {
            let mut turns = vec![b"\r\n".to_vec()];
            for dialogue in dialogues().iter().filter(|dialogue| dialogue.protocol() == name) {
                for speaker in [Speaker::Client, Speaker::Server] {
                    turns.extend(dialogue.exchange(speaker).peer);
                }
            }
            for attack in attacks().iter().filter(|attack| attack.protocol == name) {
                turns.extend(attack.exchange.peer.iter().cloned());
            }
            turns.retain(|turn| turn.len() <= SPARE);
            turns.sort_unstable();
            turns.dedup();
            (name, turns)
        };
        Client::table().iter().map(|entry| quotes(entry.name)).collect()
    });
    all.get(name).map_or(&[], Vec::as_slice)
}

/// Seeds for one pair: nothing, cuts and small buffers, and each deed at each turn.
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    let plain = [0, 0, 0];
    let tight = [3, 2, 0, 9, 1, 30];
    let mut seeds = vec![plain.to_vec(), tight.to_vec()];
    seeds.push([&tight[..], &[FORWARD, 1, FORWARD | TO_SERVER, 1].repeat(200)].concat());
    let turn = [FORWARD, 255, FORWARD | TO_SERVER, 255];
    for turns in 0..4 {
        for way in [0, TO_SERVER, LATER, TO_SERVER | LATER] {
            let mut deeds = vec![
                vec![DROP, 2],
                vec![HOLD, 3],
                vec![ALTER, 0x20],
                vec![INSERT, 2, b'\r', b'\n'],
                vec![REPLAY, 0, 255],
                vec![REPLAY | OTHER, 0, 255],
                vec![CUT],
            ];
            // A byte for the number; the rest is for the fuzzer to find.
            deeds.extend((0..quotes(name).len().min(256)).map(|quote| vec![QUOTE, quote as u8]));
            for mut deed in deeds {
                deed[0] |= way;
                seeds.push([&plain[..], &turn.repeat(turns), &deed].concat());
            }
        }
    }
    seeds
}
