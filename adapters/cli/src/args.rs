//! The command line's one definition: help, completions and the manual come from it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::exit::{self, note};
use crate::target::Target;
use crate::text;

const EXIT: &str = "\
Exit status:
  0  done
  2  usage, or an unreadable file
  3  could not connect or listen, the connection broke or was closed, or the time ran out
  4  the peer does not offer TLS, or refused it
  5  the peer misbehaved: octets across the boundary, malformed or impossible replies
  6  TLS failed: certificate, name, version, alert
  7  the policy is not met
  8  refused for good: login, sender, recipient or message
  9  refused for now: try again later";

const CONNECT: &str = "\
Examples:
  starttls connect smtp://mail.example.org
  printf 'EHLO me\\r\\nQUIT\\r\\n' | starttls connect --ca ca.pem submission://localhost
  starttls connect --trace smtps://mail.example.org < /dev/null
  printf 'x LOGOUT\\r\\n' | starttls connect --ready imap://mail.example.org
  starttls connect --policy opportunistic --json smtp://[2001:db8::25]";

const SERVE: &str = "\
Examples:
  starttls serve --cert cert.pem --key key.pem smtp://127.0.0.1:2525
  starttls serve --cert cert.pem --key key.pem --once smtps://localhost:0 < replies
  starttls serve --cert cert.pem --key key.pem lmtp://[::1]:2424 --exec ./lmtpd --inside";

const SEND: &str = "\
The server has to be authenticated before it is given a password. Prints one line for each recipient.

Examples:
  starttls send --server submission://mail.example.org --user me@example.org \\
      --password-file pw --to you@example.net < message
  starttls send --server lmtp://localhost:2424 --ca ca.pem --from me@a --to you@b --message m.eml
  starttls send --trace --json --from '' --to postmaster@example.net --server smtp://mx.example.net";

const DEMO: &str = "\
Examples:
  starttls demo               a mail over STARTTLS, as both sides say it
  starttls demo --implicit    what the round trips of STARTTLS cost
  starttls demo --strip       what somebody in the middle gets: nothing";

#[derive(Debug, Parser)]
#[command(
    name = "starttls",
    version,
    about = "Opportunistic TLS (STARTTLS and its kin) from the shell",
    after_help = EXIT,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Deliver a mail over STARTTLS on loopback, with nothing to set up
    #[command(after_help = DEMO)]
    Demo(DemoArgs),
    /// Submit a message
    #[command(after_help = SEND)]
    Send(SendArgs),
    /// Carry stdin and stdout through the upgraded channel
    #[command(after_help = CONNECT)]
    Connect(ConnectArgs),
    /// Serve the upgrade, and carry the channel to stdin and stdout or to a command
    #[command(after_help = SERVE)]
    Serve(ServeArgs),
    /// Print the completions for a shell
    #[command(
        after_help = "Example:\n  starttls completions bash > /etc/bash_completion.d/starttls"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  starttls man | man -l -")]
    Man,
}

/// What must be so before anything is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    /// No TLS, no success.
    #[default]
    Require,
    /// Any certificate will do.
    Opportunistic,
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// `require`: no verified TLS, no success. `opportunistic`: any certificate will do
    #[arg(long, value_name = "P", default_value = "require", value_parser = policy)]
    pub(crate) policy: Policy,
    /// With the opportunistic policy: go on in plaintext when the peer declines TLS
    #[arg(long)]
    pub(crate) allow_plaintext: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// PEM roots instead of the platform's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Name to verify and to send as SNI, instead of the host
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// Do not send the protocol's name in TLS (ALPN)
    #[arg(long)]
    pub(crate) no_alpn: bool,
    /// PEM chain to show to the server
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Its PEM key
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,
    /// Local address
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Option<IpAddr>,
    /// Not built yet
    #[arg(long, hide = true, value_parser = not_built)]
    pin: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// What this side calls itself or, where the protocol wants that, the service (XMPP, HTTP)
    #[arg(long, value_name = "NAME")]
    pub(crate) domain: Option<String>,
    /// For the whole way to a working channel
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Say and hear what the protocol begins with inside TLS (greeting, EHLO, capabilities), and
    /// carry what follows
    #[arg(long)]
    pub(crate) ready: bool,
    /// Draw the exchange on stderr, with the TLS boundary
    #[arg(long)]
    pub(crate) trace: bool,
    /// Say how it ended as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// The longest wait for the peer's end, anew from every octet that arrives
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) linger: Duration,
    /// Give up when nothing moved in either direction for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) idle: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectArgs {
    /// PROTO://HOST[:PORT] upgrades in band, PROTOs://HOST[:PORT] is implicit TLS
    #[arg(value_name = "URL")]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// PROTO://HOST[:PORT] upgrades in band, PROTOs://HOST[:PORT] is implicit TLS; port 0 picks one
    #[arg(value_name = "URL")]
    pub(crate) target: Target,
    /// PEM chain
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: PathBuf,
    /// Its PEM key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// End after the first connection
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) relay: RelayArgs,
    /// Command to run for each connection, with its arguments; last on the line
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) exec: Option<Vec<String>>,
}

/// Ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    Plain,
    Login,
    #[value(name = "scram-sha-256")]
    ScramSha256,
    Xoauth2,
    Oauthbearer,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// User to log in as
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// File whose first line is the password, or the token
    #[arg(long, value_name = "FILE", requires = "user", conflicts_with = "password_env")]
    pub(crate) password_file: Option<PathBuf>,
    /// Environment variable that holds it
    #[arg(long, value_name = "VARIABLE", requires = "user")]
    pub(crate) password_env: Option<String>,
    /// Way to log in, or none [default: the best both sides have]
    #[arg(long, value_name = "MECHANISM", requires = "user")]
    pub(crate) auth: Option<Auth>,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// PROTO://HOST[:PORT] of the server
    #[arg(long, value_name = "URL", default_value = "submission://localhost")]
    pub(crate) server: Target,
    /// Message (RFC 5322) instead of stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) message: Option<PathBuf>,
    /// Sender, '' for none [default: USER if it is an address, else the message's From field]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<String>,
    /// Recipient; may be given again
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub(crate) to: Vec<String>,
    #[command(flatten)]
    pub(crate) login: LoginArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The same mail over STARTTLS and over implicit TLS, the waits for the peer side by side
    #[arg(long, conflicts_with = "strip")]
    pub(crate) implicit: bool,
    /// Somebody in the middle hides STARTTLS and refuses it
    #[arg(long)]
    pub(crate) strip: bool,
    /// Count the octets of TLS in the ladder too
    #[arg(long)]
    pub(crate) trace: bool,
}

impl PolicyArgs {
    fn check(&self) -> Result<(), &'static str> {
        if self.allow_plaintext && self.policy == Policy::Require {
            return Err("--allow-plaintext contradicts the policy `require`; \
                        it goes with --policy opportunistic");
        }
        Ok(())
    }
}

impl SendArgs {
    fn check(&self) -> Result<(), &'static str> {
        if self.client.policy.allow_plaintext && self.login.user.is_none() {
            return Err("mail in plaintext (--allow-plaintext) is not built yet");
        }
        self.client.policy.check().and_then(|()| reachable(&self.server))
    }
}

/// The arguments of this process; help and usage errors end it.
pub(crate) fn parse() -> Verb {
    let verb = Cli::try_parse().unwrap_or_else(|error| unusable(&error)).verb;
    let checked = match &verb {
        Verb::Connect(args) => args.client.policy.check().and_then(|()| reachable(&args.target)),
        Verb::Serve(args) => args.policy.check(),
        Verb::Send(args) => args.check(),
        Verb::Demo(_) | Verb::Completions { .. } | Verb::Man => Ok(()),
    };
    if let Err(text) = checked {
        unusable(&Cli::command().error(ErrorKind::ArgumentConflict, text));
    }
    verb
}

/// Ends the process: after help with 0, else with one line that says what is wrong.
fn unusable(error: &clap::Error) -> ! {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    note(&one_line(&error.to_string()));
    std::process::exit(exit::USAGE.into())
}

/// The words of an error without the usage behind them.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let words =
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    let words = words.strip_prefix("error: ").unwrap_or(&words);
    format!("{}; --help says more", text::escape(words.as_bytes()))
}

fn reachable(target: &Target) -> Result<(), &'static str> {
    match target.port {
        0 => Err("nobody can be reached at port 0"),
        _ => Ok(()),
    }
}

/// The definition, for what is made from it.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

fn policy(name: &str) -> Result<Policy, String> {
    match name {
        "require" => Ok(Policy::Require),
        "opportunistic" => Ok(Policy::Opportunistic),
        "dane" | "mta-sts" => Err("not built yet; there are `require` and `opportunistic`".into()),
        _ => Err("there are `require` and `opportunistic`".into()),
    }
}

fn not_built(_: &str) -> Result<String, String> {
    Err("this option is not built yet".into())
}

/// Seconds, fractions allowed. A hundred years stand for ever.
fn seconds(text: &str) -> Result<Duration, String> {
    const EVER: f64 = 100.0 * 365.25 * 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => Ok(Duration::from_secs_f64(seconds.min(EVER))),
        _ => Err("this is no number of seconds".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seconds_parse() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert!(seconds("inf").is_ok_and(|ever| ever > Duration::from_secs(1 << 31)));
        for text in ["", "-1", "NaN", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exec_takes_the_rest_of_the_line() {
        let line = "starttls serve smtp://[::1]:0 --cert c --key k --once --exec cat -v --once";
        let Ok(Cli { verb: Verb::Serve(args) }) = Cli::try_parse_from(line.split(' ')) else {
            panic!("{line}");
        };
        assert_eq!(args.exec, Some(["cat", "-v", "--once"].map(String::from).to_vec()));
    }

    #[test]
    fn what_is_not_built_is_said() {
        for option in ["--policy=dane", "--policy=mta-sts", "--pin=sha256//AAAA"] {
            let error = Cli::try_parse_from(["starttls", "connect", "smtp://a", option]).err();
            assert!(error.is_some_and(|error| error.to_string().contains("not built yet")));
        }
    }
}
