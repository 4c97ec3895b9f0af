//! Certificates that last as long as a test: good ones, and bad ones of each kind.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
    date_time_ymd,
};
use tempfile::TempDir;

use super::{open_directory, write};

/// A certification authority made for one test, and what it certified.
///
/// All keys are EC P-256, unless it is [`Ca::rsa`]. Everything is also in files, readable by every user.
#[derive(Debug)]
pub struct Ca {
    /// The authority's certificate, PEM.
    pub root_pem: PathBuf,
    /// The authority's certificate, DER.
    pub root_der: Vec<u8>,
    /// For localhost, mail.test, *.test, 127.0.0.1 and ::1.
    pub server: Identity,
    /// As `server`, but no longer valid since 2020-02-01.
    pub expired: Identity,
    /// As `server`, but for other.example only.
    pub wrong_name: Identity,
    /// As `server`, but by an authority nobody trusts.
    pub untrusted: Identity,
    /// As `server`, but of over 4 KiB.
    pub bulky: Identity,
    /// As `server`, but by an authority that this one certified.
    pub chained: Identity,
    /// For a client, with the name alice@mail.test.
    pub client: Identity,
    dir: TempDir,
}

/// A certificate, what it was signed by, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, then its issuer's, PEM.
    pub chain_pem: PathBuf,
    /// The key, PEM (PKCS #8).
    pub key_pem: PathBuf,
    /// The key, then the chain, PEM.
    pub combined_pem: PathBuf,
    /// The certificate, then its issuer's, DER.
    pub chain_der: Vec<Vec<u8>>,
    /// The key, DER (PKCS #8).
    pub key_der: Vec<u8>,
}

const NAMES: &[&str] = &["localhost", "mail.test", "*.test", "127.0.0.1", "::1"];

impl Ca {
    /// Makes an authority and its certificates.
    ///
    /// # Panics
    ///
    /// If they cannot be made or written.
    #[expect(clippy::new_without_default, reason = "writes files")]
    pub fn new() -> Self {
        Self::of(&PKCS_ECDSA_P256_SHA256)
    }

    /// The same with RSA keys of 2048 bits.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn rsa() -> Self {
        Self::of(&PKCS_RSA_SHA256)
    }

    fn of(keys: &'static SignatureAlgorithm) -> Self {
        let dir = open_directory();
        let root = Authority::new("Test CA", keys);
        let stranger = Authority::new("Untrusted CA", keys);
        let delegate = root.delegate("Delegated CA");
        let server = |names: &[&str]| leaf(names, ExtendedKeyUsagePurpose::ServerAuth);

        let mut expired = server(NAMES);
        expired.not_before = date_time_ymd(2020, 1, 1);
        expired.not_after = date_time_ymd(2020, 2, 1);
        let names: Vec<String> = (0..200).map(|n| format!("server-{n}.mail.test")).collect();
        let names: Vec<&str> = NAMES.iter().copied().chain(names.iter().map(|n| &**n)).collect();
        let bulky = server(&names);
        let client = leaf(&["alice@mail.test"], ExtendedKeyUsagePurpose::ClientAuth);

        let root_pem = dir.path().join("root.pem");
        write(&root_pem, &root.pem);
        let at = dir.path();
        Self {
            root_pem,
            root_der: root.der.clone(),
            server: root.certify(&server(NAMES), at, "server"),
            expired: root.certify(&expired, at, "expired"),
            wrong_name: root.certify(&server(&["other.example"]), at, "wrong-name"),
            untrusted: stranger.certify(&server(NAMES), at, "untrusted"),
            bulky: root.certify(&bulky, at, "bulky"),
            chained: delegate.certify(&server(NAMES), at, "chained"),
            client: root.certify(&client, at, "client"),
            dir,
        }
    }

    /// The directory of all the files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

struct Authority {
    keys: &'static SignatureAlgorithm,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: Vec<u8>,
}

impl Authority {
    fn new(name: &str, keys: &'static SignatureAlgorithm) -> Self {
        let (params, key) = (authority(name), KeyPair::generate_for(keys).expect("a key"));
        let certificate = params.self_signed(&key).expect("a certificate");
        Self::of(keys, &certificate, params, key)
    }

    /// Another, which this one certifies.
    fn delegate(&self, name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate_for(self.keys).expect("a key"));
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Self::of(self.keys, &certificate, params, key)
    }

    fn of(
        keys: &'static SignatureAlgorithm,
        certificate: &Certificate,
        params: CertificateParams,
        key: KeyPair,
    ) -> Self {
        Self {
            keys,
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }

    fn certify(&self, params: &CertificateParams, dir: &Path, name: &str) -> Identity {
        let key = KeyPair::generate_for(self.keys).expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let chain = certificate.pem() + &self.pem;

        let dir = dir.join(name);
        fs::create_dir(&dir).expect("a directory");
        let identity = Identity {
            chain_pem: dir.join("chain.pem"),
            key_pem: dir.join("key.pem"),
            combined_pem: dir.join("combined.pem"),
            chain_der: vec![certificate.der().to_vec(), self.der.clone()],
            key_der: key.serialize_der(),
        };
        write(&identity.chain_pem, &chain);
        write(&identity.key_pem, key.serialize_pem());
        write(&identity.combined_pem, key.serialize_pem() + &chain);
        identity
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let common_name = names[0].clone();
    let mut params = CertificateParams::new(names).expect("names for a certificate");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}
