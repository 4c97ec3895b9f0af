//! One machine against a peer who says anything: octets cut into turns and reads, and a row of
//! output buffers.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use starttls::Error;
use starttls::negotiate::Residue;
use starttls_tests::attack::Attack;
use starttls_tests::dialogue::{Dialogue, Setting};
use starttls_tests::play::{AtReady, Played, Run, play, total};
use starttls_tests::table::{Entry, Role};

/// What one input of the fuzzer means.
///
/// It is a header, and behind it the peer's octets as they are, so that seeds are easily made and
/// a corpus is readable: flags (1 plaintext allowed, 2 read eagerly, 4 receive once more at
/// Ready, 8 a receive buffer of the smallest size); then three lists, each behind its length: sizes
/// of reads, of output buffers, of turns. The last turn has all the octets that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Flags, four of them used.
    pub flags: u8,
    /// Octets of each read.
    pub reads: &'a [u8],
    /// Octets of each output buffer.
    pub outs: &'a [u8],
    /// Octets of each turn of the peer.
    pub turns: &'a [u8],
    /// What the peer sends.
    pub octets: &'a [u8],
}

impl<'a> Arbitrary<'a> for Input<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let flags = u.arbitrary()?;
        let mut list = || {
            let length = u.arbitrary::<u8>()?;
            u.bytes(usize::from(length % 16))
        };
        let (reads, outs, turns) = (list()?, list()?, list()?);
        Ok(Self { flags, reads, outs, turns, octets: u.bytes(u.len())? })
    }
}

impl Input<'_> {
    /// The input that means this: a seed. Lists are cut at 15.
    pub fn encode(&self) -> Vec<u8> {
        let mut input = vec![self.flags];
        for list in [self.reads, self.outs, self.turns] {
            let list = &list[..list.len().min(15)];
            input.push(list.len() as u8);
            input.extend(list);
        }
        input.extend(self.octets);
        input
    }

    fn turns(&self) -> Vec<Vec<u8>> {
        let (mut turns, mut rest) = (Vec::new(), self.octets);
        for &size in self.turns {
            let (turn, behind) = rest.split_at(rest.len().min(usize::from(size)));
            turns.push(turn.to_vec());
            rest = behind;
        }
        turns.push(rest.to_vec());
        turns
    }

    fn run(&self) -> Run {
        let sizes = |list: &[u8], none: usize| match list {
            [] => vec![none],
            list => list.iter().map(|&size| usize::from(size)).collect(),
        };
        Run {
            reads: sizes(self.reads, usize::MAX),
            outs: sizes(self.outs, ROOM),
            plaintext: self.flags & 1 != 0,
            eager: self.flags & 2 != 0,
            ready: if self.flags & 4 == 0 { AtReady::Upgrade } else { AtReady::Receive },
            capacity: (self.flags & 8 != 0).then_some(0),
            ..Run::default()
        }
    }
}

/// Room for any one answer, in octets.
pub(crate) const ROOM: usize = 4096;

/// Plays one input of the fuzzer against the machine of this name in the table, and tells what it
/// came to; `None` if it is too short to mean anything.
///
/// # Panics
/// If any of this does not hold: the player's own checks (errors stick, `OutputFull` changes
/// nothing, no call without progress); TLS begins only behind a legal go-ahead, and without residue
/// where that is forbidden; an answer is of bounded size; and how the octets were cut changes
/// nothing but whether a peer is caught speaking out of turn.
pub fn run<S: Role>(name: &str, data: &[u8]) -> Option<Played> {
    let entry = S::entry(name).expect("a machine of the table");
    let input = Input::arbitrary(&mut Unstructured::new(data)).ok()?;
    Some(check(entry, &input.turns(), &input.run()))
}

/// Plays `turns` cut as `run` says, and whole.
fn check<S: Role>(entry: &Entry<S>, turns: &[Vec<u8>], run: &Run) -> Played {
    let cut = played(entry, turns, run);
    // A careless caller's second look is no part of the comparison.
    let careful = Run { ready: AtReady::Upgrade, ..run.clone() };
    let whole = Run { plaintext: run.plaintext, ..Run::default() };
    if run.ready == AtReady::Upgrade {
        cut.agrees(&played(entry, turns, &whole), &(turns, run));
    } else {
        played(entry, turns, &careful).agrees(&played(entry, turns, &whole), &(turns, run));
    }
    cut
}

pub(crate) fn dialogues() -> &'static [Dialogue] {
    static DIALOGUES: OnceLock<Vec<Dialogue>> = OnceLock::new();
    DIALOGUES.get_or_init(Dialogue::all)
}

pub(crate) fn attacks() -> &'static [Attack] {
    static ATTACKS: OnceLock<Vec<Attack>> = OnceLock::new();
    ATTACKS.get_or_init(Attack::all)
}

/// The setting of the dialogue in this file.
pub(crate) fn pinned(file: &str) -> &'static Setting {
    dialogues().iter().find(|dialogue| dialogue.file == file).expect("a dialogue").setting
}

fn played<S: Role>(entry: &Entry<S>, turns: &[Vec<u8>], run: &Run) -> Played {
    let machine = (entry.new)(pinned(entry.dialogue)).expect("good names");
    let played = play(machine, entry.again, turns, run);
    assert!(played.fed <= total(turns));
    judge(entry, played.end, &played.frames, &played.sent, &played.residue);
    played
}

/// Whether a machine may have come to this end, by the table's rule and not by its own.
pub(crate) fn judge<S: Role>(
    entry: &Entry<S>,
    end: Result<(), Error>,
    frames: &[Vec<u8>],
    sent: &[u8],
    residue: &[u8],
) {
    assert!(sent.len() <= ROOM * (frames.len() + 1), "an answer without end");
    match end {
        Ok(()) => {
            let last = frames.last().map_or(&[][..], Vec::as_slice);
            let shown = last.escape_ascii();
            assert!((entry.go_ahead)(last, sent), "no go-ahead: {shown}, {}", sent.escape_ascii());
            assert!(
                entry.residue == Residue::Tls || residue.is_empty(),
                "plaintext behind {shown}"
            );
        }
        Err(error) => assert!(
            !matches!(error, Error::OutputFull | Error::Misuse(_) | Error::Tls(_)),
            "{error:?} is not of the peer's making"
        ),
    }
}

/// Seeds for one machine: its dialogues and attacks, whole, octet by octet, and all at once.
pub fn seeds<S: Role>(name: &str) -> Vec<Vec<u8>> {
    let dialogues = dialogues().iter().filter(|dialogue| dialogue.protocol() == name);
    let mut peers: Vec<Vec<Vec<u8>>> =
        dialogues.map(|dialogue| dialogue.exchange(S::SPEAKER).peer).collect();
    for attack in attacks().iter().filter(|attack| attack.protocol == name) {
        if attack.to == S::SPEAKER {
            peers.push(attack.exchange.peer.clone());
        }
    }
    let mut seeds = Vec::new();
    for peer in peers {
        let octets = peer.concat();
        // A turn too long for one octet is several: between them, our side has nothing to say.
        let sizes: Vec<u8> =
            peer.iter().flat_map(|turn| turn.chunks(255)).map(|turn| turn.len() as u8).collect();
        for (flags, reads, outs, turns) in [
            (0, &[][..], &[][..], &sizes[..]),
            (2, &[1], &[0, 9], &sizes[..]),
            (13, &[7, 200], &[60], &[]),
        ] {
            seeds.push(Input { flags, reads, outs, turns, octets: &octets }.encode());
        }
    }
    seeds
}
