//! Both sides' TLS, made once: a session in each role, and its peer.

use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::server::ServerSessionMemoryCache;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use starttls::negotiate::{Client, Server};
use starttls::protocol::{Implicit, SMTP, postgresql};
use starttls::session::Session;
use starttls::tls::{ClientTls, ServerTls};
use starttls_tests::fixed;
use starttls_tests::pki::NAME;
use starttls_tests::sessions::Heap;
use starttls_tests::table::{Machine, Role};

use super::{Case, Peer};

struct Configs {
    /// By version.
    clients: [ClientConfig; 3],
    verifier: Arc<WebPkiServerVerifier>,
    /// By what is wrong with the server, and whether it wants another group. The last asks for a
    /// certificate.
    servers: [[ServerConfig; 2]; 4],
}

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

fn configs() -> &'static Configs {
    static CONFIGS: OnceLock<Configs> = OnceLock::new();
    CONFIGS.get_or_init(|| {
        let good = fixed::pki(1, |_| ());
        let stranger = fixed::pki(2, |_| ());
        let misnamed = fixed::pki(1, |params| {
            let name = "other.example.org".try_into().expect("a name");
            params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
        });
        let client = |versions: &[&'static SupportedProtocolVersion]| {
            let mut config = good.client_with(fixed::provider(), versions);
            config.resumption = Resumption::disabled();
            config.enable_secret_extraction = true;
            config
        };
        let groups = || [fixed::provider(), fixed::second_group()];
        let server = |mut config: ServerConfig| {
            config.enable_secret_extraction = true;
            config
        };
        Configs {
            verifier: good.verifier(),
            clients: [client(BOTH), client(&[&TLS12]), client(&[&TLS13])],
            servers: [
                groups().map(|group| server(good.server_with(group))),
                groups().map(|group| server(stranger.server_with(group))),
                groups().map(|group| server(misnamed.server_with(group))),
                groups().map(|group| server(good.server_asking_with(group))),
            ],
        }
    })
}

impl Case {
    fn client(&self) -> ClientConfig {
        configs().clients[self.version].clone()
    }

    /// With a memory of its own: what one input leaves there is nothing to the next.
    fn server(&self, which: usize) -> ServerConfig {
        let mut config = configs().servers[which][usize::from(self.retry)].clone();
        config.session_storage = ServerSessionMemoryCache::new(8);
        config
    }

    fn buffers(&self) -> (Vec<u8>, Vec<u8>) {
        (vec![0; self.input], vec![0; self.output])
    }
}

/// A role that our session can have.
pub trait Ours: Role {
    #[doc(hidden)]
    #[expect(private_interfaces)]
    fn meet(case: &Case) -> (Heap<Machine<Self>>, Peer);
}

/// What a client of PostgreSQL asks with, and what it is answered.
const REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";
const GO_AHEAD: &[u8] = b"S";

#[expect(private_interfaces)]
impl Ours for Client {
    fn meet(case: &Case) -> (Heap<Machine<Self>>, Peer) {
        let machine: Machine<Self> = match case.upgrade {
            true => Box::new(postgresql::Client::new()),
            false => Box::new(Implicit::client(&SMTP)),
        };
        let config = Arc::new(case.client());
        let tls = match case.opportunistic {
            true => ClientTls::opportunistic(config, configs().verifier.clone()),
            false => ClientTls::new(config),
        };
        let (input, output) = case.buffers();
        let ours = Session::client(machine, &tls, NAME, input, output).expect("a session");
        let mut config = case.server(case.wrong);
        config.max_fragment_size = case.fragment;
        let theirs = ServerConnection::new(Arc::new(config)).expect("a good fragment size");
        let (awaits, answer) = if case.upgrade { (REQUEST.len(), GO_AHEAD) } else { (0, &[][..]) };
        (ours, Peer::new(theirs.into(), b"", awaits, answer))
    }
}

#[expect(private_interfaces)]
impl Ours for Server {
    fn meet(case: &Case) -> (Heap<Machine<Self>>, Peer) {
        let machine: Machine<Self> = match case.upgrade {
            true => Box::new(postgresql::Server::new()),
            false => Box::new(Implicit::server(&SMTP)),
        };
        let config = case.server(if case.wrong == 0 { 0 } else { 3 });
        let tls = ServerTls::new(Arc::new(config)).expect("no early data");
        let (input, output) = case.buffers();
        let ours = Session::server(machine, &tls, input, output).expect("a session");
        let mut config = case.client();
        config.max_fragment_size = case.fragment;
        let name = ServerName::try_from(NAME).expect("a name");
        let theirs = ClientConnection::new(Arc::new(config), name).expect("a good fragment size");
        let (first, awaits) = if case.upgrade { (REQUEST, GO_AHEAD.len()) } else { (&[][..], 0) };
        (ours, Peer::new(theirs.into(), first, awaits, b""))
    }
}
