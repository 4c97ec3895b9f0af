//! The provider of starttls-rustcrypto at OpenSSL: every suite, group and signature, in both roles.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, GetRandomFailed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, Error, NamedGroup,
    ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
    SupportedCipherSuite,
};
use starttls_rustcrypto::Entropy;
use starttls_tests::peers::{Missing, OpenSsl, Program, SServer, skip_or_fail};
use tempfile::TempDir;

#[derive(Debug)]
struct Urandom;

impl Entropy for Urandom {
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        let mut device = fs::File::open("/dev/urandom").map_err(|_| GetRandomFailed)?;
        io::Read::read_exact(&mut device, buffer).map_err(|_| GetRandomFailed)
    }
}

fn provider() -> CryptoProvider {
    starttls_rustcrypto::provider::<Urandom>()
}

/// Every suite with every group, as a provider that has no other, and their names.
fn each_suite_and_group() -> Vec<(CryptoProvider, SupportedCipherSuite, NamedGroup)> {
    let CryptoProvider { cipher_suites, kx_groups, .. } = provider();
    let mut all = Vec::new();
    for suite in cipher_suites {
        for &group in &kx_groups {
            let only =
                CryptoProvider { cipher_suites: vec![suite], kx_groups: vec![group], ..provider() };
            all.push((only, suite, group.name()));
        }
    }
    assert_eq!(all.len(), 9 * 3);
    all
}

/// Keys and certificates that OpenSSL made.
struct Made(TempDir);

impl Made {
    fn new() -> Result<Self, Missing> {
        drop(Program::find("openssl")?);
        let made = Self(TempDir::new().expect("a directory"));
        fs::write(made.path("conf"), "[req]\ndistinguished_name = dn\n[dn]\n").expect("a file");
        Ok(made)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, args: &str) {
        let ran = Program::find("openssl")
            .expect("found before")
            .args(args.split_whitespace().map(|arg| arg.replace('@', &format!("{}/", self.dir()))))
            .limit(Duration::from_secs(240))
            .run();
        assert!(ran.status.success(), "{args}: {ran:#?}");
    }

    fn dir(&self) -> &str {
        self.0.path().to_str().expect("UTF-8")
    }

    /// Makes the key and certificate of an authority, `NAME.key` and `NAME.pem`.
    fn root(&self, name: &str, kind: &str) -> RootCertStore {
        self.openssl(&format!("genpkey {kind} -out @{name}.key"));
        self.openssl(&format!(
            "req -config @conf -x509 -new -key @{name}.key -subj /CN={name} -days 2 \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign -out @{name}.pem"
        ));
        let mut roots = RootCertStore::empty();
        roots.add(self.chain(name).remove(0)).expect("a certificate");
        roots
    }

    /// Makes the key and certificate for localhost, signed by this authority in this way.
    fn leaf(&self, name: &str, kind: &str, root: &str, signed: &str) {
        self.openssl(&format!("genpkey {kind} -out @{name}.key"));
        self.openssl(&format!(
            "req -config @conf -x509 -new -key @{name}.key -subj /CN={name} -days 2 \
             -addext subjectAltName=DNS:localhost -CA @{root}.pem -CAkey @{root}.key {signed} \
             -out @{name}.pem"
        ));
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_file(self.path(&format!("{name}.pem"))).expect("PEM")]
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("PEM")
    }

    fn certificate_and_key(&self, name: &str) -> [String; 2] {
        ["pem", "key"].map(|ending| format!("{}/{name}.{ending}", self.dir()))
    }

    /// `openssl s_server` with this certificate.
    fn server(&self, name: &str, more: &[&str]) -> SServer {
        let [certificate, key] = self.certificate_and_key(name);
        let args = [&["-cert", &certificate, "-key", &key], more].concat();
        SServer::start(Path::new(self.dir()), &args).expect("found before")
    }
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";

fn rsa(bits: u32) -> String {
    format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}")
}

const PSS: &str = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";

/// Many blocks of every cipher, and less than what `s_server` takes as one line.
fn line() -> String {
    (0..5000).map(|at| char::from(b'a' + (at % 23) as u8)).collect()
}

fn reversed(line: &str) -> String {
    line.chars().rev().collect()
}

fn client(provider: CryptoProvider, roots: &RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("a suite")
        .with_root_certificates(roots.clone())
        .with_no_client_auth()
}

/// A handshake with `s_server`, a line there and its reverse back.
fn connect(config: ClientConfig, server: &SServer) -> io::Result<ClientConnection> {
    let mut tls = ClientConnection::new(config.into(), "localhost".try_into().expect("a name"))
        .map_err(io::Error::other)?;
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port))?;
    tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
    stream.write_all(format!("{}\n", line()).as_bytes())?;
    let mut back = String::new();
    BufReader::new(stream).read_line(&mut back)?;
    assert_eq!(back.trim_end(), reversed(&line()));
    tls.send_close_notify();
    tls.complete_io(&mut tcp)?;
    Ok(tls)
}

fn refusal(connected: io::Result<ClientConnection>) -> Error {
    let error = connected.expect_err("refused");
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).expect("of TLS").clone()
}

