//! InspIRCd: IRC.

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{Ca, Missing, directory_of, free_port, need_root_and, open_directory, write};

/// A running InspIRCd that calls itself irc.test.
#[derive(Debug)]
pub struct InspIrcd {
    /// IRC, with what the modules add.
    pub irc: u16,
    _leash: Leash,
    _dir: TempDir,
}

impl InspIrcd {
    /// The module of STARTTLS, which is also the capability `tls` where there are any.
    pub const STARTTLS: &str = "starttls";

    /// The module that makes capabilities known.
    pub const CAPABILITIES: &str = "cap";

    /// Starts InspIRCd with the authority's certificate for servers and some of these modules.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or InspIRCd.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca, modules: &[&str]) -> Result<Self, Missing> {
        need_root_and("inspircd", &["/usr/sbin/inspircd"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        directory_of(&at("data"), None);
        let irc = free_port();
        let load = |name: &&str| format!("<module name=\"{name}\">\n");
        let modules: String = modules.iter().map(load).collect();
        let config = (modules + CONFIG)
            .replace("@DIR@", text(dir.path()))
            .replace("@PORT@", &irc.to_string())
            .replace("@CHAIN@", text(&ca.server.chain_pem))
            .replace("@KEY@", text(&ca.server.key_pem));
        write(&at("inspircd.conf"), config);

        let config = format!("--config={}", text(&at("inspircd.conf")));
        let mut leash = Leash::start(
            "inspircd",
            // 3.15 crashes behind its end, and its core would stay where the test runs.
            &["prlimit", "--core=0", "/usr/sbin/inspircd", "--runasroot", "--nofork", &config],
            at("output"),
            vec![at("log")],
        );
        leash.wait_for_ports(&[irc]);
        Ok(Self { irc, _leash: leash, _dir: dir })
    }
}

const CONFIG: &str = r#"
<server name="irc.test" description="a server of the tests" network="Tests">
<admin name="nobody" nick="nobody" email="nobody@irc.test">
<path datadir="@DIR@/data" logdir="@DIR@">
<pid file="@DIR@/data/pid">
<log method="file" type="*" level="default" target="@DIR@/log">

<bind address="127.0.0.1" port="@PORT@" type="clients">
<dns server="127.0.0.1">
<connect name="all" allow="*" timeout="30" resolvehostnames="no" useident="no">

<module name="ssl_gnutls">
<module name="sslinfo">
<sslprofile name="tests" provider="gnutls" certfile="@CHAIN@" keyfile="@KEY@" hash="sha256">
<starttls profile="tests">
"#;
