//! Programs that run to their end: the clients we are compared with.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use starttls::tls::Version;

use super::{Missing, PASSWORD, USER};

/// A program about to be run, with a time limit.
///
/// It is run without `SSL_CERT_FILE`, `SSL_CERT_DIR` and `CURL_CA_BUNDLE`, so that it trusts
/// what its arguments say and nothing else.
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

/// What a program did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Program {
    /// A program by its path.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(path);
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"] {
            command.env_remove(name);
        }
        Self { command, input: Vec::new(), limit: Duration::from_secs(30) }
    }

    /// A program by its name.
    ///
    /// # Errors
    ///
    /// [`Missing`] if it is not on the search path.
    pub fn find(name: &str) -> Result<Self, Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
            .map(Self::new)
            .ok_or_else(|| Missing(format!("the program {name}")))
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input; nothing unless said.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it may run; 30 seconds unless said.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or has not ended in time; then it is killed, and what it
    /// printed is in the message.
    pub fn run(mut self) -> Ran {
        let deadline = Instant::now() + self.limit;
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", self.command));

        let mut stdin = child.stdin.take().expect("piped");
        let input = self.input;
        // A program may end without having read everything: that is no failure of the run.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));

        let mut late = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                break status;
            }
            if Instant::now() >= deadline && !late {
                late = true;
                child.kill().expect("a child of ours");
            }
            thread::sleep(Duration::from_millis(5));
        };
        writer.join().expect("no panic");
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        let ran = Ran {
            status,
            stdout: text(stdout.join().expect("no panic")),
            stderr: text(stderr.join().expect("no panic")),
        };
        assert!(!late, "{:?} did not end within {:?}: {ran:#?}", self.command, self.limit);
        ran
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut octets = Vec::new();
        // Cut short only if the pipe breaks, and then the status tells.
        drop(pipe.read_to_end(&mut octets));
        octets
    })
}

/// `openssl s_client` that verifies: an untrusted certificate or wrong name ends it.
#[derive(Clone, Debug)]
pub struct OpenSsl {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The protocol as `-starttls` names it; none for TLS from the first octet.
    pub starttls: Option<&'static str>,
    /// The only trusted authority.
    pub root_pem: PathBuf,
    /// The name that the certificate has to bear.
    pub name: &'static str,
}

impl OpenSsl {
    /// A client of a server on this machine, that it has to prove to be `localhost`.
    pub fn new(port: u16, starttls: Option<&'static str>, root_pem: &Path) -> Self {
        Self { port, starttls, root_pem: root_pem.to_owned(), name: "localhost" }
    }

    /// The program; give it the octets to send by [`Program::input`], of which the last should
    /// make the server close. Commands within the input are off.
    ///
    /// # Errors
    ///
    /// [`Missing`] without openssl.
    pub fn program(&self) -> Result<Program, Missing> {
        let program = Program::find("openssl")?
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port)])
            .args(["-servername", self.name, "-verify_hostname", self.name])
            .args(["-verify_return_error", "-no-CApath", "-no-CAstore", "-CAfile"])
            .arg(&self.root_pem)
            .args(["-nocommands", "-ign_eof"]);
        Ok(match self.starttls {
            Some(protocol) => program.args(["-starttls", protocol]),
            None => program,
        })
    }
}

/// `gnutls-cli` at a server on this machine, that it has to prove to be `localhost` by this
/// authority. Give it the octets to send, as [`OpenSsl::program`]; what it says itself goes to
/// standard error.
///
/// # Errors
///
/// [`Missing`] without gnutls-cli.
pub fn gnutls_cli(
    port: u16,
    starttls: Option<&str>,
    version: Version,
    root_pem: &Path,
) -> Result<Program, Missing> {
    Ok(Program::find("gnutls-cli")?
        .args(["--port", &port.to_string(), "--priority"])
        // `TLSv1.3` without the v.
        .arg(format!("NORMAL:-VERS-ALL:+VERS-{}", version.name().replace('v', "")))
        .args(["--verify-hostname", "localhost", "--logfile", "/dev/stderr", "--x509cafile"])
        .arg(root_pem)
        .args(starttls.map(|name| format!("--starttls-proto={name}")))
        .arg("127.0.0.1"))
}

