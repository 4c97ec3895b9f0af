//! From a connection to a channel: negotiation, handshake, and what there is to say of them.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use starttls::error::Refusal;
use starttls::io::Error;
use starttls::negotiate::{AllowPlaintext, Negotiate};
use starttls::protocol::{ClientMachine, ServerMachine};
use starttls::session::Session;
use starttls::storage::Storage;
use starttls::tls::{ClientTls, Security, ServerTls, Version};
use starttls_tokio::{Channel, Plaintext};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::exit::{self, Failure};
use crate::net::{self, Transport};
use crate::text;
use crate::trace::{Role, Trace, Traced};

/// A channel's octets, whatever carries them.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A channel that is up.
pub(crate) struct Open {
    pub(crate) io: Box<dyn Duplex>,
    /// The transport below it, to see it end.
    pub(crate) tcp: Arc<TcpStream>,
    /// One direction can end before the other: not so with TLS 1.2.
    pub(crate) half_close: bool,
    pub(crate) facts: Facts,
}

/// What there is to know of a channel.
#[derive(Clone, Debug)]
pub(crate) enum Facts {
    Tls {
        version: &'static str,
        suite: &'static str,
        group: Option<&'static str>,
        alpn: Option<String>,
        resumed: bool,
        security: Security,
    },
    Plaintext {
        why: String,
    },
}

impl Facts {
    /// Whether it is known who the peer is.
    pub(crate) fn is_authenticated(&self) -> bool {
        matches!(self, Self::Tls { security: Security::Authenticated, .. })
    }
}

/// Negotiates as a client.
pub(crate) async fn connect(
    tcp: TcpStream,
    machine: ClientMachine<'static>,
    tls: &ClientTls,
    name: &str,
    plaintext: Option<AllowPlaintext>,
    trace: Option<Arc<Trace>>,
) -> Result<Open, Failure> {
    let (transport, tcp) = Transport::new(tcp, trace.clone());
    let machine = Traced::new(machine, trace.clone());
    let result = match plaintext {
        None => starttls_tokio::connect(transport, machine, tls, name).await.map(Channel::Secured),
        Some(allow) => {
            starttls_tokio::connect_or_plaintext(transport, machine, tls, name, allow).await
        }
    };
    opened(result, tcp, trace).await
}

/// Negotiates as a server.
pub(crate) async fn accept(
    tcp: TcpStream,
    machine: ServerMachine<'static>,
    tls: &ServerTls,
    plaintext: Option<AllowPlaintext>,
    trace: Option<Arc<Trace>>,
) -> Result<Open, Failure> {
    let (transport, tcp) = Transport::new(tcp, trace.clone());
    let machine = Traced::new(machine, trace.clone());
    let result = match plaintext {
        None => starttls_tokio::accept(transport, machine, tls).await.map(Channel::Secured),
        Some(allow) => starttls_tokio::accept_or_plaintext(transport, machine, tls, allow).await,
    };
    opened(result, tcp, trace).await
}

async fn opened<N: Negotiate + 'static>(
    result: Result<Channel<Transport, N>, Error>,
    tcp: Arc<TcpStream>,
    trace: Option<Arc<Trace>>,
) -> Result<Open, Failure> {
    match result {
        Ok(Channel::Secured(stream)) => {
            let facts = facts(stream.session());
            let half_close = stream.session().version() != Some(Version::Tls12);
            Ok(Open { io: Box::new(stream), tcp, half_close, facts })
        }
        Ok(Channel::Plaintext(mut plaintext)) => {
            if let Some(trace) = trace {
                trace.stop_showing();
            }
            plaintext.get_mut().end_with_fin();
            let facts = Facts::Plaintext { why: why(&plaintext) };
            Ok(Open { io: Box::new(plaintext), tcp, half_close: true, facts })
        }
        Err(error) => {
            net::part(&tcp).await;
            if let Some(trace) = trace {
                trace.finish();
            }
            Err(failure(error))
        }
    }
}

pub(crate) fn failure(error: Error) -> Failure {
    match error {
        Error::Session { error, tls, untrusted, .. } => {
            Failure::session(error, tls.as_ref(), untrusted.as_deref())
        }
        Error::Transport(error) => Failure::stream(&error),
        error => Failure::new(exit::NETWORK, error.to_string()),
    }
}

/// What is known of an established session.
pub(crate) fn facts<N: Negotiate, I: Storage, O: Storage>(session: &Session<N, I, O>) -> Facts {
    Facts::Tls {
        version: session.version().map_or("", Version::name),
        suite: session.suite().unwrap_or_default(),
        group: session.group(),
        alpn: session.alpn().map(text::escape),
        resumed: session.resumed(),
        security: session.security().unwrap_or(Security::Authenticated),
    }
}

