//! INN's nnrpd: NNTP for readers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Missing, PASSWORD_HASH, Program, USER, directory_of, free_port, need_root_and,
    open_directory, user, write,
};

/// A running nnrpd, without the rest of INN, for the account [`USER`], which it asks for and takes
/// inside TLS only. Its groups are [`Nnrpd::GROUP`], without articles, and INN's own.
#[derive(Debug)]
pub struct Nnrpd {
    /// NNTP with STARTTLS.
    pub nntp: u16,
    _leash: Leash,
    _dir: TempDir,
}

impl Nnrpd {
    /// The group to read.
    pub const GROUP: &str = "local.test";

    /// Starts nnrpd with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or the packages.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        let packages = [package("inn2")?, package("inn2-inews")?];
        need_root_and("base-passwd", &[])?;
        let owner = user("news").ok_or_else(|| Missing("the user news".into()))?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        for package in packages {
            let unpacked = Program::find("dpkg")?.arg("-x").arg(package).arg(at("inn")).run();
            assert!(unpacked.status.success(), "{unpacked:#?}");
        }
        let owned = ["db", "run", "log", "tmp", "spool", "spool/articles", "spool/overview"];
        for name in owned {
            directory_of(&at(name), Some(owner));
        }
        let key = at("key.pem");
        fs::copy(&ca.server.key_pem, &key)
            // A key that others can read it does not take.
            .and_then(|_| fs::set_permissions(&key, Permissions::from_mode(0o600)))
            .and_then(|()| chown(&key, Some(owner.0), Some(owner.1)))
            .expect("a key");
        let fill = |template: &str| {
            template
                .replace("@DIR@", text(dir.path()))
                .replace("@ROOT@", text(&ca.root_pem))
                .replace("@CHAIN@", text(&ca.server.chain_pem))
                .replace("@KEY@", text(&key))
                .replace("@USER@", USER)
        };
        write(&at("inn.conf"), fill(CONFIG));
        write(&at("readers.conf"), fill(READERS));
        write(&at("storage.conf"), STORAGE);
        write(&at("users"), format!("{USER}:{PASSWORD_HASH}\n"));
        // A name, the highest and lowest numbers of its articles, and whether one may post.
        let active = |name, post| format!("{name} 0000000000 0000000001 {post}\n");
        let groups = [active("control", 'n'), active("junk", 'n'), active(Self::GROUP, 'y')];
        write(&at("db/active"), groups.concat());
        write(&at("db/newsgroups"), format!("{}\tA group of the tests\n", Self::GROUP));
        for empty in ["db/active.times", "db/history"] {
            write(&at(empty), "");
        }

        let environment = [
            format!("LD_LIBRARY_PATH={}", text(&at("inn/usr/lib/news"))),
            format!("INNCONF={}", text(&at("inn.conf"))),
        ];
        let program = |name: &str| at("inn/usr/lib/news/bin").join(name);
        // The overview of a spool: made, then filled with the groups.
        for (name, options) in [("overchan", &[][..]), ("tdx-util", &["-F"])] {
            let ran = Program::new("/usr/bin/setpriv")
                .args(["--reuid=news", "--regid=news", "--clear-groups", "env"])
                .args(&environment)
                .arg(program(name))
                .args(options)
                .run();
            assert!(ran.status.success(), "{name}: {ran:#?}");
        }

        let nntp = free_port();
        let (nnrpd, readers, port) = (program("nnrpd"), at("readers.conf"), nntp.to_string());
        let mut command = vec!["/usr/bin/env"];
        command.extend(environment.iter().map(String::as_str));
        command.extend([text(&nnrpd), "-D", "-f", "-b", "127.0.0.1", "-p", &port]);
        command.extend(["-c", text(&readers)]);
        let mut leash = Leash::start("nnrpd", &command, at("output"), vec![]);
        leash.wait_for_ports(&[nntp]);
        Ok(Self { nntp, _leash: leash, _dir: dir })
    }
}

/// A package that `tests/run` has fetched. Its installation would want a name in the DNS, so it is
/// unpacked instead, where the user of the server can get at it.
fn package(name: &str) -> Result<PathBuf, Missing> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debian");
    let prefix = format!("{name}_");
    let entries = fs::read_dir(fetched).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let newest = named.map(|entry| entry.path()).max();
    newest.ok_or_else(|| Missing(format!("the Debian package {name}, fetched by tests/run")))
}

const CONFIG: &str = r#"
mta: "/bin/true %s"
organization: tests
pathhost: news.test
domain: test
server: 127.0.0.1
nnrpdloadlimit: 0
runasuser: news
runasgroup: news
pathnews: @DIR@/inn/usr/lib/news
pathbin: @DIR@/inn/usr/lib/news/bin
pathetc: @DIR@
pathdb: @DIR@/db
pathspool: @DIR@/spool
pathrun: @DIR@/run
pathlog: @DIR@/log
pathtmp: @DIR@/tmp
hismethod: hisv6
enableoverview: true
ovmethod: tradindexed
tlscafile: @ROOT@
tlscertfile: @CHAIN@
tlskeyfile: @KEY@
"#;

const READERS: &str = r#"
auth users {
  hosts: "127.0.0.0/8"
  auth: "ckpasswd -f @DIR@/users"
  require_encryption: true
}
access users {
  users: "@USER@"
  newsgroups: "*"
  access: RP
}
"#;

const STORAGE: &str = "method tradspool {\n  newsgroups: *\n  class: 0\n}\n";
