//! `starttls demo`: a mail from a client to a server of this program, on loopback.

use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use starttls::protocol::{Mail, Names, Scheme, scheme};
use starttls::receiver::Account;
use starttls::submission::{Content, Credentials, Envelope, Outcome, Require, Submission, measure};
use starttls::tls::{ClientTls, Security, ServerTls};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::args::DemoArgs;
use crate::channel::Facts;
use crate::exit::{self, Failure};
use crate::mailbox::{self, Delivered};
use crate::names::random;
use crate::net::Transport;
use crate::submit::{self, Outgoing, Sent};
use crate::tls;
use crate::trace::{Inside, Role, Sink, Trace, Traced};

/// STARTTLS, and what RFC 8314 prefers to it.
const UPGRADED: &str = "submission";
const IMPLICIT: &str = "submissions";

const HOST: &str = "localhost";
const CLIENT: &str = "client.example.org";
const USER: &str = "user@example.org";
const FRIEND: &str = "friend@example.net";
const MESSAGE: &str = "\
From: A user <user@example.org>\r
To: A friend <friend@example.net>\r
Subject: Over STARTTLS\r
\r
Nobody on the way could read this line.\r
.\r
The line above is a dot, and not the end.\r
";

/// Nothing on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A fresh certificate, and a client that trusts its issuer.
struct Fresh {
    client: ClientTls,
    server: ServerTls,
    password: String,
}

pub(crate) async fn run(args: &DemoArgs) -> Result<u8, Failure> {
    let fresh = Fresh::new()?;
    let inside = if args.trace { Inside::All } else { Inside::Lines };
    let trace = || Some(Trace::new(Role::Client, inside, Sink::Stdout));
    match args {
        DemoArgs { strip: true, .. } => strip(&fresh, trace()).await,
        DemoArgs { implicit: true, .. } => compare(&fresh).await,
        _ => deliver(&fresh, trace()).await,
    }
}

/// One mail, as both sides say it.
async fn deliver(fresh: &Fresh, trace: Option<Arc<Trace>>) -> Result<u8, Failure> {
    exit::print(&format!("A mail by {UPGRADED}://{HOST}: C is the client, S the server.\n\n"))?;
    let (sent, mails) = fresh.mail(UPGRADED, trace, false).await?;
    let (facts, mails) = delivered(&sent, mails)?;
    exit::print(&format!("\n{}\n", parameters(facts)))?;
    let (up, all) = sent.waits;
    exit::print(&format!("Waits for the server: {up} up to the channel, {all} in all\n"))?;
    for mail in mails {
        let (from, to) = (mail.from, mail.to.join(", "));
        exit::print(&format!("\nThe mail as received, from {from} for {to}:\n\n"))?;
        exit::print(&String::from_utf8_lossy(&mail.octets))?;
    }
    Ok(exit::DONE)
}

/// The same mail both ways, and what the round trips of STARTTLS cost.
async fn compare(fresh: &Fresh) -> Result<u8, Failure> {
    let (upgraded, mails) = fresh.mail(UPGRADED, None, false).await?;
    delivered(&upgraded, mails)?;
    let (implicit, mails) = fresh.mail(IMPLICIT, None, false).await?;
    delivered(&implicit, mails)?;
    let (u, i) = (upgraded.waits, implicit.waits);
    exit::print(
        "The same mail with the same login, delivered both ways. Waits for the server:\n\n",
    )?;
    exit::print(&format!("{:28}{:>12}{:>16}\n", "", "STARTTLS", "implicit TLS"))?;
    for (what, u, i) in [
        ("up to the channel", u.0, i.0),
        ("from there to the end", u.1 - u.0, i.1 - i.0),
        ("in all", u.1, i.1),
    ] {
        exit::print(&format!("{what:28}{u:>12}{i:>16}\n"))?;
    }
    exit::print(&format!(
        "\nEach wait is a round trip: on a path of 100 ms, {} ms against {} ms. And there is no\n\
         plaintext for anybody to meddle with: where a server has a port for implicit TLS, use it.\n",
        u.1 * 100,
        i.1 * 100
    ))?;
    Ok(exit::DONE)
}

