//! Trust in keys that are known beforehand, in place of a chain of certificates.

use alloc::vec::Vec;
use core::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use crate::pins::PublicKey;

/// A verifier that takes a server by its public key alone: one whose SubjectPublicKeyInfo has one of
/// these SHA-256 digests (RFC 7469 §2.4), which is how `sha256//` and base64 name it elsewhere too.
/// The server has to prove that it has the key; nothing else of its certificate counts, neither
/// names nor times nor who issued it (RFC 7250 §6 has the same trust).
///
/// Another key is [`TlsError::BadPin`](crate::error::TlsError::BadPin). For a device it saves the
/// flash of a chain's verification, and the clock. A server's next key has to be known before
/// it is used, or the device before it is out of reach: give two pins.
///
/// ```
/// # fn example(provider: std::sync::Arc<rustls::crypto::CryptoProvider>) -> Result<(), rustls::Error> {
/// use std::sync::Arc;
/// use starttls::tls::Pins;
///
/// let pins = Pins::new(&[[0x5a; 32]], provider.signature_verification_algorithms);
/// let config = rustls::ClientConfig::builder_with_provider(provider)
///     .with_safe_default_protocol_versions()?
///     .dangerous() // rustls's word for every verifier that is not its own
///     .with_custom_certificate_verifier(Arc::new(pins))
///     .with_no_client_auth();
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
pub struct Pins {
    digests: Vec<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pins {
    /// Trusts the keys with these digests; `algorithms` are the provider's, for the signature of the
    /// handshake. Without a digest no server is trusted.
    pub fn new(digests: &[[u8; 32]], algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { digests: digests.to_vec(), algorithms }
    }
}

fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<PublicKey<'a>, CertificateError> {
    PublicKey::of_certificate(certificate).map_err(|_| CertificateError::BadEncoding)
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match key_of(end_entity)?.matches(&self.digests) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = key_of(certificate)?;
        // A scheme is a digest and a kind of key, whatever its curve (RFC 8422 §5.1.1).
        let mut schemes = self.algorithms.mapping.iter();
        let known = schemes.find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = known.ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
        let mut fitting = algorithms.iter();
        fitting
            .find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm())
            .and_then(|it| it.verify_signature(key.octets(), message, signed.signature()).ok())
            .map(|()| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let info = SubjectPublicKeyInfoDer::from(key_of(certificate)?.info());
        verify_tls13_signature_with_raw_key(message, &info, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.mapping.iter().map(|(scheme, _)| *scheme).collect()
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("count", &self.digests.len()).finish_non_exhaustive()
    }
}
