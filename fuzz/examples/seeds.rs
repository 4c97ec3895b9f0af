//! Writes the seeds of every target to `DIRECTORY/<target>/`, and prints the targets' names:
//! `cargo run --example seeds -- DIRECTORY`.

use std::path::PathBuf;
use std::{env, fs, io};

use starttls_fuzz::Target;

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("which directory?"));
    };
    for target in Target::all() {
        let directory = directory.join(&target.name);
        fs::create_dir_all(&directory)?;
        for (index, seed) in (target.seeds)().iter().enumerate() {
            fs::write(directory.join(format!("seed-{index:03}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
