//! What a law is tried on, and how often.

use std::fmt::Debug;
use std::io::Write;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use starttls_tests::dialogue::{Dialogue, Exchange};
use starttls_tests::play::{Idle, Played, Run, play};
use starttls_tests::table::{Entry, Machine, Role};

/// One machine of the table in one dialogue.
pub(crate) struct Subject<S: Role> {
    pub(crate) entry: &'static Entry<S>,
    pub(crate) dialogue: Dialogue,
    pub(crate) exchange: Exchange,
}

impl<S: Role> Subject<S> {
    pub(crate) fn of(entry: &'static Entry<S>, dialogue: Dialogue) -> Self {
        let exchange = dialogue.exchange(S::SPEAKER);
        Self { entry, dialogue, exchange }
    }

    /// Every machine in its own dialogue.
    pub(crate) fn each() -> Vec<Self> {
        let own = |dialogue: &Dialogue| {
            let entry = S::entry(dialogue.protocol())?;
            (entry.dialogue == dialogue.file).then_some(entry)
        };
        let all = Dialogue::all().into_iter();
        all.filter_map(|dialogue| Some(Self::of(own(&dialogue)?, dialogue))).collect()
    }

    /// Every machine in every dialogue of its protocol.
    pub(crate) fn all() -> Vec<Self> {
        let all = Dialogue::all().into_iter();
        let entry = |dialogue: &Dialogue| S::entry(dialogue.protocol());
        all.filter_map(|dialogue| Some(Self::of(entry(&dialogue)?, dialogue))).collect()
    }

    pub(crate) fn machine(&self) -> Machine<S> {
        let machine = (self.entry.new)(self.dialogue.setting).expect("good names");
        assert!(size_of_val(&*machine) <= self.entry.max_state);
        machine
    }

    pub(crate) fn play(&self, turns: &[Vec<u8>], run: &Run) -> Played {
        let played = play(self.machine(), self.entry.again, turns, run);
        if played.end == Ok(()) && run.idle == Idle::Close {
            let last = played.frames.last().map_or(&[][..], Vec::as_slice);
            assert!(
                (self.entry.go_ahead)(last, &played.sent),
                "TLS without a go-ahead: {played:?}"
            );
        }
        played
    }

    /// The dialogue as it is written, to be compared with.
    pub(crate) fn clean(&self) -> Played {
        let played = self.play(&self.exchange.peer, &Run::default());
        assert_eq!(played.end, Ok(()), "{}", self.dialogue.file);
        played
    }
}

pub(crate) fn print(law: &str, counts: Vec<(&str, &str, usize)>) {
    let mut sums: Vec<(&str, &str, usize)> = Vec::new();
    for (name, side, count) in counts {
        match sums.iter_mut().find(|sum| (sum.0, sum.1) == (name, side)) {
            Some(sum) => sum.2 += count,
            None => sums.push((name, side, count)),
        }
    }
    for (name, side, count) in sums {
        let line = format!("{law:<16} {name:>20} {side} {count:>8} runs\n");
        std::io::stdout().write_all(line.as_bytes()).expect("stdout");
    }
}

/// A fixed number of cases, the same ones every time.
pub(crate) fn cases<T: Debug>(
    count: u32,
    strategy: impl Strategy<Value = T>,
    test: impl Fn(T),
) -> usize {
    let config = Config { cases: count, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    count as usize
}

/// Any way to cut input and output into pieces.
pub(crate) fn any_run() -> impl Strategy<Value = Run> {
    let reads = prop::collection::vec(prop_oneof![1..4usize, 1..80usize], 1..40);
    let outs = prop::collection::vec(prop_oneof![0..4usize, 0..80usize], 1..8);
    let capacity = prop::option::of(0..4096usize);
    (reads, outs, any::<bool>(), capacity).prop_map(|(reads, outs, eager, capacity)| Run {
        reads,
        outs,
        eager,
        capacity,
        ..Run::default()
    })
}

/// A peer's words with some octets changed, lost or put in, and some waits forgotten.
pub(crate) fn garbled(turns: &[Vec<u8>]) -> impl Strategy<Value = Vec<Vec<u8>>> + use<> {
    let turns = turns.to_vec();
    let octet = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n\0 -2450\x16\x03".to_vec()),];
    let edit = (any::<Index>(), any::<Index>(), 0..4u8, octet);
    (prop::collection::vec(edit, 0..5), any::<[bool; 8]>()).prop_map(move |(edits, forget)| {
        let mut turns = turns.clone();
        for (turn, at, kind, octet) in edits {
            if turns.is_empty() {
                break;
            }
            let turn = turn.index(turns.len());
            let turn = &mut turns[turn];
            let at = at.index(turn.len() + 1);
            match kind {
                0 => turn.insert(at, octet),
                1 if at < turn.len() => turn[at] = octet,
                2 if at < turn.len() => drop(turn.remove(at)),
                _ => drop(turn.splice(at..at, turn.clone())),
            }
        }
        let mut joined: Vec<Vec<u8>> = Vec::new();
        for (turn, forget) in turns.into_iter().zip(forget.into_iter().cycle()) {
            match joined.last_mut() {
                Some(last) if forget => last.extend(turn),
                _ => joined.push(turn),
            }
        }
        joined
    })
}
