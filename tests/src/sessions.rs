//! A client's session and a server's, joined by two pipes that cut the octets as they please.

use std::collections::VecDeque;
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Server};
use starttls::protocol::{ClientMachine, Names, Scheme, ServerMachine, scheme};
use starttls::session::{Event, RECEIVE_BUFFER, Session};
use starttls::tls::{ClientTls, ServerTls};

use crate::pki::NAME;

/// A session over buffers on the heap.
pub type Heap<N> = Session<N, Vec<u8>, Vec<u8>>;

/// Sizes of everything that may be cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Octets moved at a time.
    pub chunk: usize,
    /// Octets of each send buffer.
    pub send: usize,
    /// Octets of each receive buffer.
    pub receive: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self { chunk: usize::MAX, send: 4096, receive: RECEIVE_BUFFER }
    }
}

/// The machines for a URL scheme.
pub fn machines(name: &str) -> (ClientMachine<'static>, ServerMachine<'static>) {
    let scheme: Scheme = scheme(name).unwrap();
    let client = Names::new("client.example.org");
    let server = Names { extensions: &["SIZE 1000000", "8BITMIME"], ..Names::new(NAME) };
    (scheme.client(client).unwrap(), scheme.server(server).unwrap())
}

/// One end and the octets on their way to it.
pub struct End<N> {
    /// The session.
    pub session: Heap<N>,
    /// Octets on their way to it.
    pub wire: VecDeque<u8>,
    /// Whether the peer's transport has ended behind them.
    pub closed: bool,
    /// Everything it said.
    pub events: Vec<Result<Event, Error>>,
    /// Decrypted octets.
    pub data: Vec<u8>,
}

impl<N: Negotiate> End<N> {
    /// An end with nothing on its way.
    pub fn new(session: Heap<N>) -> Self {
        Self { session, wire: VecDeque::new(), closed: false, events: vec![], data: vec![] }
    }

    /// Takes in up to `chunk` octets, processes, and reports what changed.
    fn turn(&mut self, chunk: usize, out: &mut VecDeque<u8>) -> bool {
        let mut moved = false;
        let spare = self.session.spare_mut();
        let n = spare.len().min(chunk).min(self.wire.len());
        for octet in &mut spare[..n] {
            *octet = self.wire.pop_front().unwrap();
        }
        if n > 0 || (self.closed && self.wire.is_empty()) {
            self.session.received(n).unwrap();
            moved |= n > 0;
        }
        loop {
            let event = self.session.process();
            if let Ok(Event::Data) = event {
                let mut buffer = [0; 1000];
                let n = self.session.read(&mut buffer);
                assert!(n > 0);
                self.data.extend_from_slice(&buffer[..n]);
                moved = true;
            } else if self.events.last() != Some(&event)
                && !matches!(event, Ok(Event::NeedInput | Event::Transmit))
            {
                self.events.push(event);
                moved = true;
            }
            if !matches!(event, Ok(Event::Data | Event::Established)) {
                break;
            }
        }
        let n = self.session.transmit().len().min(chunk);
        out.extend(&self.session.transmit()[..n]);
        self.session.transmitted(n).unwrap();
        moved | (n > 0)
    }

    /// Whether the channel came up.
    pub fn is_up(&self) -> bool {
        self.events.contains(&Ok(Event::Established))
    }

    /// The last thing that happened.
    pub fn last(&self) -> Result<Event, Error> {
        *self.events.last().expect("something happened")
    }
}

/// Both ends.
pub struct Pair<C = ClientMachine<'static>, S = ServerMachine<'static>> {
    /// The client's end.
    pub client: End<C>,
    /// The server's end.
    pub server: End<S>,
    cut: Cut,
}

impl Pair {
    /// A pair for a URL scheme.
    pub fn new(scheme: &str, client: ClientConfig, server: ServerConfig, cut: Cut) -> Self {
        Self::with(scheme, &ClientTls::new(Arc::new(client)), server, cut)
    }

    /// The same with the client's policy.
    pub fn with(scheme: &str, client: &ClientTls, server: ServerConfig, cut: Cut) -> Self {
        let (c, s) = machines(scheme);
        Self::of(c, s, client, server, cut)
    }
}

impl<C: Negotiate<Side = Client>, S: Negotiate<Side = Server>> Pair<C, S> {
    /// A pair of these machines.
    pub fn of(c: C, s: S, client: &ClientTls, server: ServerConfig, cut: Cut) -> Self {
        let (input, output) = (|| vec![0; cut.receive], || vec![0; cut.send]);
        let server = ServerTls::new(Arc::new(server)).unwrap();
        Self {
            client: End::new(Session::client(c, client, NAME, input(), output()).unwrap()),
            server: End::new(Session::server(s, &server, input(), output()).unwrap()),
            cut,
        }
    }

    /// One turn of each end; whether anything moved.
    pub fn turn(&mut self) -> bool {
        let client = self.client.turn(self.cut.chunk, &mut self.server.wire);
        let server = self.server.turn(self.cut.chunk, &mut self.client.wire);
        client || server
    }

    /// Runs until nothing moves.
    pub fn run(&mut self) {
        for _ in 0..10_000_000 {
            if !self.turn() {
                return;
            }
        }
        panic!("no end in sight: {:?} {:?}", self.client.session, self.server.session);
    }

    /// One turn of the client alone, its octets to `out`.
    pub fn client_turn(&mut self, out: &mut VecDeque<u8>) {
        self.client.turn(usize::MAX, out);
    }

    /// What the server answers to what is on its wire, cut to `left` octets, which are counted
    /// down; empty is the end of the transport.
    pub fn server_says(&mut self, left: &mut usize) -> Vec<u8> {
        let mut out = VecDeque::new();
        while self.server.turn(usize::MAX, &mut out) {}
        let n = out.len().min(*left);
        *left -= n;
        out.into_iter().take(n).collect()
    }

    /// Runs until both channels are up.
    pub fn establish(mut self) -> Self {
        self.run();
        assert!(self.client.is_up(), "client: {:?}", self.client.events);
        assert!(self.server.is_up(), "server: {:?}", self.server.events);
        self
    }

    /// Runs until the client's channel is up.
    pub fn client_up(mut self) -> Self {
        self.run();
        assert!(self.client.is_up(), "client: {:?}", self.client.events);
        self
    }

    /// Writes all of `data` on the client's side, running both ends.
    pub fn client_writes(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.client.session.write(rest).unwrap();
            rest = &rest[n..];
            if n == 0 {
                self.run();
            }
        }
        self.run();
    }

    /// Writes all of `data` on the server's side, running both ends.
    pub fn server_writes(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let n = self.server.session.write(rest).unwrap();
            rest = &rest[n..];
            if n == 0 {
                self.run();
            }
        }
        self.run();
    }
}
