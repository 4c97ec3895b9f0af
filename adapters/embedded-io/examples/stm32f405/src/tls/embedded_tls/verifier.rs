//! Whether the server has the pinned key.
//!
//! ```text
//!  Certificate ── its key, pinned? ─► Shown ── CertificateVerify, by that key? ─► Proven
//! ```
//!
//! A handshake that is over proves nothing by that: a Finished is made from what both sides know
//! (RFC 8446 §4.4.4), and so whoever answers can make one. A server, or somebody in its place, that
//! leaves out Certificate and CertificateVerify has to fail. So what counts is `Proven`, which is
//! remembered here, and not that the handshake came to its end.

use embedded_tls::alert::{AlertDescription, AlertLevel};
use embedded_tls::blocking::{
    Aes128GcmSha256, CertificateEntryRef, CertificateRef, CertificateVerifyRef, Sha256, TlsVerifier,
};
use embedded_tls::{SignatureScheme, TlsError};
use p256::ecdsa::signature::{Verifier as _, digest::Digest};
use p256::ecdsa::{Signature, VerifyingKey};
use starttls::error::TlsError as How;
use starttls::pins::PublicKey;

/// id-ecPublicKey with secp256r1 (RFC 5480 §2.1.1).
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// What is signed begins so (RFC 8446 §4.4.3), behind 64 spaces.
const CONTEXT: &[u8; 34] = b"TLS 1.3, server CertificateVerify\0";

pub(super) struct Verifier {
    pin: [u8; 32],
    proof: Proof,
    refused: Option<How>,
}

enum Proof {
    /// No certificate was shown.
    None,
    /// One with the pinned key was shown; the hash of the transcript up to it.
    Shown(VerifyingKey, [u8; 32]),
    /// The server signed with the pinned key.
    Proven,
}

impl Verifier {
    pub(super) fn new(pin: [u8; 32]) -> Self {
        Self { pin, proof: Proof::None, refused: None }
    }

    /// Whether the server proved that it has the key.
    pub(super) fn check(&self) -> Result<(), How> {
        match (self.refused, &self.proof) {
            (None, Proof::Proven) => Ok(()),
            (Some(why), _) => Err(why),
            (None, Proof::Shown(..)) => Err(How::PeerMisbehaved),
            (None, Proof::None) => Err(How::NoCertificate),
        }
    }

    /// Why what was shown or signed was not accepted, if that was so.
    pub(super) fn refused(&self) -> Option<How> {
        self.refused
    }

    fn shown(&self, certificate: &CertificateRef<'_>) -> Result<VerifyingKey, How> {
        let Some(CertificateEntryRef::X509(der)) = certificate.entries.first() else {
            return Err(How::NoCertificate);
        };
        let key = PublicKey::of_certificate(der).map_err(|_| How::Certificate)?;
        match key.matches(&[self.pin]) {
            true if key.algorithm() == P256 => {
                VerifyingKey::from_sec1_bytes(key.octets()).map_err(|_| How::Certificate)
            }
            true => Err(How::Certificate),
            false => Err(How::BadPin),
        }
    }

    fn signed(&mut self, verify: &CertificateVerifyRef<'_>) -> Result<(), How> {
        let Proof::Shown(key, transcript) = core::mem::replace(&mut self.proof, Proof::None) else {
            return Err(How::PeerMisbehaved);
        };
        if verify.signature_scheme != SignatureScheme::EcdsaSecp256r1Sha256 {
            return Err(How::PeerMisbehaved);
        }
        let mut message = [b' '; 64 + CONTEXT.len() + 32];
        message[64..][..CONTEXT.len()].copy_from_slice(CONTEXT);
        message[64 + CONTEXT.len()..].copy_from_slice(&transcript);
        let signature = Signature::from_der(verify.signature).map_err(|_| How::Certificate)?;
        key.verify(&message, &signature).map_err(|_| How::Certificate)
    }

    /// The end of the handshake, of which the server is told.
    fn refuse(&mut self, why: How) -> TlsError {
        self.proof = Proof::None;
        self.refused.get_or_insert(why);
        let alert = match why {
            How::PeerMisbehaved => AlertDescription::UnexpectedMessage,
            _ => AlertDescription::BadCertificate,
        };
        TlsError::AbortHandshake(AlertLevel::Fatal, alert)
    }
}

impl TlsVerifier<Aes128GcmSha256> for Verifier {
    /// A key is trusted in place of a name.
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), TlsError> {
        Ok(())
    }

    fn verify_certificate(
        &mut self,
        transcript: &Sha256,
        certificate: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        let key = self.shown(&certificate).map_err(|why| self.refuse(why))?;
        self.proof = Proof::Shown(key, transcript.clone().finalize().into());
        Ok(())
    }

    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        self.signed(&verify).map_err(|why| self.refuse(why))?;
        self.proof = Proof::Proven;
        Ok(())
    }
}