fn server(
    provider: CryptoProvider,
    made: &Made,
    name: &str,
    clients: Option<&RootCertStore>,
) -> ServerConfig {
    let provider = Arc::new(provider);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("a suite");
    let verifying = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider)
                .build()
                .expect("roots"),
        ),
    };
    verifying.with_single_cert(made.chain(name), made.key(name)).expect("a key for the certificate")
}

/// A handshake with `s_client`, a line from there and its reverse back; what it printed.
fn accept(config: ServerConfig, root_pem: &Path, more: &[&str]) -> (ServerConnection, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let accepting = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().expect("a client");
        tcp.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let mut tls = ServerConnection::new(config.into()).expect("a configuration");
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line).expect("a line");
        stream.write_all(format!("{}\n", reversed(line.trim_end())).as_bytes()).expect("sent");
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut tcp).expect("sent");
        }
        tls
    });
    let client = OpenSsl::new(port, None, root_pem).program().expect("found before");
    let ran = client.args(more).input(format!("{}\n", line())).run();
    let tls = accepting.join().unwrap_or_else(|_| panic!("{ran:#?}"));
    assert!(ran.stdout.contains(&reversed(&line())), "{ran:#?}");
    (tls, ran.stdout)
}

fn assert_used(tls: &Connection, suite: SupportedCipherSuite, group: NamedGroup) {
    assert_eq!(tls.negotiated_cipher_suite(), Some(suite));
    assert_eq!(tls.negotiated_key_exchange_group().expect("a group").name(), group);
}

/// The certificate that a suite needs: TLS 1.3 needs none in particular.
fn for_suite(suite: SupportedCipherSuite) -> &'static str {
    if format!("{:?}", suite.suite()).contains("RSA_WITH") { "rsa" } else { "p256" }
}

/// An authority, and certificates by it with keys of both kinds.
fn both_kinds() -> Result<(Made, RootCertStore), Missing> {
    let made = Made::new()?;
    let roots = made.root("root", P256);
    made.leaf("p256", P256, "root", "");
    made.leaf("p384", P384, "root", "");
    made.leaf("rsa", &rsa(2048), "root", "");
    Ok((made, roots))
}

#[test]
fn our_client_has_every_suite_and_group() {
    let Some((made, roots)) = skip_or_fail(both_kinds()) else { return };
    let servers = ["p256", "rsa"].map(|name| (name, made.server(name, &[])));
    for (mut only, suite, group) in each_suite_and_group() {
        // In TLS 1.2 the curve of an ECDSA key has to be among the groups (RFC 8422 §5.1.1): all are
        // offered. OpenSSL takes the first.
        only.kx_groups.extend(provider().kx_groups.into_iter().filter(|kx| kx.name() != group));
        let (_, server) = servers.iter().find(|(name, _)| *name == for_suite(suite)).expect("two");
        let tls = connect(client(only, &roots), server)
            .unwrap_or_else(|error| panic!("{suite:?}, {group:?}: {error}"));
        assert_used(&tls.into(), suite, group);
    }
}

#[test]
fn our_server_has_every_suite_and_group() {
    let Some((made, _)) = skip_or_fail(both_kinds()) else { return };
    for (provider, suite, group) in each_suite_and_group() {
        // We sign with ECDSA only.
        if for_suite(suite) == "p256" {
            let config = server(provider, &made, "p256", None);
            let (tls, _) = accept(config, &made.path("root.pem"), &[]);
            assert_used(&tls.into(), suite, group);
        }
    }
}

/// A provider that takes nothing but this signature in the handshake.
fn with_scheme(scheme: SignatureScheme) -> CryptoProvider {
    let mut provider = provider();
    let algorithms = &mut provider.signature_verification_algorithms;
    let only = algorithms.mapping.iter().filter(|(candidate, _)| *candidate == scheme).copied();
    algorithms.mapping = Box::leak(only.collect());
    provider
}

#[test]
fn our_client_verifies_every_signature_of_a_handshake() {
    let Some((made, roots)) = skip_or_fail(both_kinds()) else { return };
    let schemes = provider().signature_verification_algorithms.mapping;
    assert_eq!(schemes.len(), 8);
    let servers = ["p256", "p384", "rsa"].map(|name| (name, made.server(name, &[])));
    for &(scheme, _) in schemes {
        let name = match scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => "p256",
            SignatureScheme::ECDSA_NISTP384_SHA384 => "p384",
            _ => "rsa",
        };
        let (_, server) = servers.iter().find(|(server, _)| *server == name).expect("three");
        for version in rustls::ALL_VERSIONS {
            let mut provider = with_scheme(scheme);
            provider.cipher_suites.retain(|suite| suite.version() == *version);
            let connected = connect(client(provider, &roots), server);
            let pkcs1 = format!("{scheme:?}").starts_with("RSA_PKCS1");
            if pkcs1 && version.version == ProtocolVersion::TLSv1_3 {
                // Only in certificates (RFC 8446 §4.2.3).
                assert!(connected.is_err(), "{scheme:?}");
            } else {
                let tls = connected.unwrap_or_else(|e| panic!("{scheme:?}, {version:?}: {e}"));
                assert_eq!(tls.protocol_version(), Some(version.version));
            }
        }
    }
}

