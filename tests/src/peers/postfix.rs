//! Postfix: SMTP and submission, and a sink that keeps all mail for *.test.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Dovecot, Identity, Mailbox, Missing, directory_of, free_port, mail_owner, need_root_and,
    open_directory, write,
};

/// A running Postfix, which accepts mail for every address in `test` and the domains below it.
///
/// The accounts are those of [`Dovecot`], which has to run at least as long.
#[derive(Debug)]
pub struct Postfix {
    /// SMTP that offers STARTTLS; no AUTH before it.
    pub smtp: u16,
    /// Submission: nothing without STARTTLS, no mail without AUTH.
    pub submission: u16,
    /// As `submission`, TLS from the first octet.
    pub submissions: u16,
    /// As `smtp`, but it takes messages of [`Postfix::SMALL_SIZE`] octets at most.
    pub small: u16,
    /// As `smtp`, but it wants a certificate of the client by the same authority.
    pub client_certificate: u16,
    /// As `smtp`, without STARTTLS.
    pub plaintext: u16,
    /// As `smtp`, with [`Ca::expired`].
    pub expired: u16,
    /// As `smtp`, with [`Ca::wrong_name`].
    pub wrong_name: u16,
    /// As `smtp`, with [`Ca::untrusted`].
    pub untrusted: u16,
    /// As `smtp`, with [`Ca::bulky`].
    pub bulky: u16,
    /// As `smtp`, with [`Ca::chained`].
    pub chained: u16,
    /// Where mail for the domain out.test goes to: a server that the test brings, which has to
    /// offer STARTTLS with a certificate of the same authority for localhost.
    pub outbound: u16,
    leash: Leash,
    dir: TempDir,
}

impl Postfix {
    /// A recipient refused for good: 550 5.1.1.
    pub const REFUSED: &str = "refused@mail.test";

    /// A recipient refused for now: 450 4.2.1.
    pub const LATER: &str = "later@mail.test";

    /// The largest message, octets.
    pub const SIZE: usize = 200 << 20;

    /// The largest message on the port `small`, octets.
    pub const SMALL_SIZE: usize = 100_000;

    /// Starts Postfix.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or Postfix.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca, dovecot: &Dovecot) -> Result<Self, Missing> {
        need_root_and("postfix", &["/usr/sbin/postfix", MASTER])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        for name in ["etc", "spool", "spool/pid"] {
            directory_of(&at(name), None);
        }
        for name in SPOOL {
            directory_of(&at("spool").join(name), Some(postfix_user()));
        }
        directory_of(&at("data"), Some(postfix_user()));
        directory_of(&at("sink"), Some(mail_owner()));
        write(&at("deliver"), DELIVER);

        let smtp = dovecot.relay;
        let ports = [(); 10].map(|()| free_port());
        let [
            submission,
            submissions,
            small,
            client_certificate,
            plaintext,
            expired,
            wrong_name,
            untrusted,
            bulky,
            chained,
        ] = ports;
        let outbound = free_port();
        let with = |identity: &Identity| {
            format!("-o smtpd_tls_chain_files={}", text(&identity.combined_pem))
        };
        let small_size = format!("-o message_size_limit={}", Self::SMALL_SIZE);
        let services = [
            (smtp, ""),
            (
                submission,
                "-o smtpd_tls_security_level=encrypt -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }",
            ),
            (
                submissions,
                "-o smtpd_tls_wrappermode=yes -o { smtpd_relay_restrictions = permit_sasl_authenticated, reject }",
            ),
            (small, &small_size),
            (client_certificate, "-o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes"),
            (plaintext, "-o smtpd_tls_security_level=none"),
            (expired, &with(&ca.expired)),
            (wrong_name, &with(&ca.wrong_name)),
            (untrusted, &with(&ca.untrusted)),
            (bulky, &with(&ca.bulky)),
            (chained, &with(&ca.chained)),
        ];
        let listeners: String = services
            .iter()
            .map(|(port, options)| format!("127.0.0.1:{port} inet n - n - - smtpd {options}\n"))
            .collect();
        let fill = |template: &str| {
            template
                .replace("@DIR@", text(dir.path()))
                .replace("@SIZE@", &Self::SIZE.to_string())
                .replace("@REFUSED@", Self::REFUSED)
                .replace("@LATER@", Self::LATER)
                .replace("@CHAIN@", text(&ca.server.combined_pem))
                .replace("@ROOT@", text(&ca.root_pem))
                .replace("@SASL@", text(&dovecot.sasl))
                .replace("@OUTBOUND@", &outbound.to_string())
        };
        write(&at("etc/main.cf"), fill(MAIN));
        make_old(&at("etc/main.cf"));
        write(&at("etc/master.cf"), listeners + &fill(SERVICES));