fn why<N>(plaintext: &Plaintext<Transport, N>) -> String {
    let refusal: Refusal = plaintext.why();
    match text::escape_lines(plaintext.untrusted_text()) {
        said if said.is_empty() => refusal.to_string(),
        said => format!("{refusal}; untrusted text: \"{said}\""),
    }
}

/// What is said of one connection: one line when the channel is up, one object at the end.
#[derive(Debug)]
pub(crate) struct Report {
    /// Who we are; a server's client is not expected to show a certificate.
    pub(crate) role: Role,
    pub(crate) proto: String,
    /// The other side, for people.
    pub(crate) host: String,
    /// The other side, for machines.
    pub(crate) target: String,
    pub(crate) facts: Option<Facts>,
}

impl Report {
    /// The line that says what the channel is.
    pub(crate) fn up(&mut self, facts: &Facts) -> String {
        self.facts = Some(facts.clone());
        Line { report: self, facts }.to_string()
    }

    /// The object that says how it ended.
    pub(crate) fn json(&self, result: &Result<(), Failure>) -> Value {
        let (code, error) = match result {
            Ok(()) => (exit::DONE, Value::Null),
            Err(failure) => (failure.code, json!(failure.text)),
        };
        let (security, reason, tls) = match &self.facts {
            None => (Value::Null, Value::Null, Value::Null),
            Some(Facts::Plaintext { why }) => (json!("plaintext"), json!(why), Value::Null),
            Some(Facts::Tls { version, suite, group, alpn, resumed, security }) => {
                let (security, reason) = match security {
                    Security::Authenticated => (json!("authenticated"), Value::Null),
                    Security::Unauthenticated(why) => {
                        (json!("unauthenticated"), json!(why.to_string()))
                    }
                };
                let tls = json!({
                    "version": version,
                    "suite": suite,
                    "group": group,
                    "alpn": alpn,
                    "resumed": resumed,
                });
                (security, reason, tls)
            }
        };
        let outcome = match self.facts {
            Some(Facts::Plaintext { .. }) if code == exit::DONE => "plaintext",
            _ => exit::outcome(code),
        };
        json!({
            "target": self.target,
            "protocol": self.proto,
            "outcome": outcome,
            "exit": code,
            "security": security,
            "reason": reason,
            "tls": tls,
            "error": error,
        })
    }
}

struct Line<'r> {
    report: &'r Report,
    facts: &'r Facts,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { role, proto, host, .. } = self.report;
        match self.facts {
            Facts::Plaintext { why } => write!(f, "PLAINTEXT {proto} {host} ({why})"),
            Facts::Tls { version, suite, security, .. } => {
                write!(f, "secured {proto} {host} {version} {suite}")?;
                match (role, security) {
                    (Role::Client, Security::Unauthenticated(why)) => {
                        write!(f, " unauthenticated ({why})")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starttls::error::TlsError;

    fn report() -> Report {
        Report {
            role: Role::Client,
            proto: "smtp".into(),
            host: "localhost".into(),
            target: "smtp://localhost:25".into(),
            facts: None,
        }
    }

    fn tls(security: Security) -> Facts {
        let (version, suite) = ("TLSv1.3", "TLS13_AES_256_GCM_SHA384");
        let group = Some("X25519MLKEM768");
        Facts::Tls { version, suite, group, alpn: None, resumed: false, security }
    }

    #[test]
    fn lines() {
        assert_eq!(
            report().up(&tls(Security::Authenticated)),
            "secured smtp localhost TLSv1.3 TLS13_AES_256_GCM_SHA384"
        );
        assert_eq!(
            report().up(&tls(Security::Unauthenticated(TlsError::WrongName))),
            "secured smtp localhost TLSv1.3 TLS13_AES_256_GCM_SHA384 unauthenticated \
             (the certificate is for another name)"
        );
    }

    #[test]
    fn plaintext_never_says_secured() {
        let mut report = report();
        let line = report.up(&Facts::Plaintext { why: "refused".into() });
        assert_eq!(line, "PLAINTEXT smtp localhost (refused)");
        let object = report.json(&Ok(())).to_string();
        assert!(object.contains(r#""security":"plaintext""#), "{object}");
        assert!(!object.contains("secured"), "{object}");
    }

    #[test]
    fn failures_have_an_object_too() {
        let object = report().json(&Err(Failure::new(6, "no")));
        assert_eq!(object["outcome"], "tls-failed");
        assert_eq!(object["exit"], 6);
        assert_eq!(object["tls"], Value::Null);
    }
}