#[test]
fn our_client_verifies_every_signature_of_a_certificate() {
    let Some(made) = skip_or_fail(Made::new()) else { return };
    let mut verified = 0;
    for (root, kind) in [
        ("ca-p256", P256.to_owned()),
        ("ca-p384", P384.to_owned()),
        ("ca-2048", rsa(2048)),
        ("ca-3072", rsa(3072)),
        ("ca-4096", rsa(4096)),
    ] {
        let roots = made.root(root, &kind);
        let paddings: &[_] = if root.starts_with("ca-p") { &[""] } else { &["", PSS] };
        for padding in paddings {
            for hash in ["-sha256", "-sha384", "-sha512"] {
                let signed = format!("{hash} {padding}");
                made.leaf("leaf", P256, root, signed.trim_end());
                let server = made.server("leaf", &[]);
                connect(client(provider(), &roots), &server)
                    .unwrap_or_else(|error| panic!("{root}, {signed}: {error}"));
                verified += 1;
            }
        }
    }
    assert_eq!(verified, 2 * 3 + 3 * 6);
}

#[test]
fn rsa_keys_of_other_sizes_are_refused() {
    let Some(made) = skip_or_fail(Made::new()) else { return };
    let p256 = made.root("root", P256);
    // With four primes it is made in seconds; who verifies sees no difference.
    let large = rsa(8192) + " -pkeyopt rsa_keygen_primes:4";
    for (name, kind) in [("small", rsa(1024)), ("large", large)] {
        // In the handshake.
        made.leaf(name, &kind, "root", "");
        let server = made.server(name, &["-cipher", "DEFAULT:@SECLEVEL=0"]);
        let refused = refusal(connect(client(provider(), &p256), &server));
        assert_eq!(refused, Error::InvalidCertificate(CertificateError::BadSignature), "{name}");
        // In the certificate.
        let authority = format!("ca-{name}");
        let roots = made.root(&authority, &kind);
        made.leaf("leaf", P256, &authority, "");
        let server = made.server("leaf", &["-cipher", "DEFAULT:@SECLEVEL=0"]);
        let refused = refusal(connect(client(provider(), &roots), &server));
        assert_eq!(refused, Error::InvalidCertificate(CertificateError::BadSignature), "{name}");
    }
}

#[test]
fn our_client_signs_and_our_server_too() {
    let Some((made, roots)) = skip_or_fail(both_kinds()) else { return };
    // SEC 1, beside the PKCS #8 of the others.
    for (name, source) in [("sec1-p256", "p256"), ("sec1-p384", "p384")] {
        made.openssl(&format!("ec -in @{source}.key -out @{name}.key"));
        assert!(matches!(made.key(name), PrivateKeyDer::Sec1(_)));
        fs::copy(made.path(&format!("{source}.pem")), made.path(&format!("{name}.pem")))
            .expect("a copy");
    }
    let refused = provider().key_provider.load_private_key(made.key("rsa"));
    assert!(matches!(refused, Err(Error::General(_))), "{refused:?}");
    let root = made.path("root.pem");
    let asking = ["-Verify", "1", "-verify_return_error", "-CAfile", root.to_str().expect("UTF-8")];
    let asking = made.server("p256", &asking);
    for name in ["p256", "p384", "sec1-p256", "sec1-p384"] {
        let digest = if name.ends_with("p256") { "SHA256" } else { "SHA384" };
        for version in rustls::ALL_VERSIONS {
            let mut provider = provider();
            provider.cipher_suites.retain(|suite| suite.version() == *version);

            let mut config = client(provider.clone(), &roots);
            assert!(connect(config.clone(), &asking).is_err(), "without a certificate");
            let key = provider.key_provider.load_private_key(made.key(name)).expect("a key");
            let certified = rustls::sign::CertifiedKey::new(made.chain(name), key);
            certified.keys_match().expect("a key for the certificate");
            config.client_auth_cert_resolver =
                Arc::new(rustls::sign::SingleCertAndKey::from(certified));
            connect(config, &asking).unwrap_or_else(|e| panic!("{name}, {version:?}: {e}"));

            let (_, printed) = accept(server(provider, &made, name, None), &root, &[]);
            let signed = format!("Peer signing digest: {digest}\nPeer signature type: ECDSA\n");
            assert!(printed.contains(&signed), "{name}, {version:?}: {printed}");
        }
    }
}

#[test]
fn our_server_verifies_clients() {
    let Some((made, roots)) = skip_or_fail(both_kinds()) else { return };
    for name in ["p256", "p384", "rsa"] {
        let [certificate, key] = made.certificate_and_key(name);
        for version in ["-tls1_2", "-tls1_3"] {
            let config = server(provider(), &made, "p256", Some(&roots));
            let more = ["-cert", &certificate, "-key", &key, version];
            let (tls, _) = accept(config, &made.path("root.pem"), &more);
            let certificates = tls.peer_certificates().unwrap_or_default();
            assert_eq!(certificates.first(), made.chain(name).first(), "{name}, {version}");
        }
    }
}