/// Somebody in the middle hides STARTTLS, and refuses it when it is asked for all the same.
async fn strip(fresh: &Fresh, trace: Option<Arc<Trace>>) -> Result<u8, Failure> {
    exit::print("Somebody between client and server hides STARTTLS and refuses it:\n\n")?;
    let (sent, mails) = fresh.mail(UPGRADED, trace, true).await?;
    let (Err(failure), Err(_)) = (sent.result, mails) else {
        return Err(Failure::new(exit::MISBEHAVED, "a mail went out over a stripped channel"));
    };
    exit::print("\nNo login and no mail was sent, and none reached the server.\n")?;
    Ok(failure.at(format!("{UPGRADED}://{HOST}")).report())
}

/// Both sides did it.
fn delivered(
    sent: &Sent,
    mails: Result<Vec<Delivered>, Failure>,
) -> Result<(&Facts, Vec<Delivered>), Failure> {
    sent.result.clone()?;
    let all = sent.report.recipients.iter().all(|to| matches!(to, Outcome::Delivered(_)));
    match (&sent.facts, mails?) {
        (Some(facts), mails)
            if all && mails.iter().any(|mail| mail.octets == MESSAGE.as_bytes()) =>
        {
            Ok((facts, mails))
        }
        _ => Err(Failure::new(exit::MISBEHAVED, "the mail did not arrive as it was sent")),
    }
}

fn parameters(facts: &Facts) -> String {
    match facts {
        Facts::Tls { version, suite, group, security, .. } => {
            let group = group.unwrap_or("none");
            let peer = match security {
                Security::Authenticated => "authenticated",
                Security::Unauthenticated(_) => "unauthenticated",
            };
            format!("TLS: {version}, {suite}, key exchange {group}, server {peer}")
        }
        Facts::Plaintext { why } => format!("no TLS: {why}"),
    }
}