/// `curl` as [`USER`], that requires TLS of this version and a certificate by this authority.
///
/// # Errors
///
/// [`Missing`] without curl.
pub fn curl(version: Version, root_pem: &Path) -> Result<Program, Missing> {
    let [least, most] = match version {
        Version::Tls12 => ["--tlsv1.2", "1.2"],
        _ => ["--tlsv1.3", "1.3"],
    };
    Ok(Program::find("curl")?
        .args(["--silent", "--show-error", "--ssl-reqd", least, "--tls-max", most])
        .args(["--user", &format!("{USER}:{PASSWORD}"), "--cacert"])
        .arg(root_pem))
}

/// Python, if it has this library; its own dropped some in version 3.13.
///
/// # Errors
///
/// [`Missing`] without python3 or the library.
pub fn python(library: &str) -> Result<Program, Missing> {
    let python = || Ok::<_, Missing>(Program::find("python3")?.args(["-W", "ignore", "-c"]));
    match python()?.arg(format!("import {library}")).run().status.success() {
        true => python(),
        false => Err(Missing(format!("Python's {library}"))),
    }
}

/// What a client of MySQL answers to a nonce by mysql_native_password:
/// SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))).
///
/// # Errors
///
/// [`Missing`] without openssl.
pub fn native_password(password: &str, nonce: &[u8]) -> Result<Vec<u8>, Missing> {
    let once = sha1(password.as_bytes())?;
    let twice = sha1(&once)?;
    let mask = sha1(&[nonce, &twice].concat())?;
    Ok(once.iter().zip(&mask).map(|(a, b)| a ^ b).collect())
}

fn sha1(octets: &[u8]) -> Result<Vec<u8>, Missing> {
    let ran = Program::find("openssl")?.args(["dgst", "-sha1", "-r"]).input(octets).run();
    let digit = |at| u8::from_str_radix(&ran.stdout[at..at + 2], 16).expect("a digest");
    Ok((0..40).step_by(2).map(digit).collect())
}

/// `swaks`, sending one message.
#[derive(Clone, Debug)]
pub struct Swaks {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The only trusted authority.
    pub root_pem: PathBuf,
    /// The recipient.
    pub to: &'static str,
}

impl Swaks {
    /// The program, which requires STARTTLS and a certificate by the trusted authority (it
    /// looks at no name), and sends this message from alice@mail.test. The message's lines end
    /// with CRLF, the last one too. More options can be added, as `--auth PLAIN`.
    ///
    /// # Errors
    ///
    /// [`Missing`] without swaks.
    pub fn program(&self, message: &[u8]) -> Result<Program, Missing> {
        Ok(Program::find("swaks")?
            .args(["--server", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--helo", "client.test", "--from", "alice@mail.test", "--to", self.to])
            .args(["--tls", "--tls-verify", "--tls-sni", "localhost", "--tls-ca-path"])
            .arg(&self.root_pem)
            // Without its own changes to the message, it leaves the form of DATA to us.
            .args(["--data", "-", "--no-data-fixup"])
            .input(data_form(message)))
    }
}

/// What follows the reply 354: lines that begin with a dot get another, and a lone dot ends it
/// (RFC 5321 §4.5.2).
fn data_form(message: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            data.push(b'.');
        }
        data.extend_from_slice(line);
    }
    data.extend_from_slice(b".\r\n");
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_where_lines_begin() {
        assert_eq!(data_form(b".a.\r\n..\r\n"), b"..a.\r\n...\r\n.\r\n");
        assert_eq!(data_form(b""), b".\r\n");
    }

    #[test]
    fn a_program_runs_to_its_end() {
        let ran = Program::new("/bin/sh")
            .args(["-c", "cat; echo ${SSL_CERT_FILE-unset} >&2; exit 3"])
            .input("in")
            .run();
        assert_eq!((ran.status.code(), &*ran.stdout, &*ran.stderr), (Some(3), "in", "unset\n"));
    }

    #[test]
    #[should_panic(expected = "did not end within 50ms")]
    fn a_program_that_hangs_is_killed() {
        Program::new("/bin/sh")
            .args(["-c", "exec sleep 60"])
            .limit(Duration::from_millis(50))
            .run();
    }
}
