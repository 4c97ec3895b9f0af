//! The fuzz targets' bodies on a stable compiler: over seeds, and over what grows from them by a
//! fixed pseudo-random walk.

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use starttls::negotiate::{Client, Server};
use starttls_fuzz::{Input, negotiation, seeds};
use starttls_tests::table::Role;

/// Steps of the walk for each machine.
const STEPS: usize = 4000;

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

fn walk<S: Role>() {
    for (index, entry) in S::table().iter().enumerate() {
        let mut corpus = seeds::<S>(entry.name);
        assert!(corpus.len() >= 3, "no seeds for {}", entry.name);
        corpus.push(Vec::new());
        let seeds = corpus.len();
        let mut ends = BTreeMap::<String, usize>::new();
        let mut run = |input: &[u8]| {
            if let Some(played) = negotiation::<S>(entry.name, input) {
                *ends.entry(played.end_name()).or_default() += 1;
            }
        };
        corpus.iter().for_each(|seed| run(seed));
        corpus.extend_from_within(..);
        let mut walk = Walk(0x9E37_79B9_7F4A_7C15 + index as u64);
        for _ in 0..STEPS {
            let (one, other) = (walk.below(corpus.len()), walk.below(corpus.len()));
            let grown = walk.grow(&corpus[one], &corpus[other]);
            run(&grown);
            // The seeds stay; a place beside each is for what grew.
            let place = seeds + walk.below(seeds * 4);
            if let Some(place) = corpus.get_mut(place) {
                *place = grown;
            }
        }
        // The walk goes deep: often to TLS, and to many other ends.
        let (ready, kinds) = (ends["Ready"], ends.len());
        assert!(ready > STEPS / 100, "{} {}: {ends:?}", entry.name, S::NAME);
        assert!(kinds >= 7 || entry.max_frame == 0, "{} {}: {ends:?}", entry.name, S::NAME);
    }
}

#[test]
fn clients_from_seeds() {
    walk::<Client>();
}

#[test]
fn servers_from_seeds() {
    walk::<Server>();
}

#[test]
fn octets_alone() {
    let mut walk = Walk(7);
    for length in 0..600 {
        let octets: Vec<u8> = (0..length).map(|_| walk.below(256) as u8).collect();
        for entry in Client::table() {
            negotiation::<Client>(entry.name, &octets);
        }
        for entry in Server::table() {
            negotiation::<Server>(entry.name, &octets);
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

/// A target stands in `fuzz_targets` for every machine.
#[test]
fn every_machine_has_a_target() {
    let manifest = include_str!("../Cargo.toml");
    let mut targets = 0;
    for name in Client::table()
        .iter()
        .map(|entry| (entry.name, "client"))
        .chain(Server::table().iter().map(|entry| (entry.name, "server")))
    {
        let target = format!("name = \"{}_{}\"", name.0.replace('-', "_"), name.1);
        assert!(manifest.contains(&target), "no {target}");
        targets += 1;
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets);
}
