//! STARTTLS from the shell.

fn main() {}
