//! Dovecot: IMAP, POP3, LMTP, ManageSieve, submission, and the accounts of Postfix.

use std::path::PathBuf;

use tempfile::TempDir;

use super::leash::{Leash, text};
use super::{
    Ca, Identity, Mailbox, Missing, OTHER_USER, PASSWORD, USER, directory_of, free_port,
    mail_owner, need_root_and, open_directory, write,
};

/// A running Dovecot with the accounts [`USER`] and [`OTHER_USER`].
///
/// Mechanisms: PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2, OAUTHBEARER. A client whose address is the
/// server's counts as secured: bind it to 127.0.0.2 to see what others get before TLS
/// (`LOGINDISABLED`, no mechanisms).
#[derive(Debug)]
pub struct Dovecot {
    /// LMTP with STARTTLS; it delivers to [`Dovecot::mailbox`].
    pub lmtp: u16,
    /// Submission with STARTTLS and AUTH; it hands the mail on to Postfix.
    pub submission: u16,
    /// Submission, TLS from the first octet.
    pub submissions: u16,
    /// IMAP with STARTTLS.
    pub imap: u16,
    /// IMAP, TLS from the first octet.
    pub imaps: u16,
    /// POP3 with STLS.
    pub pop3: u16,
    /// POP3, TLS from the first octet.
    pub pop3s: u16,
    /// ManageSieve with STARTTLS.
    pub managesieve: u16,
    /// Where the mail of submission is handed on to: Postfix listens there.
    pub(super) relay: u16,
    /// Where Postfix asks who may log in.
    pub(super) sasl: PathBuf,
    leash: Leash,
    dir: TempDir,
}

/// A JSON web token, HS256 by [`TOKEN_KEY`], of
/// `{"sub":"alice","iat":1577836800,"exp":4102444800}`.
pub(super) const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImlhdCI6MTU3NzgzNjgwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.aB3IUtuFEzebzOPbNbg5kU1tMTWTNHPLFiYpPAzvZuI";

/// The key, in Base64.
const TOKEN_KEY: &str = "c3RhcnR0bHMtdGVzdHMtaHMyNTYta2V5LTMyLW9jdGV0";

impl Dovecot {
    /// Starts Dovecot with the authority's certificate for servers.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or Dovecot.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(ca: &Ca) -> Result<Self, Missing> {
        Self::start_as(&ca.server)
    }

    /// Starts Dovecot with any certificate.
    ///
    /// # Errors
    ///
    /// [`Missing`] without root or Dovecot.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start_as(identity: &Identity) -> Result<Self, Missing> {
        need_root_and("dovecot-imapd", &["/usr/sbin/dovecot", "/usr/lib/dovecot/imap-login"])?;
        need_root_and("dovecot-pop3d", &["/usr/lib/dovecot/pop3-login"])?;
        need_root_and("dovecot-lmtpd", &["/usr/lib/dovecot/lmtp"])?;
        need_root_and("dovecot-managesieved", &["/usr/lib/dovecot/managesieve-login"])?;
        need_root_and("dovecot-submissiond", &["/usr/lib/dovecot/submission-login"])?;

        let dir = open_directory();
        let at = |name: &str| dir.path().join(name);
        directory_of(&at("mail"), Some(mail_owner()));
        directory_of(&at("keys/default/HS256"), None);
        write(&at("keys/default/HS256/default"), TOKEN_KEY);
        write(
            &at("users"),
            format!("{USER}:{{PLAIN}}{PASSWORD}\n{OTHER_USER}:{{PLAIN}}{PASSWORD}\n"),
        );
        write(
            &at("oauth2.conf"),
            format!(
                "introspection_mode = local\n\
                 local_validation_key_dict = fs:posix:prefix={}/\n\
                 username_attribute = sub\n",
                text(&at("keys"))
            ),
        );

        let ports = [(); 8].map(|()| free_port());
        let [lmtp, submission, submissions, imap, imaps, pop3, pop3s, managesieve] = ports;
        let listeners = listener("lmtp", "lmtp", lmtp, false)
            + &listener("submission-login", "submission", submission, false)
            + &listener("submission-login", "submissions", submissions, true)
            + &listener("imap-login", "imap", imap, false)
            + &listener("imap-login", "imaps", imaps, true)
            + &listener("pop3-login", "pop3", pop3, false)
            + &listener("pop3-login", "pop3s", pop3s, true)
            + &listener("managesieve-login", "sieve", managesieve, false);
        let relay = free_port();
        let config = CONFIG
            .replace("@DIR@", text(dir.path()))
            .replace("@CHAIN@", text(&identity.chain_pem))
            .replace("@KEY@", text(&identity.key_pem))
            .replace("@RELAY@", &relay.to_string())
            + &listeners;
        write(&at("dovecot.conf"), config);

        let mut leash = Leash::start(
            "dovecot",
            &["/usr/sbin/dovecot", "-F", "-c", text(&at("dovecot.conf"))],
            at("output"),
            vec![at("log")],
        );
        leash.wait_for_ports(&ports);
        Ok(Self {
            lmtp,
            submission,
            submissions,
            imap,
            imaps,
            pop3,
            pop3s,
            managesieve,
            relay,
            sasl: at("run/auth-postfix"),
            leash,
            dir,
        })
    }

    /// The mailbox of a user, into which LMTP delivers.
    pub fn mailbox(&self, user: &str) -> Mailbox {
        Mailbox { dir: self.dir.path().join("mail").join(user) }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.leash.log()
    }
}

fn listener(service: &str, name: &str, port: u16, implicit: bool) -> String {
    let ssl = if implicit { "yes" } else { "no" };
    format!(
        "service {service} {{\n  inet_listener {name} {{\n    address = 127.0.0.1\n    \
         port = {port}\n    ssl = {ssl}\n  }}\n}}\n"
    )
}

const CONFIG: &str = r"
base_dir = @DIR@/run
state_dir = @DIR@/state
instance_name = starttls-tests
log_path = @DIR@/log
auth_verbose = yes
listen = 127.0.0.1
hostname = mail.test
postmaster_address = postmaster@mail.test
protocols = imap pop3 lmtp sieve submission

ssl = yes
ssl_cert = <@CHAIN@
ssl_key = <@KEY@
ssl_min_protocol = TLSv1.2
ssl_dh =

disable_plaintext_auth = yes
auth_mechanisms = plain login scram-sha-256 xoauth2 oauthbearer
auth_failure_delay = 0
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = @DIR@/oauth2.conf
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%n @DIR@/users
}
first_valid_uid = 1
userdb {
  driver = static
  args = uid=vmail gid=vmail home=@DIR@/mail/%n
}
mail_location = maildir:@DIR@/mail/%n

# Refused logins would slow down those that follow.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  unix_listener auth-postfix {
    mode = 0666
  }
}
service stats {
  client_limit = 100
}

submission_relay_host = 127.0.0.1
submission_relay_port = @RELAY@
submission_relay_trusted = no
";
