//! TLS by embedded-tls: what is needed for [`submit_inside`](starttls_embedded_io::submit_inside).

mod line;
mod random;
mod verifier;

use embedded_tls::blocking::{Aes128GcmSha256, CryptoProvider, TlsVerifier};
use embedded_tls::{CryptoRngCore, TlsError};
use starttls::error::{Error as Cause, Misuse, TlsError as How};
use starttls::submission::Event;

use self::random::Random;
use self::verifier::Verifier;
use crate::clock::Reading;
use crate::config::Config;
use crate::device::{RECEIVE, Tls};
use crate::failure::Failure;

pub use self::line::Line;

/// The server's key: the SHA-256 of its SubjectPublicKeyInfo. Trust in it needs no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Tls for Pin {
    fn new(config: &Config<'_>, _: Reading) -> Result<Self, Failure> {
        config.anchor.try_into().map(Self).map_err(|_| Failure::Anchor)
    }
}

/// What one handshake takes, and what it came to.
pub struct Handshake {
    random: Random,
    verifier: Verifier,
}

impl Handshake {
    /// A handshake with the server that has this key.
    ///
    /// # Errors
    /// [`Failure::Randomness`].
    pub fn with(pin: Pin) -> Result<Self, Failure> {
        Ok(Self { random: Random::draw()?, verifier: Verifier::new(pin.0) })
    }

    /// To be asked when the handshake is over, whatever it came to: whether the server proved that
    /// it has the key. Nothing is said inside TLS before.
    ///
    /// # Errors
    /// Why it did not.
    pub fn check(&self) -> Result<(), Failure> {
        self.verifier.check().map_err(|why| Cause::Tls(why).into())
    }

    /// Why the handshake failed.
    pub fn failure(&self, error: TlsError, line: &Line<'_>) -> Failure {
        match self.verifier.refused() {
            Some(why) => Cause::Tls(why).into(),
            None => line.failure(error),
        }
    }
}

impl CryptoProvider for &mut Handshake {
    type CipherSuite = Aes128GcmSha256;
    // There is no certificate of the device's.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// An error of the library's that is not the line's. `length` is that of the record which was read
/// last, if the library found it too large.
fn cause(error: TlsError, length: usize) -> Cause {
    match error {
        TlsError::ConnectionClosed | TlsError::IoError => Cause::Truncated,
        TlsError::InsufficientSpace if length > RECEIVE => Misuse::BufferTooSmall(length).into(),
        TlsError::CryptoError | TlsError::InvalidSignature => How::Decrypt.into(),
        TlsError::HandshakeAborted(_, alert) => How::AlertReceived(alert as u8).into(),
        TlsError::InvalidRecord | TlsError::UnknownContentType => How::NotTls.into(),
        TlsError::InvalidCipherSuite
        | TlsError::InvalidKeyShare
        | TlsError::InvalidSignatureScheme
        | TlsError::InvalidSupportedVersions => How::Incompatible.into(),
        TlsError::InvalidHandshake
        | TlsError::InvalidExtensionsLength
        | TlsError::InvalidSessionIdLength
        | TlsError::InvalidCertificate
        | TlsError::InvalidCertificateEntry
        | TlsError::AbortHandshake(..)
        | TlsError::ParseError(_)
        | TlsError::DecodeError => How::PeerMisbehaved.into(),
        _ => How::Other.into(),
    }
}

/// What becomes of the one recipient: nothing but the server's word that it has the mail is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome(Result<(), Failure>);

impl Outcome {
    /// Before anything was heard.
    pub const UNSENT: Self = Self(Err(Failure::Unsent));

    /// Takes in what a submission tells.
    pub fn hear(&mut self, event: Event<'_>) {
        let refused = match event {
            Event::Delivered { .. } => {
                self.0 = Ok(());
                return;
            }
            Event::HelloRefused(reply) => Failure::NoService(reply.code),
            Event::LoginRefused(reply) => Failure::Login(reply.code),
            Event::SenderRefused(reply)
            | Event::Recipient { refused: Some(reply), .. }
            | Event::MessageRefused { reply, .. } => Failure::Refused(reply.code),
            Event::Lacks(_) => Failure::Lacks,
            _ => return,
        };
        if *self == Self::UNSENT {
            self.0 = Err(refused);
        }
    }

    /// The connection was lost when the mail was out and the answer was not back.
    pub fn doubt(&mut self) {
        if self.0.is_err() {
            self.0 = Err(Failure::InDoubt);
        }
    }

    /// What it is when the session is over, by `broken` if that was not as it should be.
    ///
    /// # Errors
    /// Anything but delivery.
    pub fn with(self, broken: Option<Failure>) -> Result<(), Failure> {
        match (self, broken) {
            (Self::UNSENT, Some(broken)) => Err(broken),
            (Self(outcome), _) => outcome,
        }
    }
}
