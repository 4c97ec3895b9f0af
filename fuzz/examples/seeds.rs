//! Writes the seeds of every machine to `DIRECTORY/<target>/`: `cargo run --example seeds -- DIRECTORY`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use starttls::negotiate::{Client, Server};
use starttls_fuzz::seeds;
use starttls_tests::table::Role;

fn write<S: Role>(directory: &Path) -> io::Result<()> {
    for entry in S::table() {
        let target = directory.join(format!("{}_{}", entry.name.replace('-', "_"), S::NAME));
        fs::create_dir_all(&target)?;
        for (index, seed) in seeds::<S>(entry.name).iter().enumerate() {
            fs::write(target.join(format!("seed-{index:03}")), seed)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("which directory?"));
    };
    write::<Client>(&directory)?;
    write::<Server>(&directory)
}
