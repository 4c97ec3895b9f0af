//! TLS configurations from files and policy.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use starttls::tls::{ClientTls, ServerTls};

use crate::args::{ClientArgs, Policy};
use crate::exit::Failure;

/// The client's side, as its options say.
pub(crate) fn client(args: &ClientArgs) -> Result<ClientTls, Failure> {
    let provider = provider();
    let verifier = match (&args.ca, args.policy.policy) {
        (Some(file), _) => roots(file, provider.clone())?,
        (None, Policy::Require) => platform(provider.clone())?,
        // A system without roots verifies nobody, and that is what will be said.
        (None, Policy::Opportunistic) => {
            platform(provider.clone()).unwrap_or_else(|_| Arc::new(NoRoots(provider.clone())))
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone());
    let config = match (&args.client_cert, &args.client_key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|error| {
                Failure::usage(format!("{} and {}: {error}", cert.display(), key.display()))
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    let config = Arc::new(config);
    let tls = match args.policy.policy {
        Policy::Require => ClientTls::new(config),
        Policy::Opportunistic => ClientTls::opportunistic(config, verifier),
    };
    Ok(if args.no_alpn { tls.without_alpn() } else { tls })
}

/// Whether a certificate can be asked for under this name.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    match ServerName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::usage(format!("{name:?} is no DNS name and no address"))),
    }
}

/// A client that trusts exactly this root.
pub(crate) fn trusting(root: CertificateDer<'static>) -> Result<ClientTls, Failure> {
    let provider = provider();
    let mut store = RootCertStore::empty();
    store.add(root).map_err(unusable)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let config = builder.with_root_certificates(store).with_no_client_auth();
    Ok(ClientTls::new(Arc::new(config)))
}

/// The server's side, from two files.
pub(crate) fn server(cert: &Path, key: &Path) -> Result<ServerTls, Failure> {
    let files = format!("{} and {}", cert.display(), key.display());
    serving(certificates(cert)?, private_key(key)?).map_err(|failure| failure.at(files))
}

/// The server's side, from what is at hand.
pub(crate) fn serving(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerTls, Failure> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    ServerTls::new(Arc::new(config)).map_err(|error| Failure::session(error, None, None))
}

/// Offers the post-quantum hybrid X25519MLKEM768 first, by the feature of that name.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn unusable(error: rustls::Error) -> Failure {
    Failure::usage(error.to_string())
}

fn platform(provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    match rustls_platform_verifier::Verifier::new(provider) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(Failure::usage(format!(
            "this system's root certificates cannot be used: {error}; --ca FILE names others"
        ))),
    }
}

/// Trusts nobody.
#[derive(Debug)]
struct NoRoots(Arc<CryptoProvider>);

impl ServerCertVerifier for NoRoots {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn roots(
    file: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store
            .add(certificate)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    }
    match WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(Failure::usage(format!("{}: {error}", file.display()))),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let unreadable = |error| Failure::usage(format!("{}: {}", file.display(), pem_text(error)));
    let found = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if found.is_empty() {
        return Err(Failure::usage(format!("{}: no PEM certificate in it", file.display())));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| Failure::usage(format!("{}: {}", file.display(), pem_text(error))))
}

fn pem_text(error: rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::NoItemsFound => "no unencrypted PEM key in it".to_owned(),
        Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
