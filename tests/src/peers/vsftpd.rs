//! vsftpd: FTP.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{Ca, Missing, directory_of, free_port, need_root_and, open_directory, write};

/// A running vsftpd, whose only user is anonymous. Its data connections have to resume the TLS
/// session of the control connection.
#[derive(Debug)]
pub struct Vsftpd {
    /// FTP with AUTH TLS, without which nobody logs in.
    pub ftp: u16,
    _leash: Leash,
    _dir: TempDir,
}

impl Vsftpd {
    /// The only file.
    pub const FILE: &str = "hello.txt";

    /// Starts vsftpd with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or vsftpd.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        need_root_and("vsftpd", &["/usr/sbin/vsftpd"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        for name in ["empty", "files"] {
            directory_of(&at(name), None);
            // It refuses a root that its user could write to.
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o555)).expect("a directory");
        }
        write(&at("files").join(Self::FILE), "hello\n");
        let ftp = free_port();
        let config = CONFIG
            .replace("@DIR@", text(dir.path()))
            .replace("@PORT@", &ftp.to_string())
            .replace("@CHAIN@", text(&ca.server.chain_pem))
            .replace("@KEY@", text(&ca.server.key_pem));
        write(&at("vsftpd.conf"), config);

        let mut leash = Leash::start(
            "vsftpd",
            &["/usr/sbin/vsftpd", text(&at("vsftpd.conf"))],
            at("output"),
            vec![at("log")],
        );
        leash.wait_for_ports(&[ftp]);
        Ok(Self { ftp, _leash: leash, _dir: dir })
    }
}

// No comments: it takes them for settings where they are not at the very start of a line.
const CONFIG: &str = "\
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port=@PORT@
background=NO
seccomp_sandbox=NO
secure_chroot_dir=@DIR@/empty
vsftpd_log_file=@DIR@/log
xferlog_enable=YES
local_enable=NO
anonymous_enable=YES
anon_root=@DIR@/files
no_anon_password=YES
ssl_enable=YES
ssl_tlsv1=YES
ssl_sslv2=NO
ssl_sslv3=NO
ssl_ciphers=HIGH
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=YES
rsa_cert_file=@CHAIN@
rsa_private_key_file=@KEY@
";
