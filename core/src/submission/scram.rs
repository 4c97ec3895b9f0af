//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side, without channel binding.
//!
//! ```text
//! client   n,,n=user,r=nonce
//! server   r=nonce+more,s=salt,i=rounds
//! client   c=biws,r=nonce+more,p=proof
//! server   v=signature             or e=error
//! ```

use core::fmt;

use base64ct::{Base64, Encoding};
use heapless::Vec;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::writer::Encoder;
use crate::error::{Error, Misbehaviour, Misuse};

/// The fewest rounds a server may ask for (RFC 7677 §4).
const MIN_ITERATIONS: u32 = 4096;

/// Octets of randomness in the client's nonce.
const RANDOM: usize = 18;

/// The longest nonce accepted, both sides' parts together, in octets.
const MAX_NONCE: usize = 256;

/// The longest salt accepted, in octets.
const MAX_SALT: usize = 256;

/// The longest message accepted from a server, decoded, in octets.
const MAX_MESSAGE: usize = 1536;

type Key = Zeroizing<[u8; 32]>;

/// One exchange. What is derived from the password is wiped on drop.
pub(super) struct Scram {
    /// The client's nonce; the server's part joins it with the server's first message.
    nonce: Vec<u8, MAX_NONCE>,
    proof: Key,
    /// What the server has to prove.
    signature: Key,
}

impl Scram {
    /// Draws the nonce.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(super) fn new(fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>) -> Result<Self, Error> {
        let mut random = Zeroizing::new([0; RANDOM]);
        fill(random.as_mut_slice())?;
        let mut text = Zeroizing::new([0; RANDOM.div_ceil(3) * 4]);
        match Base64::encode(random.as_slice(), text.as_mut_slice()) {
            Ok(nonce) => Ok(Self::with_nonce(nonce.as_bytes())),
            Err(_) => Err(Misuse::Randomness.into()),
        }
    }

    fn with_nonce(nonce: &[u8]) -> Self {
        let nonce = Vec::from_slice(nonce).unwrap_or_default();
        Self { nonce, proof: Key::default(), signature: Key::default() }
    }

    /// The client's first message.
    pub(super) fn first(&self, user: &str, encoder: &mut Encoder<'_, '_, '_>) {
        encoder.put(b"n,,");
        self.first_bare(user, &mut |octets| encoder.put(octets));
    }

    /// The client's final message.
    pub(super) fn last(&self, encoder: &mut Encoder<'_, '_, '_>) {
        self.last_without_proof(&mut |octets| encoder.put(octets));
        encoder.put(b",p=");
        let mut text = Zeroizing::new([0; 44]);
        if let Ok(proof) = Base64::encode(self.proof.as_slice(), text.as_mut_slice()) {
            encoder.put(proof.as_bytes());
        }
    }

    /// Takes in the server's first message, in base64, and computes what follows from it.
    ///
    /// # Errors
    /// [`Misbehaviour::Malformed`], also for a nonce that does not begin with ours;
    /// [`Misbehaviour::Iterations`].
    pub(super) fn server_first(
        &mut self,
        text: &[u8],
        user: &str,
        password: &str,
        max_iterations: u32,
    ) -> Result<(), Error> {
        let mut storage = [0; MAX_MESSAGE];
        let message = decode(text, &mut storage)?;
        let parsed = ServerFirst::parse(message)?;
        let more = parsed.nonce.strip_prefix(self.nonce.as_slice()).filter(|more| !more.is_empty());
        let more = more.ok_or(Misbehaviour::Malformed)?;
        if !(MIN_ITERATIONS..=max_iterations).contains(&parsed.iterations) {
            return Err(Misbehaviour::Iterations(parsed.iterations).into());
        }
        let mut salt = [0; MAX_SALT];
        let salt = decode(parsed.salt, &mut salt)?;

        let mut salted = Key::default();
        pbkdf2::pbkdf2::<Hmac<Sha256>>(
            password.as_bytes(),
            salt,
            parsed.iterations,
            salted.as_mut_slice(),
        )
        .map_err(|_| Misuse::Credential)?;
        let client_key = hmac(&salted, &mut |mac| mac.update(b"Client Key"))?;
        let server_key = hmac(&salted, &mut |mac| mac.update(b"Server Key"))?;
        let stored_key = Zeroizing::new(Sha256::digest(client_key.as_slice()).into());

        let client_first = |mac: &mut Hmac<Sha256>| {
            self.first_bare(user, &mut |octets| mac.update(octets));
        };
        let mut both = (keyed(&stored_key)?, keyed(&server_key)?);
        client_first(&mut both.0);
        client_first(&mut both.1);
        self.nonce.extend_from_slice(more).map_err(|_| Misbehaviour::Malformed)?;
        for mac in [&mut both.0, &mut both.1] {
            mac.update(b",");
            mac.update(message);
            mac.update(b",");
            self.last_without_proof(&mut |octets| mac.update(octets));
        }
        self.proof = Zeroizing::new(both.0.finalize().into_bytes().into());
        for (octet, key) in self.proof.iter_mut().zip(client_key.iter()) {
            *octet ^= key;
        }
        self.signature = Zeroizing::new(both.1.finalize().into_bytes().into());
        Ok(())
    }

    /// Takes in the server's final message, in base64: whether the server proved that it knows
    /// the password, or refused ours.
    ///
    /// # Errors
    /// [`Misbehaviour::ServerProof`] if the proof is wrong, [`Misbehaviour::Malformed`].
    pub(super) fn server_last(&self, text: &[u8]) -> Result<bool, Error> {
        let mut storage = [0; MAX_MESSAGE];
        let message = decode(text, &mut storage)?;
        if message.starts_with(b"e=") {
            return Ok(false);
        }
        let proof = message.strip_prefix(b"v=").ok_or(Misbehaviour::Malformed)?;
        let proof = proof.split(|&octet| octet == b',').next().unwrap_or_default();
        let mut signature = [0; 32];
        let whole = Base64::decode(proof, &mut signature).is_ok_and(|proof| proof.len() == 32);
        let equal = bool::from(signature.ct_eq(self.signature.as_slice()));
        if whole && equal { Ok(true) } else { Err(Misbehaviour::ServerProof.into()) }
    }

    fn first_bare(&self, user: &str, put: &mut dyn FnMut(&[u8])) {
        put(b"n=");
        escape(user, put);
        put(b",r=");
        put(&self.nonce);
    }

    fn last_without_proof(&self, put: &mut dyn FnMut(&[u8])) {
        put(b"c=biws,r=");
        put(&self.nonce);
    }
}

