//! Says how the firmware is linked: the memory of the chip, and how much of it is used.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    // The stack of the program and the RAM in all: what is not used of it is the application's.
    let large = env::var_os("CARGO_FEATURE_LARGE_RECORDS").is_some();
    let (stack, total) = if large { ("20K", "70K") } else { ("20K", "48K") };
    let memory = fs::read_to_string("memory.x.in").expect("a file of this package");
    let memory = memory.replace("@STACK@", stack).replace("@TOTAL@", total);
    fs::write(out.join("memory.x"), memory).expect("a directory of ours");
    // The vectors of this chip's interrupts are in src/board.rs.
    fs::write(out.join("device.x"), "").expect("a directory of ours");

    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=memory.x.in");
    println!("cargo:rerun-if-changed=build.rs");
}