impl Fresh {
    fn new() -> Result<Self, Failure> {
        let failed = |error: rcgen::Error| Failure::usage(format!("no certificate: {error}"));
        let mut issuer = CertificateParams::new([]).map_err(failed)?;
        issuer.distinguished_name.push(DnType::CommonName, "starttls demo");
        issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(failed)?;
        let root = CertificateDer::from(issuer.self_signed(&key).map_err(failed)?);
        let issuer = Issuer::new(issuer, key);
        let leaf = CertificateParams::new([HOST.to_owned()]).map_err(failed)?;
        let key = KeyPair::generate().map_err(failed)?;
        let leaf = leaf.signed_by(&key, &issuer).map_err(failed)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|error| Failure::usage(format!("no key: {error}")))?;
        let mut octets = [0; 12];
        random(&mut octets).map_err(Failure::machine)?;
        Ok(Self {
            client: tls::trusting(root)?,
            server: tls::serving(vec![leaf.into()], key)?,
            password: octets.iter().map(|octet| format!("{octet:02x}")).collect(),
        })
    }

    /// Sends the mail; what the client knows of it, and what the server has.
    async fn mail(
        &self,
        proto: &str,
        trace: Option<Arc<Trace>>,
        stripped: bool,
    ) -> Result<(Sent, Result<Vec<Delivered>, Failure>), Failure> {
        let Some(scheme) = scheme(proto) else {
            return Err(Failure::usage(format!("no scheme {proto}")));
        };
        let (server, door) = (loopback().await?, loopback().await?);
        let address = local(&server)?;
        let account = Account { user: USER, password: &self.password };
        let serving = async {
            let tcp = accept(&server).await?;
            mailbox::serve(tcp, scheme, &self.server, account).await
        };
        let meddling = async {
            if stripped {
                let client = accept(&door).await?;
                meddle(client, connect(address).await?)
                    .await
                    .map_err(|error| Failure::stream(&error))?;
            }
            Ok::<_, Failure>(())
        };
        let to = if stripped { local(&door)? } else { address };
        let all = async { tokio::join!(self.submit(scheme, to, trace), serving, meddling) };
        match timeout(PATIENCE, all).await {
            Ok((sent, mails, _)) => Ok((sent?, mails)),
            Err(_) => Err(Failure::new(exit::NETWORK, "the time ran out")),
        }
    }

    /// The client's side.
    async fn submit(
        &self,
        scheme: Scheme,
        to: SocketAddr,
        trace: Option<Arc<Trace>>,
    ) -> Result<Sent, Failure> {
        let failed = Failure::machine;
        let mut measured = measure();
        measured.update(MESSAGE.as_bytes());
        measured.finish();
        let mail = scheme.row.mail.unwrap_or(Mail::Smtp);
        let mut submission = Submission::new(mail, CLIENT, scheme.implicit).map_err(failed)?;
        let login = Credentials::password(USER, &self.password);
        submission.login(login, &mut random).map_err(failed)?;
        let envelope = Envelope {
            from: USER,
            to: &[FRIEND],
            size: Some(measured.size()),
            content: Content::SevenBit,
            utf8: false,
            require: Require::Any,
        };
        submission.mail(envelope, true).map_err(failed)?;
        let machine = scheme.client(Names::new(CLIENT)).map_err(failed)?;
        let machine = Traced::new(machine, trace.clone());
        let mut exchange = submit::exchange(machine, &self.client, HOST, submission)?;
        if let Some(trace) = trace.clone() {
            exchange = exchange.with_trace(Box::new(move |spoken| trace.spoken(spoken)));
        }
        let (transport, _) = Transport::new(connect(to).await?, trace.clone());
        let message = Cursor::new(MESSAGE);
        let (timeout, started) = (PATIENCE, Instant::now());
        let outgoing = Outgoing { exchange, message, timeout, started, lost: None, waiting: None };
        let sent = outgoing.send(transport, |_| {}).await;
        if let Some(trace) = trace {
            trace.finish();
        }
        Ok(sent)
    }
}

/// What somebody in the middle can do to plaintext.
async fn meddle(client: TcpStream, server: TcpStream) -> std::io::Result<()> {
    let (client, mut to_client) = client.into_split();
    let (server, mut to_server) = server.into_split();
    let (mut client, mut server) = (BufReader::new(client), BufReader::new(server));
    loop {
        let mut reply = Vec::new();
        loop {
            let mut line = Vec::new();
            if server.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let last = line.get(3) != Some(&b'-');
            reply.push(line);
            if last {
                break;
            }
        }
        reply.retain(|line| line.get(4..).map(<[u8]>::trim_ascii) != Some(b"STARTTLS"));
        if let Some(separator) = reply.last_mut().and_then(|line| line.get_mut(3)) {
            *separator = b' ';
        }
        to_client.write_all(&reply.concat()).await?;
        loop {
            let mut command = Vec::new();
            if client.read_until(b'\n', &mut command).await? == 0 {
                return Ok(());
            }
            if command.trim_ascii() == b"STARTTLS" {
                to_client.write_all(b"502 5.5.1 Command not implemented\r\n").await?;
            } else {
                to_server.write_all(&command).await?;
                break;
            }
        }
    }
}

async fn loopback() -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    listener.map_err(|error| Failure::network("loopback", &error))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::network("loopback", &error))
}

async fn connect(to: SocketAddr) -> Result<TcpStream, Failure> {
    let tcp = TcpStream::connect(to).await;
    tcp.map_err(|error| Failure::network("loopback", &error))
}

async fn accept(listener: &TcpListener) -> Result<TcpStream, Failure> {
    match listener.accept().await {
        Ok((tcp, _)) => Ok(tcp),
        Err(error) => Err(Failure::network("loopback", &error)),
    }
}
