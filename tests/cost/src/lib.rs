//! The table of machines and its dialogues, without the rest of the tests and what they depend on:
//! what is measured is built as a user builds it who has no more than an allocator.

#[path = "../../src/dialogue.rs"]
pub mod dialogue;
#[path = "../../src/inside.rs"]
pub mod inside;
#[path = "../../src/table.rs"]
pub mod table;
