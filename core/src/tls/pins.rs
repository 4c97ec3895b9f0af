//! Trust in keys that are known beforehand, in place of a chain of certificates.

use alloc::vec::Vec;
use core::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::wire::ber::{Elements, SEQUENCE};

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

/// The public key of a certificate (RFC 5280 §4.1).
struct Key<'a> {
    /// The SubjectPublicKeyInfo, with its tag.
    info: &'a [u8],
    algorithm: &'a [u8],
    octets: &'a [u8],
}

impl<'a> Key<'a> {
    fn of(certificate: &'a [u8]) -> Result<Self, CertificateError> {
        Self::parse(certificate).map_err(|_| CertificateError::BadEncoding)
    }

    fn parse(certificate: &'a [u8]) -> Result<Self, Error> {
        const VERSION: u8 = 0xa0;
        const BIT_STRING: u8 = 0x03;
        let certificate = Elements::of(certificate).expect(SEQUENCE)?;
        let mut fields = Elements::of(Elements::of(certificate).expect(SEQUENCE)?);
        // A serial number, or a version before it; signature, issuer, validity, subject.
        if fields.next()?.is_some_and(|(tag, _)| tag == VERSION) {
            fields.next()?;
        }
        for _ in 0..4 {
            fields.expect(SEQUENCE)?;
        }
        let rest = fields.rest();
        let mut parts = Elements::of(fields.expect(SEQUENCE)?);
        let info = rest.get(..rest.len() - fields.rest().len()).unwrap_or_default();
        let algorithm = parts.expect(SEQUENCE)?;
        // All keys are whole octets.
        let octets = parts.expect(BIT_STRING)?.strip_prefix(&[0]).unwrap_or_default();
        Ok(Self { info, algorithm, octets })
    }
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
        let key = Key::of(end_entity)?;
        let digest = Sha256::digest(key.info);
        match self.digests.iter().any(|pin| pin[..] == digest[..]) {
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
        let key = Key::of(certificate)?;
        // A scheme is a digest and a kind of key, whatever its curve (RFC 8422 §5.1.1).
        let mut schemes = self.algorithms.mapping.iter();
        let known = schemes.find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = known.ok_or(PeerIncompatible::NoSignatureSchemesInCommon)?;
        let mut fitting = algorithms.iter();
        fitting
            .find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .and_then(|it| it.verify_signature(key.octets, message, signed.signature()).ok())
            .map(|()| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let info = SubjectPublicKeyInfoDer::from(Key::of(certificate)?.info);
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
