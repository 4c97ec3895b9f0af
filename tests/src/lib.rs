//! What the tests share: players of dialogues and attacks, sessions in pairs, and real servers on
//! loopback.

pub mod attack;
pub mod dialogue;
pub mod fixed;
pub mod hostile;
pub mod inside;
pub mod mail;
pub mod middle;
pub mod pair;
pub mod peers;
pub mod pki;
pub mod play;
pub mod serving;
pub mod sessions;
pub mod table;
mod watch;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
