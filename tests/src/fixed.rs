//! TLS without chance and almost without cost, for fuzzing: the same octets in, the same octets
//! out. Anybody who listens can compute its secrets.

use std::cell::Cell;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup, aws_lc_rs,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{Error, NamedGroup, PeerMisbehaved};

use crate::pki::Pki;

/// An authority and a server's certificate whose keys follow from `number`. Signatures of Ed25519
/// hold no chance.
///
/// # Panics
/// If the keys are not to the library's liking.
pub fn pki(number: u8, change: impl FnOnce(&mut CertificateParams)) -> Pki {
    let key = |of: u8| {
        // RFC 8410 §7.
        let head = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let key = PrivatePkcs8KeyDer::from([&head[..], &[number, of].repeat(16)].concat());
        KeyPair::try_from(&key).expect("a key")
    };
    Pki::of(&format!("fixed authority {number}"), key(1), key(2), change)
}

/// Key exchange by two groups that only have the names of real ones, and randomness that is none.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![&FIRST, &SECOND],
        secure_random: &Stream,
        ..aws_lc_rs::default_provider()
    }
}

/// The same with the second group alone, so that a client which begins with the first has to begin
/// anew (RFC 8446 §4.1.4).
pub fn second_group() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![&SECOND], ..provider() }
}

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Randomness begins again: what is done next comes to what it came to before.
pub fn rewind() {
    DRAWN.set(0);
}

fn draw(room: &mut [u8]) {
    for octet in room {
        let drawn = DRAWN.get() + 1;
        DRAWN.set(drawn);
        *octet = (drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
    }
}

#[derive(Debug)]
struct Stream;

impl SecureRandom for Stream {
    fn fill(&self, room: &mut [u8]) -> Result<(), GetRandomFailed> {
        draw(room);
        Ok(())
    }
}

static FIRST: Group = Group(NamedGroup::X25519);
static SECOND: Group = Group(NamedGroup::secp256r1);

/// The secret is what both public keys have in common: nothing is secret.
#[derive(Debug)]
struct Group(NamedGroup);

struct Exchange(NamedGroup, [u8; 32]);

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut key = [0; 32];
        draw(&mut key);
        Ok(Box::new(Exchange(self.0, key)))
    }

    fn name(&self) -> NamedGroup {
        self.0
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        if peer.len() != self.1.len() {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let both = peer.iter().zip(self.1).map(|(theirs, ours)| theirs ^ ours);
        Ok(both.collect::<Vec<u8>>().into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.1
    }

    fn group(&self) -> NamedGroup {
        self.0
    }
}
