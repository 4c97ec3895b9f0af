//! OpenLDAP's slapd.

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{Ca, Missing, PASSWORD, directory_of, free_port, need_root_and, open_directory, write};

/// A running slapd with an empty directory below [`Slapd::SUFFIX`].
#[derive(Debug)]
pub struct Slapd {
    /// LDAP with StartTLS.
    pub ldap: u16,
    leash: Leash,
    _dir: TempDir,
}

impl Slapd {
    /// Where the directory begins.
    pub const SUFFIX: &str = "dc=test";

    /// Who may do everything, with [`PASSWORD`], and binds inside TLS only.
    pub const ADMIN: &str = "cn=admin,dc=test";

    /// Starts slapd with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or slapd.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        need_root_and("slapd", &[PROGRAM, "/usr/lib/ldap/back_mdb.so", SCHEMA])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        directory_of(&at("db"), None);
        let config = CONFIG
            .replace("@DIR@", text(dir.path()))
            .replace("@SCHEMA@", SCHEMA)
            .replace("@ROOT@", text(&ca.root_pem))
            .replace("@CHAIN@", text(&ca.server.chain_pem))
            .replace("@KEY@", text(&ca.server.key_pem))
            .replace("@SUFFIX@", Self::SUFFIX)
            .replace("@ADMIN@", Self::ADMIN)
            .replace("@PASSWORD@", PASSWORD);
        write(&at("slapd.conf"), config);

        let ldap = free_port();
        let address = format!("ldap://127.0.0.1:{ldap}");
        let mut leash = Leash::start(
            "slapd",
            // A debug level, even none, keeps it in the foreground.
            &[PROGRAM, "-d", "0", "-h", &address, "-f", text(&at("slapd.conf"))],
            at("output"),
            vec![],
        );
        leash.wait_for_ports(&[ldap]);
        Ok(Self { ldap, leash, _dir: dir })
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.leash.log()
    }
}

const PROGRAM: &str = "/usr/sbin/slapd";
const SCHEMA: &str = "/etc/ldap/schema/core.schema";

const CONFIG: &str = r"
include @SCHEMA@
pidfile @DIR@/pid
argsfile @DIR@/args
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile @ROOT@
TLSCertificateFile @CHAIN@
TLSCertificateKeyFile @KEY@
TLSVerifyClient never
TLSProtocolMin 3.3
security simple_bind=128
database mdb
suffix @SUFFIX@
rootdn @ADMIN@
rootpw @PASSWORD@
directory @DIR@/db
";
