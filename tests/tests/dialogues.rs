//! The dialogues of `tests/dialogues`, against our client, our server, and both.

use starttls::negotiate::{Client, Residue, Server};
use starttls_tests::dialogue::{Dialogue, Speaker};
use starttls_tests::pair::pair;
use starttls_tests::play::{Played, Run, play};
use starttls_tests::table::{Entry, Role};

fn text(turns: &[Vec<u8>]) -> Vec<String> {
    turns.iter().map(|octets| octets.escape_ascii().to_string()).collect()
}

/// Plays the peer's part; `Ready`, with nothing left over.
fn played<S: Role>(entry: &Entry<S>, dialogue: &Dialogue) -> Played {
    let machine = (entry.new)(dialogue.setting).unwrap();
    let peer = dialogue.exchange(S::SPEAKER).peer;
    let played = play(machine, entry.again, &peer, &Run::default());
    let file = &dialogue.file;
    assert_eq!(played.end, Ok(()), "{file}: {}", played.sent.escape_ascii());
    assert!(played.late.is_empty() && played.residue.is_empty(), "{file}");
    let last = played.frames.last().map_or(&[][..], Vec::as_slice);
    assert!((entry.go_ahead)(last, &played.sent), "{file}: no go-ahead");
    played
}

#[test]
fn our_client_says_what_the_dialogue_says() {
    for dialogue in Dialogue::all() {
        let entry = Client::entry(dialogue.protocol()).expect("a client for every dialogue");
        let ours = dialogue.exchange(Speaker::Client).ours;
        let said = played(entry, &dialogue).ours();
        let [said, ours] = [said, ours].map(|turns| text(&dialogue.compared(&turns)));
        assert_eq!(said, ours, "{}", dialogue.file);
    }
}

#[test]
fn our_server_answers_in_the_same_shape() {
    for dialogue in Dialogue::all() {
        let entry = Server::entry(dialogue.protocol()).expect("a server for every dialogue");
        let ours = dialogue.exchange(Speaker::Server).ours;
        let shapes = |turns: &[Vec<u8>]| {
            dialogue.compared(turns).iter().map(|t| (entry.shape)(t)).collect::<Vec<_>>()
        };
        let said = played(entry, &dialogue).ours();
        assert_eq!(shapes(&said), shapes(&ours), "{}", dialogue.file);
    }
}

#[test]
fn our_client_and_our_server_agree() {
    for dialogue in Dialogue::all() {
        let (client, server) = (
            Client::entry(dialogue.protocol()).unwrap(),
            Server::entry(dialogue.protocol()).unwrap(),
        );
        let (said, answered) = pair(
            (client.new)(dialogue.setting).unwrap(),
            (server.new)(dialogue.setting).unwrap(),
            &[usize::MAX],
            &[usize::MAX],
        );
        let theirs = dialogue.exchange(Speaker::Client);
        assert_eq!(text(&[said]), text(&[theirs.ours.concat()]), "{}", dialogue.file);
        let shape = (server.shape)(&answered);
        assert_eq!(shape, (server.shape)(&theirs.peer.concat()), "{}", dialogue.file);
    }
}

/// The table, the dialogues and the crate name the same protocols, and the machines are what the
/// table says.
#[test]
fn the_table_is_whole() {
    fn check<S: Role>() {
        for row in starttls::protocol::TABLE {
            assert!(S::entry(row.name).is_some(), "no {} for {}", S::NAME, row.name);
        }
        let dialogues = Dialogue::all();
        for entry in S::table() {
            let pinned = dialogues.iter().find(|dialogue| dialogue.file == entry.dialogue);
            let dialogue = pinned.expect("the entry's dialogue");
            assert_eq!(dialogue.protocol(), entry.name);
            let machine = (entry.new)(dialogue.setting).unwrap();
            assert_eq!(machine.row().name, entry.row);
            assert_eq!(machine.residue(), entry.residue, "{}", entry.name);
            assert_eq!(machine.max_frame(), entry.max_frame, "{}", entry.name);
            let state = size_of_val(&*machine);
            let most = entry.max_state.min(128);
            assert!(state <= most, "{}: {state} octets of state", entry.name);
        }
        let forbid = S::table().iter().filter(|entry| entry.residue == Residue::Forbid).count();
        assert!(forbid >= 2, "the exceptions are few");
    }
    check::<Client>();
    check::<Server>();
}

/// What a session says first inside TLS is in the files.
#[test]
fn the_dialogues_go_on_inside_tls() {
    let dialogues = Dialogue::of("smtp");
    let rfc = dialogues.iter().find(|dialogue| dialogue.file == "smtp-rfc3207").unwrap();
    let after: Vec<_> = rfc.after_tls().collect();
    assert_eq!(after.len(), 5);
    assert_eq!(after[0], (Speaker::Client, &b"EHLO mail.example.com\r\n"[..]));
    assert_eq!(after[3], (Speaker::Server, &b"250 DSN\r\n"[..]));
    assert_eq!(after[4], (Speaker::Client, &b"MAIL FROM:<Smith@example.com>\r\n"[..]));
    // And, where they go on to the application, are dialogues of their own.
    assert!(Dialogue::of("smtp-inside").iter().any(|inside| inside.file == "smtp-rfc3207-inside"));
}
