//! Real servers and clients, started for one test on loopback and gone when it ends.
//!
//! ```text
//!   Ca ──certificates──► Dovecot ──SASL──► Postfix ──► a maildir for each address
//!                           │                 ▲   └──► `outbound`: a server of the test
//!                           └────submission───┘
//! ```
//!
//! [`Client`] is ours, by either adapter, and [`Channel`] what it got: a test of a server is a loop
//! over [`Client::both`].
//!
//! Each server has its configuration, spool and log in a temporary directory and listens on
//! free ports of 127.0.0.1. It is a child of the test: it stops when its value is dropped, or
//! when the test dies. Its log is printed when the test fails.
//!
//! The servers change to other users, so the tests have to run as root. Where that is not so,
//! or a program is not installed, starting gives [`Missing`]:
//!
//! ```no_run
//! use starttls_tests::peers::{Ca, Dovecot, Postfix, skip_or_fail};
//!
//! let ca = Ca::new();
//! let Some(dovecot) = skip_or_fail(Dovecot::start(&ca)) else { return };
//! let Some(postfix) = skip_or_fail(Postfix::start(&ca, &dovecot)) else { return };
//! assert!(std::net::TcpStream::connect(("127.0.0.1", postfix.smtp)).is_ok());
//! ```

mod board;
mod ca;
mod channel;
mod client;
mod cups;
mod dovecot;
mod impostor;
mod inspircd;
mod leash;
mod mailbox;
mod mariadb;
mod modem;
mod nnrpd;
mod ports;
mod postfix;
mod postgresql;
mod program;
mod prosody;
mod s_server;
mod slapd;
mod vsftpd;

pub use board::{Board, Halted};
pub use ca::{Ca, Identity};
pub use channel::Channel;
pub use client::{Adapter, Client, random};
pub use cups::Cups;
pub use dovecot::Dovecot;
pub use impostor::{Impostor, Proof};
pub use inspircd::InspIrcd;
pub use mailbox::{Mailbox, sent_form, without_trace};
pub use mariadb::MariaDb;
pub use modem::{Call, Fault, Modem, Side};
pub use nnrpd::Nnrpd;
pub use ports::{free_port, wait_for_port};
pub use postfix::Postfix;
pub use postgresql::PostgreSql;
pub use program::{OpenSsl, Program, Ran, Swaks, curl, gnutls_cli, native_password, python};
pub use prosody::Prosody;
pub use s_server::SServer;
pub use slapd::Slapd;
pub use vsftpd::Vsftpd;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// A user of every server, whose password is [`PASSWORD`].
pub const USER: &str = "alice";

/// Another user with the same password.
pub const OTHER_USER: &str = "bob";

/// The password of both users.
pub const PASSWORD: &str = "secret";

/// [`PASSWORD`] as crypt(3) has it.
const PASSWORD_HASH: &str = "$1$tests$CvIKzvfabbu7yjEzvHy7b/";

/// A bearer token for [`USER`] that both OAuth mechanisms of [`Dovecot`] accept; it expires in 2100.
pub const TOKEN: &str = dovecot::TOKEN;

/// What a real server or client needs and this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// What was started; `None`, and a line that says why, where the test has to be skipped.
///
/// # Panics
///
/// With `CI` in the environment: there nothing may be missing.
pub fn skip_or_fail<T>(started: Result<T, Missing>) -> Option<T> {
    match started {
        Ok(started) => Some(started),
        Err(missing) if std::env::var_os("CI").is_some_and(|ci| !ci.is_empty()) => {
            panic!("missing: {missing}")
        }
        Err(missing) => {
            eprintln!("SKIPPED, missing: {missing}");
            None
        }
    }
}

/// Checks that servers can be started at all, and that these files are there.
fn need_root_and(package: &str, files: &[&str]) -> Result<(), Missing> {
    if let Some(file) = files.iter().find(|file| !Path::new(file).exists()) {
        return Err(Missing(format!("{file} (Debian package {package})")));
    }
    match fs::metadata("/proc/self") {
        Ok(own) if own.uid() == 0 => Ok(()),
        _ => Err(Missing("root, under which the servers start".into())),
    }
}

/// The user and group that own a file of a package.
fn owner_of(path: &str) -> (u32, u32) {
    let owner = fs::metadata(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    (owner.uid(), owner.gid())
}

/// The user and group that own the delivered mail, made where they do not exist.
fn mail_owner() -> (u32, u32) {
    // Two tests may come here at once; the slower useradd fails, and its user is there.
    for _ in 0..50 {
        if let Some(owner) = user("vmail") {
            return owner;
        }
        let made = Command::new("useradd")
            .args(["--system", "--user-group", "--no-create-home"])
            .args(["--shell", "/usr/sbin/nologin", "vmail"])
            .output();
        assert!(made.is_ok(), "useradd: {made:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the user vmail can neither be found nor made");
}

/// A user and its group.
fn user(name: &str) -> Option<(u32, u32)> {
    let id = |option| {
        let ran = Command::new("id").args([option, name]).output().ok()?;
        String::from_utf8(ran.stdout).ok()?.trim().parse().ok()
    };
    id("-u").zip(id("-g"))
}

/// A temporary directory that servers which have given up root can enter.
fn open_directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("starttls-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("a temporary directory")
}

/// Writes a file that every user can read.
fn write(path: &Path, contents: impl AsRef<[u8]>) {
    fs::write(path, contents)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Makes a directory and gives it to a user and group.
fn directory_of(path: &Path, owner: Option<(u32, u32)>) {
    fs::create_dir_all(path)
        .and_then(|()| match owner {
            Some((user, group)) => std::os::unix::fs::chown(path, Some(user), Some(group)),
            None => Ok(()),
        })
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
