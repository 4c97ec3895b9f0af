//! Prosody: XMPP, for clients and for servers.

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Missing, PASSWORD, USER, directory_of, free_port, need_root_and, open_directory, owner_of,
    write,
};

/// A running Prosody for the domain [`Prosody::DOMAIN`], with the account [`USER`](super::USER).
///
/// It wants TLS on both ports. Servers prove who they are by dialback.
#[derive(Debug)]
pub struct Prosody {
    /// XMPP for clients, with STARTTLS.
    pub client: u16,
    /// XMPP for servers, with STARTTLS.
    pub server: u16,
    _leash: Leash,
    _dir: TempDir,
}

impl Prosody {
    /// The only domain it serves.
    pub const DOMAIN: &str = "mail.test";

    /// Starts Prosody with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or Prosody.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        need_root_and("prosody", &["/usr/bin/prosody"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        let owner = owner_of("/var/lib/prosody");
        // The directory of the data has the domain's name, escaped.
        let domain = Self::DOMAIN.replace('.', "%2e");
        for name in ["data", &format!("data/{domain}"), &format!("data/{domain}/accounts")] {
            directory_of(&at(name), Some(owner));
        }
        directory_of(&at("certs"), None);
        write(
            &at(&format!("data/{domain}/accounts/{USER}.dat")),
            format!("return {{ [\"password\"] = \"{PASSWORD}\" }}\n"),
        );

        let ports = [(); 2].map(|()| free_port());
        let [client, server] = ports;
        let config = CONFIG
            .replace("@DIR@", text(dir.path()))
            .replace("@DOMAIN@", Self::DOMAIN)
            .replace("@CLIENT@", &client.to_string())
            .replace("@SERVER@", &server.to_string())
            .replace("@CHAIN@", text(&ca.server.chain_pem))
            .replace("@KEY@", text(&ca.server.key_pem));
        write(&at("prosody.cfg.lua"), config);

        let mut leash = Leash::start(
            "prosody",
            &[
                "setpriv",
                "--reuid=prosody",
                "--regid=prosody",
                "--init-groups",
                "/usr/bin/prosody",
                "-F",
                "--config",
                text(&at("prosody.cfg.lua")),
            ],
            at("output"),
            vec![],
        );
        leash.wait_for_ports(&ports);
        Ok(Self { client, server, _leash: leash, _dir: dir })
    }
}

const CONFIG: &str = r#"
log = { info = "*console" }
pidfile = "@DIR@/data/pid"
data_path = "@DIR@/data"
certificates = "@DIR@/certs"

interfaces = { "127.0.0.1" }
c2s_ports = { @CLIENT@ }
s2s_ports = { @SERVER@ }
c2s_direct_tls_ports = {}
s2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}

modules_enabled = { "saslauth"; "tls"; "s2s"; "dialback" }
authentication = "internal_plain"
c2s_require_encryption = true
s2s_require_encryption = true
s2s_secure_auth = false
ssl = { certificate = "@CHAIN@"; key = "@KEY@" }

VirtualHost "@DOMAIN@"
"#;
