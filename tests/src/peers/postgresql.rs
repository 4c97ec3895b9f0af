//! PostgreSQL.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Missing, Program, directory_of, free_port, need_root_and, open_directory, user, write,
};

/// A running PostgreSQL that lets everybody in as any user, inside TLS only.
#[derive(Debug)]
pub struct PostgreSql {
    /// PostgreSQL's protocol with SSLRequest.
    pub postgresql: u16,
    leash: Leash,
    _dir: TempDir,
}

impl PostgreSql {
    /// Who owns the server, and the database with the same name.
    pub const ADMIN: &str = "postgres";

    /// Starts PostgreSQL with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or PostgreSQL.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        let missing = |what: &str| Missing(format!("{what} (Debian package postgresql)"));
        let programs = programs().ok_or_else(|| missing("/usr/lib/postgresql"))?;
        let initdb = programs.join("initdb");
        let postgres = programs.join("postgres");
        need_root_and("postgresql", &[text(&initdb), text(&postgres)])?;
        // As root it does not start.
        let owner = user("postgres").ok_or_else(|| missing("the user postgres"))?;
        let [uid, gid] =
            [("reuid", owner.0), ("regid", owner.1)].map(|(o, id)| format!("--{o}={id}"));
        let owned = ["/usr/bin/setpriv", &uid, &gid, "--clear-groups"];

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        for name in ["data", "run"] {
            directory_of(&at(name), Some(owner));
        }
        write(&at("hba.conf"), "hostssl all all 127.0.0.1/32 trust\n");
        // Of a key that others can read it makes no use.
        let key = at("key.pem");
        fs::copy(&ca.server.key_pem, &key)
            .and_then(|_| fs::set_permissions(&key, Permissions::from_mode(0o600)))
            .and_then(|()| chown(&key, Some(owner.0), Some(owner.1)))
            .expect("a key");

        let made = Program::new(owned[0])
            .args(&owned[1..])
            .arg(&initdb)
            .args(["-D", text(&at("data")), "-U", Self::ADMIN])
            .args(["-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
            .limit(Duration::from_secs(60))
            .run();
        assert!(made.status.success(), "{made:#?}");

        let postgresql = free_port();
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={postgresql}"),
            format!("unix_socket_directories={}", text(&at("run"))),
            format!("hba_file={}", text(&at("hba.conf"))),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", text(&ca.server.chain_pem)),
            format!("ssl_key_file={}", text(&key)),
        ];
        let (data, program) = (at("data"), text(&postgres));
        let mut command = [&owned[..], &[program, "-D", text(&data)]].concat();
        command.extend(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        let mut leash = Leash::start("postgresql", &command, at("output"), vec![]);
        leash.wait_for_ports(&[postgresql]);
        leash.wait_for_log("database system is ready to accept connections");
        Ok(Self { postgresql, leash, _dir: dir })
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.leash.log()
    }
}

/// Where the programs of the newest version are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |name: &std::ffi::OsStr| name.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| version(&entry.file_name())).max()?;
    Some(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin")))
}
