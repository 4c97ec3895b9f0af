//! The table of machines and its dialogues, without the rest of the tests and what they depend on:
//! what is measured is built as a user without features builds it.

#[path = "../../src/dialogue.rs"]
pub mod dialogue;
#[path = "../../src/table.rs"]
pub mod table;
