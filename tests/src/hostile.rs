//! Our session, octet by octet in the hands of a peer that has honest TLS at its disposal, and the
//! keys to records that no honest TLS would send.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::cipher::{AeadKey, Iv, OutboundPlainMessage};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, Connection, ConnectionTrafficSecrets, ContentType,
    ProtocolVersion, ServerConfig, ServerConnection, SupportedCipherSuite,
};
use starttls::Error;
use starttls::negotiate::{Client, Negotiate, Server};
use starttls::session::{Event, RECEIVE_BUFFER};
use starttls::tls::{ClientTls, ServerTls};

use crate::pki::NAME;
use crate::sessions::Heap;

/// One of our sessions, and the peer.
pub struct Hostile<N> {
    /// Our side.
    pub ours: Heap<N>,
    /// The honest part of the peer; nothing once it forges.
    pub theirs: Option<Connection>,
    /// What our side decrypted.
    pub data: Vec<u8>,
    /// What our side sent and nobody looked at.
    pub sent: Vec<u8>,
    forger: Option<Forger>,
}

fn buffers() -> (Vec<u8>, Vec<u8>) {
    (vec![0; RECEIVE_BUFFER], vec![0; 4096])
}

impl<N: Negotiate<Side = Client>> Hostile<N> {
    /// Our client, and a server.
    pub fn server(machine: N, client: ClientConfig, mut server: ServerConfig) -> Self {
        let (input, output) = buffers();
        let tls = ClientTls::new(Arc::new(client));
        server.enable_secret_extraction = true;
        let theirs = ServerConnection::new(Arc::new(server)).unwrap();
        Self::new(Heap::client(machine, &tls, NAME, input, output).unwrap(), theirs.into())
    }
}

impl<N: Negotiate<Side = Server>> Hostile<N> {
    /// Our server, and a client.
    pub fn client(machine: N, mut client: ClientConfig, server: ServerConfig) -> Self {
        let (input, output) = buffers();
        let tls = ServerTls::new(Arc::new(server)).unwrap();
        client.enable_secret_extraction = true;
        let name = ServerName::try_from(NAME).unwrap();
        let theirs = ClientConnection::new(Arc::new(client), name).unwrap();
        Self::new(Heap::server(machine, &tls, input, output).unwrap(), theirs.into())
    }
}

impl<N: Negotiate> Hostile<N> {
    fn new(ours: Heap<N>, theirs: Connection) -> Self {
        Self { ours, theirs: Some(theirs), data: Vec::new(), sent: Vec::new(), forger: None }
    }

    /// Gives `octets` to our side, as many at once as it has room for, and says what it came to.
    pub fn feed(&mut self, mut octets: &[u8]) -> Result<Event, Error> {
        loop {
            let event = self.ours.process();
            self.sent.extend_from_slice(self.ours.transmit());
            self.ours.transmitted(self.ours.transmit().len()).unwrap();
            match event {
                Ok(Event::Data) => {
                    let before = self.data.len();
                    self.ours.lend(|data| {
                        self.data.extend_from_slice(data.octets());
                        data.len()
                    });
                    assert!(self.data.len() > before, "data without an octet");
                }
                Ok(Event::Transmit | Event::Established) => {}
                Ok(Event::NeedInput | Event::PeerClosed) if !octets.is_empty() => {
                    let n = self.ours.spare_mut().len().min(octets.len());
                    self.ours.spare_mut()[..n].copy_from_slice(&octets[..n]);
                    self.ours.received(n).unwrap();
                    octets = &octets[n..];
                }
                _ => return event,
            }
        }
    }

    /// The transport ends, and what that came to.
    pub fn end(&mut self) -> Result<Event, Error> {
        self.ours.received(0).unwrap();
        self.feed(&[])
    }

    /// What our side sent since anybody looked.
    pub fn said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// What the honest peer wants to send, having been shown what our side sent.
    pub fn answer(&mut self) -> Vec<u8> {
        let sent = self.said();
        let theirs = self.theirs.as_mut().expect("still honest");
        let (mut rest, mut answer) = (&sent[..], Vec::new());
        while !rest.is_empty() {
            theirs.read_tls(&mut rest).unwrap();
            theirs.process_new_packets().unwrap();
        }
        while theirs.wants_write() {
            theirs.write_tls(&mut answer).unwrap();
        }
        answer
    }

    /// Runs the handshake to its end on both sides; the negotiation is over.
    #[must_use]
    pub fn established(mut self) -> Self {
        assert!(self.feed(&[]).is_ok());
        loop {
            let answer = self.answer();
            let over = !self.theirs.as_ref().expect("still honest").is_handshaking();
            if answer.is_empty() && over && self.ours.is_established() {
                return self;
            }
            assert_eq!(self.feed(&answer), Ok(Event::NeedInput));
        }
    }

    /// Data from the honest peer to our side.
    pub fn they_write(&mut self, data: &[u8]) {
        self.theirs.as_mut().expect("still honest").writer().write_all(data).unwrap();
        let octets = self.answer();
        assert_eq!(self.feed(&octets), Ok(Event::NeedInput));
    }

    /// Data from our side, as the honest peer reads it.
    pub fn we_write(&mut self, data: &[u8]) -> Vec<u8> {
        let mut rest = data;
        while !rest.is_empty() {
            rest = &rest[self.ours.write(rest).unwrap()..];
            self.sent.extend_from_slice(self.ours.transmit());
            self.ours.transmitted(self.ours.transmit().len()).unwrap();
        }
        assert_eq!(self.answer(), b"");
        let mut read = vec![0; data.len() + 1];
        let n = self.theirs.as_mut().expect("still honest").reader().read(&mut read).unwrap();
        read.truncate(n);
        read
    }

    /// A record of any kind and content, protected as the peer's next. The honest part is over.
    pub fn forge(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        if let Some(theirs) = self.theirs.take() {
            self.forger = Some(Forger::new(theirs));
        }
        self.forger.as_mut().expect("keys").record(kind, content)
    }

    /// Such a record, given to our side.
    pub fn forged(&mut self, kind: ContentType, content: &[u8]) -> Result<Event, Error> {
        let record = self.forge(kind, content);
        self.feed(&record)
    }
}

/// The peer's keys and its next sequence number.
pub struct Forger {
    suite: SupportedCipherSuite,
    key: [u8; 32],
    iv: [u8; 12],
    sequence: u64,
}

impl Forger {
    /// Takes over from a peer whose handshake is over, and who may give its secrets away.
    pub fn new(theirs: Connection) -> Self {
        let suite = theirs.negotiated_cipher_suite().expect("a suite");
        let (sequence, secrets) = theirs.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
            panic!("AES-256-GCM is what both sides prefer");
        };
        let (key, iv) = (key.as_ref().try_into().unwrap(), iv.as_ref().try_into().unwrap());
        Self { suite, key, iv, sequence }
    }

    /// A record of any kind and content, protected as the next.
    pub fn record(&mut self, typ: ContentType, content: &[u8]) -> Vec<u8> {
        let version = ProtocolVersion::TLSv1_2;
        let message = OutboundPlainMessage { typ, version, payload: content.into() };
        // A new one each time: they insist on sequence numbers from their first.
        let key = AeadKey::from(self.key);
        let mut encrypter = match self.suite {
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, Iv::new(self.iv)),
            SupportedCipherSuite::Tls12(suite) => {
                let (salt, explicit) = self.iv.split_at(4);
                suite.aead_alg.encrypter(key, salt, explicit)
            }
        };
        self.sequence += 1;
        encrypter.encrypt(message, self.sequence - 1).unwrap().encode()
    }
}
