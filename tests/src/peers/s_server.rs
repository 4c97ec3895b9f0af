//! `openssl s_server`.

use std::path::Path;

use super::leash::Leash;
use super::{Missing, Program, free_port};

/// `openssl s_server` that sends each line back reversed, on TLS from the first octet.
#[derive(Debug)]
pub struct SServer {
    /// The port on 127.0.0.1.
    pub port: u16,
    _leash: Leash,
}

impl SServer {
    /// Starts it with these arguments more, of which its certificate and key are some; its log
    /// goes to this directory.
    ///
    /// # Errors
    ///
    /// [`Missing`] without openssl.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(dir: &Path, args: &[&str]) -> Result<Self, Missing> {
        drop(Program::find("openssl")?);
        let port = free_port();
        let accept = format!("127.0.0.1:{port}");
        let server = [&["openssl", "s_server", "-rev", "-accept", &accept], args].concat();
        let log = dir.join(format!("s_server-{port}.log"));
        let mut leash = Leash::start("openssl s_server", &server, log, Vec::new());
        leash.wait_for_ports(&[port]);
        Ok(Self { port, _leash: leash })
    }
}
