//! A server of SMTP that is not who it says, and whose TLS is made by hand: what a client believes
//! that takes the end of a handshake for a proof.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, KeyInit};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::kx_group::SECP256R1;
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::{SupportedCipherSuite, Tls13CipherSuite};
use sha2::{Digest, Sha256};

use super::Identity;

/// What it gives out for a proof of who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing: Certificate and CertificateVerify are left out.
    None,
    /// The certificate of the one it says it is.
    Certificate,
    /// The certificate, and a signature by another key.
    OtherSignature,
    /// A signature by another key, and no certificate.
    SignatureAlone,
}

/// An impostor at a port of 127.0.0.1. It speaks TLS 1.3 with P-256 and AES-128-GCM behind STARTTLS,
/// sends a Finished as it ought to be, and takes any mail then.
#[derive(Debug)]
pub struct Impostor {
    /// Its port.
    pub port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Impostor {
    /// One that says it is `other`.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start(other: &Identity, proof: Proof) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::default();
        let (told, certificate) = (Arc::clone(&heard), other.chain_der[0].clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Broken off by a client that is not fooled.
                drop(serve(&client, &certificate, proof, &told));
            }
        });
        Self { port, heard }
    }

    /// What was said to it in the TLS that it made.
    ///
    /// # Panics
    /// If its thread did.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().expect("no panic")).into_owned()
    }
}

fn serve(
    client: &TcpStream,
    certificate: &[u8],
    proof: Proof,
    heard: &Mutex<Vec<u8>>,
) -> Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(client);
    (&*client).write_all(b"220 mail.test\r\n")?;
    reader.read_line(&mut line)?;
    (&*client).write_all(b"250-mail.test\r\n250 STARTTLS\r\n")?;
    reader.read_line(&mut line)?;
    (&*client).write_all(b"220 go ahead\r\n")?;

    let (mut ours, mut theirs) = handshake(client, &mut reader, certificate, proof)?;
    let mut rest = Vec::new();
    let mut in_message = false;
    loop {
        let (kind, data) = theirs.open(&read_record(&mut reader)?)?;
        if kind != DATA {
            return Ok(());
        }
        heard.lock().expect("no panic").extend(&data);
        rest.extend(data);
        while let Some(end) = rest.windows(2).position(|end| end == b"\r\n") {
            let line: Vec<u8> = rest.drain(..end + 2).collect();
            let reply = match &line[..] {
                b".\r\n" => "250 taken\r\n",
                _ if in_message => continue,
                b"DATA\r\n" => "354 go ahead\r\n",
                b"QUIT\r\n" => "221 bye\r\n",
                _ => "250 yes\r\n",
            };
            in_message = reply.starts_with("354");
            (&*client).write_all(&ours.seal(DATA, reply.as_bytes()))?;
        }
    }
}

/// Content types of records (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Types of handshake messages (§4).
const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;

const P256: [u8; 2] = [0, 23];

/// Gives what protects records behind it: ours, and theirs.
fn handshake(
    mut client: &TcpStream,
    reader: &mut impl Read,
    certificate: &[u8],
    proof: Proof,
) -> Result<(Protection, Protection)> {
    let hello = read_record(reader)?.split_off(5);
    // A share of one group: its name, and a point that is not compressed.
    let marker = [&P256[..], &[0, 65, 4]].concat();
    let at = hello.windows(5).position(|part| part == marker).ok_or(ErrorKind::InvalidData)? + 4;
    let share = hello.get(at..at + 65).ok_or(ErrorKind::InvalidData)?;
    let exchange = SECP256R1.start_and_complete(share).map_err(Error::other)?;

    let mut transcript = hello.clone();
    let key_share = [&P256[..], &[0, 65], &exchange.pub_key].concat();
    let extensions = [&[0, 43, 0, 2, 3, 4, 0, 51][..], &vector(2, &key_share)].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0x13, 1, 0], &vector(2, &extensions)].concat();
    let server_hello = message(SERVER_HELLO, &body);
    client.write_all(&record(HANDSHAKE, &server_hello))?;
    transcript.extend(server_hello);

    let hkdf = suite().hkdf_provider;
    let early = hkdf.extract_from_zero_ikm(None);
    let derived = expand(&*early, "derived", &Sha256::digest(b""));
    let secret = hkdf.extract_from_secret(Some(&derived), exchange.secret.secret_bytes());
    let hash = Sha256::digest(&transcript);
    let our_secret = expand(&*secret, "s hs traffic", &hash);
    let mut ours = Protection::by(&our_secret);
    let mut theirs = Protection::by(&expand(&*secret, "c hs traffic", &hash));

    let mut flight = message(ENCRYPTED_EXTENSIONS, &[0, 0]);
    if matches!(proof, Proof::Certificate | Proof::OtherSignature) {
        let entry = [vector(3, certificate), vec![0, 0]].concat();
        flight.extend(message(CERTIFICATE, &[vec![0], vector(3, &entry)].concat()));
    }
    if matches!(proof, Proof::OtherSignature | Proof::SignatureAlone) {
        let hash = Sha256::digest([&transcript[..], &flight].concat());
        let context = b"TLS 1.3, server CertificateVerify\0";
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let signature = key.sign(&[&[b' '; 64][..], context, &hash].concat()).expect("a signature");
        // ecdsa_secp256r1_sha256.
        flight.extend(message(CERTIFICATE_VERIFY, &[vec![4, 3], vector(2, &signature)].concat()));
    }
    let key = expand(&*hkdf.expander_for_okm(&OkmBlock::new(&our_secret)), "finished", b"");
    let hash = Sha256::digest([&transcript[..], &flight].concat());
    let finished = hkdf.hmac_sign(&OkmBlock::new(&key), &hash);
    flight.extend(message(FINISHED, finished.as_ref()));
    client.write_all(&ours.seal(HANDSHAKE, &flight))?;
    transcript.extend(flight);

    let derived = expand(&*secret, "derived", &Sha256::digest(b""));
    let secret = hkdf.extract_from_zero_ikm(Some(&derived));
    let hash = Sha256::digest(&transcript);
    let secret = |label| expand(&*secret, label, &hash);
    // Their Finished, of which nothing is doubted.
    theirs.open(&read_record(reader)?)?;
    Ok((Protection::by(&secret("s ap traffic")), Protection::by(&secret("c ap traffic"))))
}

