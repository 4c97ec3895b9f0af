//! Certificates and TLS configurations, made anew for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
};

/// The name the server's certificate is for.
pub const NAME: &str = "mail.example.org";

/// An authority, and a certificate it issued.
pub struct Pki {
    roots: Arc<RootCertStore>,
    issuer: Issuer<'static, KeyPair>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Default for Pki {
    fn default() -> Self {
        Self::with(|_| ())
    }
}

impl Pki {
    /// An authority and a server certificate for [`NAME`], changed by `change` before it is signed.
    pub fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        // Each authority has a name of its own, as in life.
        static AUTHORITIES: AtomicUsize = AtomicUsize::new(1);
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("authority {number}");
        Self::of(&name, KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), change)
    }

    /// The same for an authority of this name, with its key and the server's.
    pub fn of(
        name: &str,
        authority: KeyPair,
        server: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let issuer = Issuer::new(params, authority);

        let mut params = CertificateParams::new(vec![NAME.into()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&server, &issuer).unwrap();
        Self {
            roots: Arc::new(roots),
            issuer,
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(server.serialize_der()).unwrap(),
        }
    }

    /// The server's public key, as a SubjectPublicKeyInfo in DER.
    pub fn server_key(&self) -> Vec<u8> {
        KeyPair::try_from(&self.key).unwrap().subject_public_key_info()
    }

    /// The server's certificate.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// A verifier that trusts this authority.
    pub fn verifier(&self) -> Arc<WebPkiServerVerifier> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(self.roots.clone(), provider).build().unwrap()
    }

    /// A client that trusts this authority.
    pub fn client(&self, version: &'static SupportedProtocolVersion) -> ClientConfig {
        self.client_with(aws_lc_rs::default_provider(), &[version])
    }

    /// The same with versions and cryptography of the caller's choice.
    pub fn client_with(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_webpki_verifier(self.verifier())
            .with_no_client_auth()
    }

    /// The same with a client certificate of this authority.
    pub fn client_with_certificate(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client.example.org".into()]).unwrap();
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_webpki_verifier(self.verifier())
            .with_client_auth_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap()
    }

    /// A server that speaks both versions.
    pub fn server(&self) -> ServerConfig {
        self.server_with(aws_lc_rs::default_provider())
    }

    /// The same with cryptography of the caller's choice.
    pub fn server_with(&self, provider: CryptoProvider) -> ServerConfig {
        ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap()
    }

    /// A server that requires a client certificate of this authority.
    pub fn server_asking(&self) -> ServerConfig {
        self.server_asking_with(aws_lc_rs::default_provider())
    }

    /// The same with cryptography of the caller's choice.
    pub fn server_asking_with(&self, provider: CryptoProvider) -> ServerConfig {
        let provider = Arc::new(provider);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider.clone())
                .build()
                .unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .unwrap()
    }
}
