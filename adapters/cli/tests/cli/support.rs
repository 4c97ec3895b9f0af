//! Certificates, the binary, and peers made by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// Longer than any honest test takes; a peer that hangs fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A CA, and certificates of it, as files.
pub(crate) struct Files {
    dir: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["ca", "other-ca"] {
            let mut params = CertificateParams::new([]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let issuer = params.self_signed(&key).unwrap();
            files.put(&format!("{name}.pem"), issuer.pem().as_bytes());
            if name == "ca" {
                let issuer = Issuer::new(params, key);
                files.issue("server", &["localhost", "127.0.0.1", "::1"], 4096, &issuer);
                files.issue("elsewhere", &["elsewhere.example"], 4096, &issuer);
                files.issue("expired", &["localhost"], 2001, &issuer);
            }
        }
        files
    }

    fn issue(&self, name: &str, names: &[&str], until: i32, issuer: &Issuer<'_, KeyPair>) {
        let names = names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, issuer).unwrap();
        self.put(&format!("{name}.pem"), cert.pem().as_bytes());
        self.put(&format!("{name}.key"), key.serialize_pem().as_bytes());
    }

    pub(crate) fn put(&self, name: &str, octets: &[u8]) -> String {
        std::fs::write(self.dir.path().join(name), octets).unwrap();
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.path_buf(name).to_str().unwrap().to_owned()
    }

    fn path_buf(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    /// A TLS server on a connection that has negotiated.
    pub(crate) fn tls_server(
        &self,
        tcp: TcpStream,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ServerConnection, TcpStream> {
        let certs = CertificateDer::pem_file_iter(self.path_buf("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path_buf("server.key")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path_buf("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(builder.allow_unauthenticated().build().unwrap())
            .with_single_cert(certs.map(Result::unwrap).collect(), key)
            .unwrap();
        StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), tcp)
    }

    /// A TLS client on a connection that has negotiated.
    pub(crate) fn tls_client(
        &self,
        tcp: TcpStream,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path_buf("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), tcp)
    }
}

/// The roots of the system that the binary believes to be on.
static SYSTEM: LazyLock<Files> = LazyLock::new(Files::new);

/// The binary with arguments, split at spaces.
pub(crate) fn starttls(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starttls"));
    command.env("SSL_CERT_FILE", SYSTEM.path("other-ca.pem")).env_remove("SSL_CERT_DIR");
    command.args(arguments.split_whitespace());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// The last object on stderr.
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.stderr.lines().rfind(|line| line.starts_with('{'));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no JSON: {self:?}"))).unwrap()
    }
}

/// Runs the binary to its end with this input.
pub(crate) fn run(arguments: &str, input: &[u8]) -> Ended {
    finish(spawn(&mut starttls(arguments)), input)
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    pipes.spawn().unwrap()
}

/// Gives a process its whole input and waits for its end.
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Ended {
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // The process may end without reading all of it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    ended(output)
}

pub(crate) fn ended(output: std::process::Output) -> Ended {
    let stderr = String::from_utf8(output.stderr).unwrap();
    Ended { code: output.status.code(), stdout: output.stdout, stderr }
}

/// A server of ours that listens.
pub(crate) struct Serve {
    pub(crate) child: Child,
    pub(crate) port: u16,
    stderr: BufReader<ChildStderr>,
}

impl Serve {
    /// Starts `starttls serve` on a free port with the good certificate.
    pub(crate) fn start(files: &Files, proto: &str, options: &str) -> Self {
        Self::with(files, "server", proto, options)
    }

    pub(crate) fn with(files: &Files, certificate: &str, proto: &str, options: &str) -> Self {
        let cert = files.path(&format!("{certificate}.pem"));
        let key = files.path(&format!("{certificate}.key"));
        let line = format!("serve --cert {cert} --key {key} {proto}://127.0.0.1:0 {options}");
        let mut child = spawn(&mut starttls(&line));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let port = line.trim_end().strip_prefix("starttls: listening 127.0.0.1:").unwrap();
        let port = port.parse().unwrap();
        Self { child, port, stderr }
    }

    /// A plain connection to it.
    pub(crate) fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    /// Waits for its end; only with `--once`.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.child.stdin.take());
        self.wait()
    }

    /// The same with its stdin open.
    pub(crate) fn wait(mut self) -> Ended {
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A peer made by hand: what it does with its only connection, and its port.
pub(crate) fn peer<T: Send + 'static>(
    act: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        act(tcp)
    });
    (port, thread)
}

/// Reads one line, an octet at a time, so that nothing behind it is taken.
pub(crate) fn line(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut octet = [0];
    while line.last() != Some(&b'\n') {
        match stream.read(&mut octet) {
            Ok(1) => line.push(octet[0]),
            end => panic!("{end:?} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
    String::from_utf8(line).unwrap()
}

/// Plays a script: lines to send, each once the line before it was answered.
pub(crate) fn play(tcp: &mut TcpStream, script: &[(&str, &str)]) {
    for (send, expect) in script {
        tcp.write_all(send.as_bytes()).unwrap();
        if !expect.is_empty() {
            assert_eq!(&line(tcp), expect);
        }
    }
}

/// The server's side of an honest negotiation.
pub(crate) fn negotiate(tcp: &mut TcpStream) {
    play(
        tcp,
        &[
            ("220 fake\r\n", "EHLO localhost\r\n"),
            ("250-fake\r\n250 STARTTLS\r\n", "STARTTLS\r\n"),
            ("220 go\r\n", ""),
        ],
    );
}

/// The rest of what a peer sends, up to its end.
pub(crate) fn rest(stream: &mut impl Read) -> String {
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    String::from_utf8(octets).unwrap()
}
