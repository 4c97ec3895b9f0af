//! Says how the firmware is linked: the memory of the chip, and how much of it is used.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    // The stack of the program and the RAM in all, in KiB: what is not used of it is the application's.
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let (stack, total) = match (has("RUSTLS"), has("LARGE_RECORDS"), has("LOGIN")) {
        (true, true, _) => (20, 70),
        (true, false, _) => (20, 48),
        (false, true, true) => (18, 39),
        (false, true, false) => (16, 37),
        (false, false, true) => (18, 27),
        (false, false, false) => (16, 25),
    };
    // What is logged over RTT waits there.
    let total = total + u32::from(has("DEFMT"));
    let memory = fs::read_to_string("memory.x.in").expect("a file of this package");
    let kibi = |number: u32| format!("{number}K");
    let memory = memory.replace("@STACK@", &kibi(stack)).replace("@TOTAL@", &kibi(total));
    fs::write(out.join("memory.x"), memory).expect("a directory of ours");
    // The vectors of this chip's interrupts are in src/board.rs.
    fs::write(out.join("device.x"), "").expect("a directory of ours");

    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if has("DEFMT") {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
    println!("cargo:rerun-if-changed=memory.x.in");
    println!("cargo:rerun-if-changed=build.rs");
}
