//! Bodies of the fuzz targets, and the table of them: machines, pairs, sessions, submission and
//! receiver.
//!
//! What a fuzzer finds is a string of octets. Each body reads it as what a peer says, or as what
//! somebody in the middle does, plays it, and checks what must hold for any of them. The README of
//! this folder says how to run the targets, and how to put a machine into a harness of your own.

pub mod exchange;
pub mod negotiation;
pub mod pair;
mod reader;
pub mod receiver;
pub mod session;
pub mod submission;

use std::sync::OnceLock;

use starttls::negotiate::{Client, Server};
use starttls_tests::table::Role;

/// Plays one input and tells what it came to; `None` if it is too short to mean anything.
pub type Body = dyn Fn(&[u8]) -> Option<String> + Send + Sync;

/// A body with a name.
pub struct Target {
    /// The name of its binary.
    pub name: String,
    /// What it does with one input.
    pub run: Box<Body>,
    /// Inputs to begin with.
    pub seeds: Box<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>,
}

impl Target {
    fn new(
        name: impl Into<String>,
        run: impl Fn(&[u8]) -> Option<String> + Send + Sync + 'static,
        seeds: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), run: Box::new(run), seeds: Box::new(seeds) }
    }

    /// Every machine of the table in either role, every pair of them, and what speaks inside TLS.
    pub fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Target>> = OnceLock::new();
        ALL.get_or_init(|| {
            let mut all = Vec::new();
            for name in Client::table().iter().map(|entry| entry.name) {
                let [client, server, pair] = ["client", "server", "pair"]
                    .map(|kind| format!("{}_{kind}", name.replace('-', "_")));
                all.extend([machine::<Client>(name, client), machine::<Server>(name, server)]);
                all.push(Self::new(pair, |data| pair::run(name, data), || pair::seeds(name)));
            }
            all.push(Self::new("session_client", session::run::<Client>, session::seeds));
            all.push(Self::new("session_server", session::run::<Server>, session::seeds));
            all.push(Self::new("submission", submission::run, submission::seeds));
            all.push(Self::new("exchange", exchange::run, exchange::seeds));
            all.push(Self::new("receiver", receiver::run, receiver::seeds));
            all
        })
    }

    /// The target of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|target| target.name == name)
    }
}

fn machine<S: Role>(name: &'static str, target: String) -> Target {
    let run = |data: &[u8]| Some(negotiation::run::<S>(name, data)?.end_name());
    Target::new(target, run, || negotiation::seeds::<S>(name))
}

/// A fuzz target: the body that is named like its binary, or as an expression says.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! target {
    () => {
        $crate::target!(env!("CARGO_BIN_NAME"));
    };
    ($name:expr) => {
        static TARGET: std::sync::LazyLock<&$crate::Target> = std::sync::LazyLock::new(|| {
            let name = $name;
            $crate::Target::of(&name).unwrap_or_else(|| panic!("no target is called {name:?}"))
        });
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let _ = (TARGET.run)(data);
        });
    };
}

#[cfg(feature = "libfuzzer")]
#[doc(hidden)]
pub use libfuzzer_sys;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
