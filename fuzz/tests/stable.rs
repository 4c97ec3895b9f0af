//! The fuzz targets' bodies on a stable compiler: over seeds, and over what grows from them by a
//! fixed pseudo-random walk.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use starttls_fuzz::Target;
use starttls_fuzz::negotiation::Input;

/// xorshift64*, by Vigna: enough to walk by.
struct Walk(u64);

impl Walk {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }

    /// Changes a few octets, or joins the front of one input to the back of another.
    fn grow(&mut self, one: &[u8], other: &[u8]) -> Vec<u8> {
        let mut grown = one.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(grown.len() + 1);
            match self.below(5) {
                0 => grown.insert(at, self.below(256) as u8),
                1 if at < grown.len() => grown[at] = b"\r\n\0 -0245\x16"[self.below(10)],
                2 if at < grown.len() => drop(grown.remove(at)),
                3 => grown.truncate(at),
                _ => grown.extend(&other[self.below(other.len() + 1)..]),
            }
        }
        grown.truncate(6000);
        grown
    }
}

/// Runs the targets of one kind, and says what each came to, and how often.
fn walk(steps: usize, of: fn(&str) -> bool) -> BTreeMap<&'static str, BTreeMap<String, usize>> {
    let targets = Target::all().iter().enumerate().filter(|(_, target)| of(&target.name));
    targets.map(|(index, target)| (&target.name[..], walk_one(index, target, steps))).collect()
}

fn walk_one(index: usize, target: &Target, steps: usize) -> BTreeMap<String, usize> {
    let mut corpus = (target.seeds)();
    assert!(corpus.len() >= 3, "no seeds for {}", target.name);
    corpus.push(Vec::new());
    let mut ends = BTreeMap::<String, usize>::new();
    let mut run = |input: &[u8]| {
        if let Some(end) = (target.run)(input) {
            *ends.entry(end).or_default() += 1;
        }
    };
    // Of the pairs and sessions there are more than a short run has time for.
    let (seeds, step) = (corpus.len(), corpus.len().div_ceil(steps));
    corpus.iter().step_by(step).for_each(|seed| run(seed));
    corpus.extend_from_within(..);
    let mut walk = Walk(0x9E37_79B9_7F4A_7C15 + index as u64);
    for _ in 0..steps {
        let (one, other) = (walk.below(corpus.len()), walk.below(corpus.len()));
        let grown = walk.grow(&corpus[one], &corpus[other]);
        run(&grown);
        // The seeds stay; a place beside each is for what grew.
        let place = seeds + walk.below(seeds * 4);
        if let Some(place) = corpus.get_mut(place) {
            *place = grown;
        }
    }
    ends
}

/// Where there is little to say, or nothing, there are few ends.
fn few(target: &str) -> bool {
    target.starts_with("implicit") || target.contains("_inside_")
}

/// The walk goes deep: often to TLS, and to many other ends.
#[test]
fn machines_from_seeds() {
    for (target, ends) in walk(4000, |name| name.ends_with("_client") || name.ends_with("_server"))
    {
        if !target.starts_with("session") {
            let (ready, kinds) = (ends["Ready"], ends.len());
            let least = if few(target) { 10 } else { 40 };
            assert!(ready > least, "{target}: {ends:?}");
            assert!(kinds >= 7 || few(target), "{target}: {ends:?}");
        }
    }
}

#[test]
fn pairs_from_seeds() {
    for (target, ends) in walk(1000, |name| name.ends_with("_pair")) {
        println!("{target} {ends:?}");
        let (ready, kinds) = (ends["Ready Ready"], ends.len());
        assert!(ready > 40, "{target}: {ends:?}");
        assert!(kinds >= 7 || few(target), "{target}: {ends:?}");
    }
}

#[test]
fn sessions_from_seeds() {
    for (target, ends) in walk(500, |name| name.starts_with("session_")) {
        println!("{target} {ends:?}");
        let established = ends.iter().filter(|(end, _)| end.starts_with("established"));
        let (kinds, runs) = (ends.len(), established.map(|(_, runs)| runs).sum::<usize>());
        assert!(runs > 200 && kinds >= 15, "{target}: {ends:?}");
    }
}

#[test]
fn exchanges_from_seeds() {
    for (target, ends) in walk(400, |name| name == "exchange") {
        println!("{target} {ends:?}");
        let delivered = ends.iter().filter(|(end, _)| !end.ends_with(" 0"));
        let strangers = ends.iter().filter(|(end, _)| end.starts_with("Unauthenticated"));
        assert!(delivered.map(|(_, runs)| runs).sum::<usize>() > 5, "{target}: {ends:?}");
        assert!(strangers.map(|(_, runs)| runs).sum::<usize>() > 20, "{target}: {ends:?}");
    }
}

#[test]
fn mail_from_seeds() {
    for (target, ends) in walk(8000, |name| ["submission", "receiver"].contains(&name)) {
        println!("{target} {ends:?}");
        assert!(ends.len() >= 10, "{target}: {ends:?}");
        let accepted = ends.iter().filter(|(end, _)| !end.ends_with(" 0"));
        assert!(accepted.map(|(_, runs)| runs).sum::<usize>() > 40, "{target}: {ends:?}");
    }
}

#[test]
fn octets_alone() {
    let mut walk = Walk(7);
    for length in 0..200 {
        let octets: Vec<u8> = (0..length).map(|_| walk.below(256) as u8).collect();
        for target in Target::all() {
            (target.run)(&octets);
        }
    }
}

/// A seed means what it was made from.
#[test]
fn seeds_read_back() {
    let input =
        Input { flags: 5, reads: &[1, 2], outs: &[0], turns: &[3, 4, 5], octets: b"220 x\r\n" };
    let seed = input.encode();
    assert_eq!(seed, b"\x05\x02\x01\x02\x01\x00\x03\x03\x04\x05220 x\r\n");
    assert_eq!(Input::arbitrary(&mut Unstructured::new(&seed)), Ok(input));
}

/// Every target has its binary, and there are no others but the one with all of them.
#[test]
fn every_target_has_a_binary() {
    let manifest = include_str!("../Cargo.toml");
    for target in Target::all() {
        let name = format!("name = \"{}\"", target.name);
        assert!(manifest.contains(&name), "no binary {name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), Target::all().len() + 1);
}