        let mut leash = Leash::start(
            "postfix",
            // Not `postfix start-fg`, which stays in front of the server and cannot stop it.
            &[MASTER, "-c", text(&at("etc")), "-s"],
            at("output"),
            vec![at("maillog")],
        );
        leash.wait_for_ports(&[&[smtp][..], &ports].concat());
        Ok(Self {
            smtp,
            submission,
            submissions,
            small,
            client_certificate,
            plaintext,
            expired,
            wrong_name,
            untrusted,
            bulky,
            chained,
            outbound,
            leash,
            dir,
        })
    }

    /// What was delivered to an address.
    pub fn mailbox(&self, address: &str) -> Mailbox {
        Mailbox { dir: self.dir.path().join("sink").join(address) }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.leash.log()
    }
}

/// The user and group that the package made, who own the data directory.
fn postfix_user() -> (u32, u32) {
    let owner = fs::metadata("/var/lib/postfix").expect("the package's data");
    (owner.uid(), owner.gid())
}

/// Makes a file look an hour old: Postfix waits until nobody has touched its configuration for
/// two seconds.
fn make_old(file: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3600);
    File::options()
        .write(true)
        .open(file)
        .and_then(|file| file.set_modified(then))
        .expect("a file of ours");
}

/// The queues and sockets. Made here, for `postfix check` takes seconds to do it.
const SPOOL: &[&str] = &[
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
    "private", "public", "saved", "trace",
];

const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// Puts one mail into the maildir of its recipient. (Postfix's own `virtual` takes the name of
/// a maildir only from a list of all addresses.)
const DELIVER: &str = r#"
set -eu
case $2 in '' | .* | */*) exit 67 ;; esac
box=$1/$2
name=$(date +%s.%N).$$
mkdir -p "$box/tmp" "$box/new"
cat >"$box/tmp/$name"
mv "$box/tmp/$name" "$box/new/$name"
"#;

const MAIN: &str = r"
compatibility_level = 3.6
queue_directory = @DIR@/spool
data_directory = @DIR@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = @DIR@/maillog
maillog_file_prefixes = @DIR@
myhostname = mail.test
mydomain = test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
biff = no
smtputf8_enable = yes
# No look-ups outside this machine.
smtpd_peername_lookup = no
smtp_host_lookup = native
smtp_dns_support_level = disabled
# The mail stays as it is.
local_header_rewrite_clients =
message_drop_headers =
message_size_limit = @SIZE@
mailbox_size_limit = 0

virtual_mailbox_domains = regexp:{{/^([^.]+\.)*test$$/ domain}}
virtual_transport = sink
virtual_mailbox_maps =
sink_destination_recipient_limit = 1
transport_maps = inline:{out.test=smtp:[127.0.0.1]:@OUTBOUND@}
relay_domains = out.test

smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{
    {@REFUSED@=550 5.1.1 No such user}
    {@LATER@=450 4.2.1 Mailbox is busy}
  }
smtpd_tls_security_level = may
smtpd_tls_chain_files = @CHAIN@
smtpd_tls_CAfile = @ROOT@
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = @SASL@
smtpd_sasl_security_options = noanonymous

smtp_tls_security_level = secure
smtp_tls_secure_cert_match = localhost
smtp_tls_CAfile = @ROOT@
smtp_tls_loglevel = 1
";

const SERVICES: &str = r"
sink      unix  -       n       n       -       -       pipe
  user=vmail argv=/bin/sh @DIR@/deliver @DIR@/sink ${recipient}
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
";
