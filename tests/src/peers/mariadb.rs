//! MariaDB.

use std::time::Duration;

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Missing, PASSWORD, Program, USER, free_port, need_root_and, open_directory, write,
};

/// A running MariaDB with the account [`USER`], which may connect over TLS only.
#[derive(Debug)]
pub struct MariaDb {
    /// MySQL's protocol with CLIENT_SSL.
    pub mysql: u16,
    leash: Leash,
    _dir: TempDir,
}

impl MariaDb {
    /// Starts MariaDB with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or MariaDB.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        need_root_and("mariadb-server-core", &[PROGRAM, INSTALL])?;
        // The installation asks it for its options.
        need_root_and("mariadb-client-core", &["/usr/bin/my_print_defaults"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        let data = format!("--datadir={}", text(&at("data")));
        let made = Program::new(INSTALL)
            .args(["--no-defaults", "--user=root", &data, "--skip-name-resolve"])
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .limit(Duration::from_secs(60))
            .run();
        assert!(made.status.success(), "{made:#?}");
        write(
            &at("accounts.sql"),
            format!("CREATE USER {USER}@127.0.0.1 IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\n"),
        );

        let mysql = free_port();
        let files = [
            ("init-file", at("accounts.sql")),
            ("socket", at("socket")),
            ("pid-file", at("pid")),
            ("ssl-ca", ca.root_pem.clone()),
            ("ssl-cert", ca.server.chain_pem.clone()),
            ("ssl-key", ca.server.key_pem.clone()),
        ];
        let port = format!("--port={mysql}");
        let files = files.map(|(option, path)| format!("--{option}={}", text(&path)));
        let mut command = vec![PROGRAM, "--no-defaults", "--user=root", &data];
        command.extend(["--bind-address=127.0.0.1", &port, "--skip-name-resolve"]);
        command.extend(["--require-secure-transport=ON", "--innodb-flush-log-at-trx-commit=0"]);
        command.extend(files.iter().map(String::as_str));
        let mut leash = Leash::start("mariadb", &command, at("output"), vec![]);
        leash.wait_for_ports(&[mysql]);
        leash.wait_for_log("ready for connections");
        Ok(Self { mysql, leash, _dir: dir })
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.leash.log()
    }
}

const PROGRAM: &str = "/usr/sbin/mariadbd";
const INSTALL: &str = "/usr/bin/mariadb-install-db";
