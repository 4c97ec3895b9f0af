//! What the tests share: players of dialogues and attacks, and real servers on loopback.

pub mod attack;
pub mod dialogue;
pub mod pair;
pub mod play;
pub mod table;
mod watch;
