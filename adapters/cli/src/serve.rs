//! `starttls serve`: the server's side of the upgrade, to stdin and stdout or to a command.

use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use starttls::negotiate::{AllowPlaintext, Negotiate};
use starttls::protocol::{Names, ServerMachine};
use starttls::tls::ServerTls;
use tokio::io::Stdin;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::args::ServeArgs;
use crate::channel::{self, Open, Report};
use crate::connect::within;
use crate::exit::{self, Failure, note};
use crate::names::{names, random};
use crate::net;
use crate::relay::{Limits, relay};
use crate::tls;
use crate::trace::{Inside, Opened, Role, Sink, Trace};

/// What all connections share.
struct Service {
    args: ServeArgs,
    tls: ServerTls,
    names: Names<'static>,
}

pub(crate) async fn run(args: ServeArgs) -> Result<u8, Failure> {
    let tls = tls::server(&args.cert, &args.key)?;
    let names = names(args.common.domain.as_deref(), "")?;
    let service = Rc::new(Service { tls, names, args });
    service.machine(None)?;
    let target = &service.args.target;
    let listener = net::listen(target).await.map_err(|failure| failure.at(target))?;
    let address = listener.local_addr().map_err(|error| Failure::network("the port", &error))?;
    note(&format!("listening {address}"));

    let mut stdin = tokio::io::stdin();
    loop {
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors left, or a client that is gone already.
                note(&format!("could not accept: {error}"));
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // It delays nothing, and that is all there is to lose.
        let _ = tcp.set_nodelay(true);
        let peer = peer.to_string();
        if service.args.once {
            drop(listener);
            return Ok(service.serve(tcp, peer, Some(&mut stdin)).await);
        }
        if service.args.exec.is_some() {
            let service = service.clone();
            tokio::task::spawn_local(async move {
                service.serve(tcp, peer, None).await;
            });
        } else {
            service.serve(tcp, peer, Some(&mut stdin)).await;
        }
    }
}

impl Service {
    /// The machine for one connection.
    fn machine(&self, trace: Option<Arc<Trace>>) -> Result<ServerMachine<'static>, Failure> {
        let fresh = || {
            let mut octets = [0; 16];
            random(&mut octets).map_err(Failure::machine)?;
            Ok(Names { random: Some(octets), ..self.names })
        };
        let scheme = self.args.target.scheme;
        let machine = scheme.server(fresh()?).map_err(Failure::machine)?;
        if !self.args.common.ready {
            return Ok(machine);
        }
        let inside = scheme.inside_server(fresh()?).map_err(Failure::machine)?;
        Ok(Box::new(machine.then(Opened::new(inside, trace))))
    }

    /// One connection, and the exit status for it.
    async fn serve(&self, tcp: TcpStream, peer: String, stdin: Option<&mut Stdin>) -> u8 {
        let proto = &self.args.target.proto;
        let target = format!("{proto}://{peer}");
        let mut report = Report {
            role: Role::Server,
            proto: proto.clone(),
            host: peer,
            target: target.clone(),
            facts: None,
        };
        let result = self.carry(tcp, &mut report, stdin).await;
        let result = result.map_err(|failure| failure.at(target));
        let code = match &result {
            Ok(()) => exit::DONE,
            Err(failure) => failure.report(),
        };
        if self.args.common.json {
            exit::complain(&report.json(&result).to_string());
        }
        code
    }

    async fn carry(
        &self,
        tcp: TcpStream,
        report: &mut Report,
        stdin: Option<&mut Stdin>,
    ) -> Result<(), Failure> {
        let trace =
            self.args.common.trace.then(|| Trace::new(Role::Server, Inside::Counts, Sink::Stderr));
        let plaintext = self.args.policy.allow_plaintext.then_some(AllowPlaintext);
        let machine = self.machine(trace.clone())?;
        let accept = channel::accept(tcp, machine, &self.tls, plaintext, trace);
        let open = within(self.args.common.timeout, accept).await?;
        note(&report.up(&open.facts));
        match (self.args.exec.as_deref(), stdin) {
            (Some([command, arguments @ ..]), _) => self.command(open, command, arguments).await,
            (_, Some(stdin)) => relay(open, stdin, tokio::io::stdout(), self.limits(false)).await,
            _ => Ok(()),
        }
    }

    /// One process for the connection; its standard error is ours.
    async fn command(
        &self,
        open: Open,
        command: &str,
        arguments: &[String],
    ) -> Result<(), Failure> {
        let mut child = Command::new(command)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::usage(format!("{command}: {error}")))?;
        let (Some(sink), Some(mut source)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::usage(format!("{command}: no pipes to it")));
        };
        let result = relay(open, &mut source, sink, self.limits(true)).await;
        drop(source);
        // It has seen the end of its input; tokio reaps it whenever it ends.
        let _ = timeout(self.args.relay.linger, child.wait()).await;
        result
    }

    fn limits(&self, command: bool) -> Limits {
        Limits { linger: self.args.relay.linger, idle: self.args.relay.idle, command }
    }
}
