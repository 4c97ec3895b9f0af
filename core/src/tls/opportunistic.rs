//! Opportunistic TLS: accept any certificate, and remember what was wrong with it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Security, failure};
use crate::error::TlsError;

/// The verdicts that are told apart, by their place in the atomic.
const VERDICTS: [TlsError; 6] = [
    TlsError::Certificate,
    TlsError::Expired,
    TlsError::NotValidYet,
    TlsError::WrongName,
    TlsError::UnknownIssuer,
    TlsError::BadPin,
];
const UNASKED: u8 = 0xff;
const VERIFIED: u8 = 0xfe;

/// A verifier for one connection that asks `inner` and never says no.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn ServerCertVerifier>,
    verdict: AtomicU8,
}

impl Recorder {
    pub(super) fn new(inner: Arc<dyn ServerCertVerifier>) -> Self {
        Self { inner, verdict: AtomicU8::new(UNASKED) }
    }

    pub(super) fn security(&self) -> Security {
        match self.verdict.load(Ordering::Relaxed) {
            VERIFIED => Security::Authenticated,
            at => Security::Unauthenticated(
                VERDICTS.get(usize::from(at)).copied().unwrap_or(TlsError::NoCertificate),
            ),
        }
    }

    fn failed(&self, error: &rustls::Error) {
        let kind = failure::classify(error);
        let at = VERDICTS.iter().position(|&verdict| verdict == kind).unwrap_or(0);
        self.verdict.store(at as u8, Ordering::Relaxed);
    }

    /// A signature that does not verify takes back what the certificate gave.
    fn signature(
        &self,
        result: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if let Err(error) = result
            && self.verdict.load(Ordering::Relaxed) == VERIFIED
        {
            self.failed(&error);
        }
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let inner = &self.inner;
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Ok(_) => self.verdict.store(VERIFIED, Ordering::Relaxed),
            Err(error) => self.failed(&error),
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(self.inner.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(self.inner.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
