//! Says how the firmware is linked: the memory of the chip, and how much of it is used.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    // The stack of the program and the RAM in all: what is not used of it is the application's. A
    // chain takes 1.9 KiB of the stack for each certificate between the server's and the trusted
    // one: there is room for one.
    let has = |feature: &str| env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let (stack, total) = match () {
        () if !has("RUSTLS") && has("LARGE_RECORDS") => (17, 37),
        () if !has("RUSTLS") && has("LOGIN") => (17, 25),
        () if !has("RUSTLS") => (14, 22),
        () if has("LONG_CHAINS") => (18, 61),
        // The future of the mail is a variable there.
        () if has("LARGE_RECORDS") && has("EMBASSY") => (14, 50),
        () if has("LARGE_RECORDS") => (15, 48),
        () if has("PINNED") => (11, 28),
        () => (14, 32),
    };
    // What waits for the debugger.
    let total = if has("DEFMT") { total + 2 } else { total };
    let memory = fs::read_to_string("memory.x.in").expect("a file of this package");
    let memory = memory.replace("@STACK@", &format!("{stack}K"));
    let memory = memory.replace("@TOTAL@", &format!("{total}K"));
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
