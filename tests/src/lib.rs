//! What the tests share: players of dialogues and attacks, and real servers on loopback.
pub mod pair;
pub mod pki;

pub mod peers;
