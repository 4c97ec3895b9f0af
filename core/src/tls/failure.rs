//! rustls's errors, as values of ours.

use alloc::sync::Arc;
use core::fmt;

use rustls::{CertificateError, InvalidMessage, PeerMisbehaved};

use crate::error::TlsError;

/// What the TLS library says of a failure; for people to read.
#[derive(Clone, Debug)]
pub struct TlsFailure(Arc<rustls::Error>);

impl TlsFailure {
    pub(super) fn new(error: rustls::Error) -> Self {
        Self(Arc::new(error))
    }

    /// The failure as a value.
    pub fn kind(&self) -> TlsError {
        classify(&self.0)
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for TlsFailure {}

pub(super) fn classify(error: &rustls::Error) -> TlsError {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(certificate) => certificate_error(certificate),
        E::NoCertificatesPresented => TlsError::NoCertificate,
        E::UnsupportedNameType => TlsError::WrongName,
        E::AlertReceived(alert) => TlsError::AlertReceived(u8::from(*alert)),
        E::PeerIncompatible(_) => TlsError::Incompatible,
        E::NoApplicationProtocol
        | E::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => TlsError::Alpn,
        E::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge,
        ) => TlsError::NotTls,
        E::InvalidMessage(_)
        | E::PeerMisbehaved(_)
        | E::InappropriateMessage { .. }
        | E::InappropriateHandshakeMessage { .. }
        | E::PeerSentOversizedRecord => TlsError::PeerMisbehaved,
        E::DecryptError => TlsError::Decrypt,
        _ => TlsError::Other,
    }
}

fn certificate_error(error: &CertificateError) -> TlsError {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => TlsError::Expired,
        C::NotValidYet | C::NotValidYetContext { .. } => TlsError::NotValidYet,
        C::NotValidForName | C::NotValidForNameContext { .. } => TlsError::WrongName,
        C::UnknownIssuer => TlsError::UnknownIssuer,
        C::ApplicationVerificationFailure => TlsError::BadPin,
        _ => TlsError::Certificate,
    }
}