impl Drop for Scram {
    fn drop(&mut self) {
        self.nonce.zeroize();
    }
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scram").finish_non_exhaustive()
    }
}

/// A user name as SCRAM and GS2 headers hold it (RFC 5802 §5.1): `,` and `=` are escaped.
pub(super) fn escape(user: &str, put: &mut dyn FnMut(&[u8])) {
    for piece in user.as_bytes().split_inclusive(|octet| matches!(octet, b',' | b'=')) {
        match piece.split_last() {
            Some((b',', name)) => [name, b"=2C"].into_iter().for_each(&mut *put),
            Some((b'=', name)) => [name, b"=3D"].into_iter().for_each(&mut *put),
            _ => put(piece),
        }
    }
}

fn keyed(key: &Key) -> Result<Hmac<Sha256>, Error> {
    // HMAC takes keys of any length.
    Hmac::new_from_slice(key.as_slice()).map_err(|_| Misuse::Credential.into())
}

fn hmac(key: &Key, text: &mut dyn FnMut(&mut Hmac<Sha256>)) -> Result<Key, Error> {
    let mut mac = keyed(key)?;
    text(&mut mac);
    Ok(Zeroizing::new(mac.finalize().into_bytes().into()))
}

fn decode<'s>(text: &[u8], storage: &'s mut [u8]) -> Result<&'s [u8], Error> {
    Base64::decode(text, storage).map_err(|_| Misbehaviour::Malformed.into())
}

/// The server's first message, taken apart.
struct ServerFirst<'m> {
    nonce: &'m [u8],
    salt: &'m [u8],
    iterations: u32,
}

