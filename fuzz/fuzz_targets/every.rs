//! All targets in one binary, which takes the time of one to build: `FUZZ_TARGET` names the one to run.
#![no_main]
starttls_fuzz::target!(std::env::var("FUZZ_TARGET").unwrap_or_default());