fn suite() -> &'static Tls13CipherSuite {
    match TLS13_AES_128_GCM_SHA256 {
        SupportedCipherSuite::Tls13(suite) => suite,
        SupportedCipherSuite::Tls12(_) => unreachable!("by its name"),
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1) for 32 octets; shorter ones differ.
fn expand(secret: &dyn HkdfExpander, label: &str, context: &[u8]) -> [u8; 32] {
    expand_to(secret, label, context)
}

fn expand_to<const N: usize>(secret: &dyn HkdfExpander, label: &str, context: &[u8]) -> [u8; N] {
    let length = u16::try_from(N).expect("short").to_be_bytes();
    let label = vector(1, format!("tls13 {label}").as_bytes());
    let mut output = [0; N];
    let info: [&[u8]; 3] = [&length, &label, &vector(1, context)];
    secret.expand_slice(&info, &mut output).expect("short");
    output
}

/// A key for the records of one side (§5.2, §7.3).
struct Protection {
    cipher: Aes128Gcm,
    iv: [u8; 12],
    sequence: u64,
}

impl Protection {
    fn by(traffic_secret: &[u8]) -> Self {
        let secret = suite().hkdf_provider.expander_for_okm(&OkmBlock::new(traffic_secret));
        let key: [u8; 16] = expand_to(&*secret, "key", b"");
        let iv = expand_to(&*secret, "iv", b"");
        Self { cipher: Aes128Gcm::new(&key.into()), iv, sequence: 0 }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (octet, sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *octet ^= sequence;
        }
        self.sequence += 1;
        nonce
    }

    fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut inner = [content, &[kind]].concat();
        let mut sealed = record(DATA, &vec![0; inner.len() + 16]);
        sealed.truncate(5);
        let nonce = self.nonce().into();
        let tag = self.cipher.encrypt_inout_detached(&nonce, &sealed, inner.as_mut_slice().into());
        sealed.extend(inner);
        sealed.extend(tag.expect("short"));
        sealed
    }

    /// Content type and content.
    fn open(&mut self, record: &[u8]) -> Result<(u8, Vec<u8>)> {
        let (header, sealed) = record.split_at(5);
        let (inner, tag) = sealed.split_last_chunk::<16>().ok_or(ErrorKind::InvalidData)?;
        let (nonce, mut inner) = (self.nonce().into(), inner.to_vec());
        self.cipher
            .decrypt_inout_detached(&nonce, header, inner.as_mut_slice().into(), &(*tag).into())
            .map_err(|_| ErrorKind::InvalidData)?;
        let kind = inner.pop().ok_or(ErrorKind::InvalidData)?;
        Ok((kind, inner))
    }
}

/// A length of so many octets, and what is that long.
fn vector(octets: usize, content: &[u8]) -> Vec<u8> {
    [&content.len().to_be_bytes()[size_of::<usize>() - octets..], content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &vector(3, body)].concat()
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &vector(2, content)].concat()
}

fn read_record(reader: &mut impl Read) -> Result<Vec<u8>> {
    let mut record = vec![0; 5];
    reader.read_exact(&mut record)?;
    let length = u16::from_be_bytes([record[3], record[4]]);
    record.resize(5 + usize::from(length), 0);
    reader.read_exact(&mut record[5..])?;
    Ok(record)
}