impl<'m> ServerFirst<'m> {
    /// `r=…,s=…,i=…`, then extensions, which are ignored (RFC 5802 §5.1). A mandatory extension,
    /// `m=`, would stand in front, where only `r=` is accepted.
    fn parse(message: &'m [u8]) -> Result<Self, Error> {
        let mut attributes = message.split(|&octet| octet == b',');
        let mut next = |name: &[u8]| {
            let value = attributes.next().and_then(|attribute| attribute.strip_prefix(name));
            value.filter(|value| !value.is_empty()).ok_or(Misbehaviour::Malformed)
        };
        let (nonce, salt, rounds) = (next(b"r=")?, next(b"s=")?, next(b"i=")?);
        let printable = nonce.iter().all(u8::is_ascii_graphic);
        let digits = rounds.len() <= 10 && rounds.iter().all(u8::is_ascii_digit);
        if !printable || !digits {
            return Err(Misbehaviour::Malformed.into());
        }
        let iterations =
            rounds.iter().fold(0, |sum: u64, &digit| sum * 10 + u64::from(digit - b'0'));
        let iterations = u32::try_from(iterations).unwrap_or(u32::MAX);
        Ok(Self { nonce, salt, iterations })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::super::writer::Writer;
    use super::*;
    use crate::wire::Out;

    // RFC 7677 §3.
    const NONCE: &[u8] = b"rOprNGfwEbeRWgbNEkqO";
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn base64(text: &str) -> Vec<u8> {
        let mut buffer = alloc::vec![0; text.len() * 2 + 4];
        Base64::encode(text.as_bytes(), &mut buffer).unwrap().as_bytes().to_vec()
    }

    fn rendered(render: impl FnOnce(&mut Encoder<'_, '_, '_>)) -> String {
        let mut storage = [0; 512];
        let mut out = Out::new(&mut storage);
        Writer::new(&mut out, 0).base64(render);
        let mut text = [0; 512];
        let text = Base64::decode(out.octets(), &mut text).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn server_first(message: &str) -> Result<Scram, Error> {
        let mut scram = Scram::with_nonce(NONCE);
        scram.server_first(&base64(message), "user", "pencil", 600_000)?;
        Ok(scram)
    }

    #[test]
    fn the_vector_of_rfc_7677() {
        assert_eq!(rendered(|encoder| Scram::with_nonce(NONCE).first("user", encoder)), FIRST);
        let scram = server_first(SERVER_FIRST).unwrap();
        assert_eq!(rendered(|encoder| scram.last(encoder)), LAST);
        assert_eq!(scram.server_last(&base64(SERVER_LAST)), Ok(true));
    }

    #[test]
    fn a_wrong_proof_is_told() {
        let scram = server_first(SERVER_FIRST).unwrap();
        let wrong = Err(Misbehaviour::ServerProof.into());
        for proof in [
            "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95A==",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4",
            "v=",
            "v=*",
        ] {
            assert_eq!(scram.server_last(&base64(proof)), wrong, "{proof}");
        }
        assert_eq!(scram.server_last(&base64("e=invalid-proof")), Ok(false));
        assert_eq!(scram.server_last(&base64("x=1")), Err(Misbehaviour::Malformed.into()));
        assert_eq!(scram.server_last(b"*"), Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn what_a_server_must_not_ask() {
        let ours = "r=rOprNGfwEbeRWgbNEkqO";
        let more = alloc::format!("{ours}x");
        for (message, why) in [
            (alloc::format!("{more},s=W22Z,i=4095"), Misbehaviour::Iterations(4095)),
            (alloc::format!("{more},s=W22Z,i=600001"), Misbehaviour::Iterations(600_001)),
            (alloc::format!("{more},s=W22Z,i=9999999999"), Misbehaviour::Iterations(u32::MAX)),
            (alloc::format!("{more},s=W22Z,i=0"), Misbehaviour::Iterations(0)),
            (alloc::format!("{more},s=W22Z,i=99999999999"), Misbehaviour::Malformed),
            (alloc::format!("{more},s=W22Z,i=-1"), Misbehaviour::Malformed),
            (alloc::format!("{more},s=W22Z,i="), Misbehaviour::Malformed),
            (alloc::format!("{more},s=,i=4096"), Misbehaviour::Malformed),
            (alloc::format!("{more},s=*,i=4096"), Misbehaviour::Malformed),
            (alloc::format!("{more},i=4096,s=W22Z"), Misbehaviour::Malformed),
            (alloc::format!("{ours},s=W22Z,i=4096"), Misbehaviour::Malformed),
            ("r=xOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4096".into(), Misbehaviour::Malformed),
            (alloc::format!("m=1,{more},s=W22Z,i=4096"), Misbehaviour::Malformed),
            (alloc::format!("{ours}{:300},s=W22Z,i=4096", "x"), Misbehaviour::Malformed),
            (alloc::format!("{ours}{},s=W22Z,i=4096", "x".repeat(300)), Misbehaviour::Malformed),
            (String::new(), Misbehaviour::Malformed),
        ] {
            assert_eq!(server_first(&message).err(), Some(why.into()), "{message}");
        }
    }

    #[test]
    fn names_are_escaped() {
        let scram = Scram::with_nonce(b"x");
        assert_eq!(rendered(|encoder| scram.first("a,b=c=", encoder)), "n,,n=a=2Cb=3Dc=3D,r=x");
    }

    #[test]
    fn nonces_are_drawn() {
        let scram = Scram::new(&mut |octets| {
            octets.fill(0xff);
            Ok(())
        });
        assert_eq!(scram.unwrap().nonce, b"////////////////////////");
        let error = Scram::new(&mut |_| Err(Misuse::Randomness.into())).err();
        assert_eq!(error, Some(Misuse::Randomness.into()));
    }
}
