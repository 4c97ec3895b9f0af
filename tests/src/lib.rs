//! What the tests share: players of dialogues and attacks, and real servers on loopback.

pub mod peers;
