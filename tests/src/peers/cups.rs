//! CUPS: HTTP with Upgrade.

use std::fs;

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{Ca, Missing, directory_of, free_port, need_root_and, open_directory, write};

/// A running CUPS without printers; its front page is [`Cups::PAGE`].
#[derive(Debug)]
pub struct Cups {
    /// HTTP with Upgrade to TLS (RFC 2817), which it wants for every page.
    pub http: u16,
    _leash: Leash,
    _dir: TempDir,
}

impl Cups {
    /// The page at `/`.
    pub const PAGE: &str = "hello over TLS\n";

    /// Starts CUPS with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or CUPS.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        need_root_and("cups-daemon", &["/usr/sbin/cupsd"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        for name in ["keys", "root", "cache", "state", "spool", "temporary", "pages"] {
            directory_of(&at(name), None);
        }
        // It looks for the files by the name of the server.
        for (from, to) in
            [(&ca.server.chain_pem, "localhost.crt"), (&ca.server.key_pem, "localhost.key")]
        {
            fs::copy(from, at("keys").join(to)).expect("a certificate");
        }
        write(&at("pages/index.html"), Self::PAGE);
        let http = free_port();
        write(&at("cupsd.conf"), CONFIG.replace("@PORT@", &http.to_string()));
        write(&at("cups-files.conf"), FILES.replace("@DIR@", text(dir.path())));

        let mut leash = Leash::start(
            "cupsd",
            &[
                "/usr/sbin/cupsd",
                "-f",
                "-c",
                text(&at("cupsd.conf")),
                "-s",
                text(&at("cups-files.conf")),
            ],
            at("output"),
            vec![at("errors")],
        );
        leash.wait_for_ports(&[http]);
        Ok(Self { http, _leash: leash, _dir: dir })
    }
}

const CONFIG: &str = "
Listen 127.0.0.1:@PORT@
ServerName localhost
ServerAlias *
Browsing No
WebInterface Yes
DefaultAuthType None
DefaultEncryption Required
SSLOptions MinTLS1.2
LogLevel debug
<Location />
  Encryption Required
  Order allow,deny
  Allow localhost
</Location>
";

const FILES: &str = "
ServerRoot @DIR@/root
ServerKeychain @DIR@/keys
CreateSelfSignedCerts no
CacheDir @DIR@/cache
StateDir @DIR@/state
RequestRoot @DIR@/spool
TempDir @DIR@/temporary
DocumentRoot @DIR@/pages
ServerBin /usr/lib/cups
AccessLog @DIR@/requests
ErrorLog @DIR@/errors
PageLog @DIR@/printed
User lp
Group lp
SystemGroup root
";
