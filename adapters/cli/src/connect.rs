//! `starttls connect`: stdin and stdout through the upgraded channel.

use std::time::Duration;

use starttls::negotiate::{AllowPlaintext, Negotiate};
use tokio::time::timeout;

use crate::args::ConnectArgs;
use crate::channel::{self, Open, Report};
use crate::exit::{self, Failure, note};
use crate::names::{client_names, verified};
use crate::net;
use crate::relay::{Limits, relay};
use crate::tls;
use crate::trace::{Inside, Opened, Role, Sink, Trace};

pub(crate) async fn run(args: &ConnectArgs) -> Result<u8, Failure> {
    let mut report = Report {
        role: Role::Client,
        proto: args.target.proto.clone(),
        host: args.target.host.clone(),
        target: args.target.to_string(),
        facts: None,
    };
    let result = carry(args, &mut report).await.map_err(|failure| failure.at(&args.target));
    let code = match &result {
        Ok(()) => exit::DONE,
        Err(failure) => failure.report(),
    };
    if args.common.json {
        exit::complain(&report.json(&result).to_string());
    }
    Ok(code)
}

async fn carry(args: &ConnectArgs, report: &mut Report) -> Result<(), Failure> {
    let open = within(args.common.timeout, open(args)).await?;
    note(&report.up(&open.facts));
    let limits = Limits { linger: args.relay.linger, idle: args.relay.idle, command: false };
    relay(open, &mut tokio::io::stdin(), tokio::io::stdout(), limits).await
}

async fn open(args: &ConnectArgs) -> Result<Open, Failure> {
    let (client, target) = (&args.client, &args.target);
    let tls = tls::client(client)?;
    let domain = args.common.domain.as_deref();
    let name = verified(target.scheme.row, client.name.as_deref(), domain, &target.host);
    tls::check_name(name)?;
    let names = || client_names(target.scheme.row, domain, &target.host);
    let trace = args.common.trace.then(|| Trace::new(Role::Client, Inside::Counts, Sink::Stderr));
    let mut machine = target.scheme.client(names()?).map_err(Failure::machine)?;
    if args.common.ready {
        let inside = target.scheme.inside_client(names()?).map_err(Failure::machine)?;
        machine = Box::new(machine.then(Opened::new(inside, trace.clone())));
    }
    let plaintext = client.policy.allow_plaintext.then_some(AllowPlaintext);
    let tcp = net::connect(target, client.bind).await?;
    channel::connect(tcp, machine, &tls, name, plaintext, trace).await
}

/// Bounds the way to a channel.
pub(crate) async fn within<T>(
    limit: Duration,
    way: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout(limit, way).await {
        Ok(result) => result,
        Err(_) => Err(Failure::late(limit)),
    }
}
