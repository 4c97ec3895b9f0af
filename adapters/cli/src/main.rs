//! `starttls`: opportunistic TLS from the shell.
//!
//! ```text
//! args ─► demo, send, connect, serve        the verbs
//!           │
//!           ├─ tls       configuration from files and policy
//!           ├─ net       resolving, connecting, listening
//!           ├─ trace     the ladder on stderr
//!           ├─ channel   negotiation and handshake, and what became of them
//!           ├─ relay     octets both ways, and how that ends
//!           └─ exit      what went wrong, in one line and one number
//! ```

mod args;
mod channel;
mod connect;
mod demo;
mod exit;
mod login;
mod mailbox;
mod manual;
mod message;
mod names;
mod net;
mod relay;
mod send;
mod serve;
mod submit;
mod target;
mod text;
mod tls;
mod trace;

use std::process::exit;

use args::Verb;
use exit::Failure;

fn main() {
    let verb = args::parse();
    let code = match run(verb) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    };
    // A thread may still be reading standard input, which nothing can interrupt but this.
    exit(code.into())
}

fn run(verb: Verb) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::network("the runtime could not start", &error))?;
    let local = tokio::task::LocalSet::new();
    let result = match verb {
        Verb::Demo(args) => runtime.block_on(local.run_until(demo::run(&args))),
        Verb::Send(args) => runtime.block_on(local.run_until(send::run(&args))),
        Verb::Connect(args) => runtime.block_on(local.run_until(connect::run(&args))),
        Verb::Serve(args) => runtime.block_on(local.run_until(serve::run(args))),
        Verb::Completions { shell } => print(&manual::completions(shell)),
        Verb::Man => manual::man().and_then(|page| print(&page)),
    };
    runtime.shutdown_background();
    result
}

fn print(octets: &[u8]) -> Result<u8, Failure> {
    exit::print(&String::from_utf8_lossy(octets)).map(|()| exit::DONE)
}
