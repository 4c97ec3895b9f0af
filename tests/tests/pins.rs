//! Servers trusted by their public key.

use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use starttls::error::TlsError;
use starttls::tls::{ClientTls, Pins, Security};
use starttls_tests::pki::{NAME, Pki};
use starttls_tests::sessions::{Cut, Pair};

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn pins(digests: &[[u8; 32]]) -> Arc<Pins> {
    let provider = aws_lc_rs::default_provider();
    Arc::new(Pins::new(digests, provider.signature_verification_algorithms))
}

fn client(digests: &[[u8; 32]], version: &'static SupportedProtocolVersion) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(pins(digests))
        .with_no_client_auth()
}

/// What becomes of a session with this server: an error on the client's side, or none.
fn outcome(client: ClientConfig, server: ServerConfig) -> Option<TlsError> {
    let mut pair = Pair::new("smtp", client, server, Cut::default());
    pair.run();
    match pair.client.last() {
        Err(starttls::Error::Tls(error)) => Some(error),
        Err(error) => panic!("{error}"),
        Ok(_) => {
            assert!(pair.client.is_up());
            None
        }
    }
}

/// A server whose certificate says nothing that could be verified.
fn stranger(key: KeyPair) -> Pki {
    Pki::of("nobody", KeyPair::generate().unwrap(), key, |params| {
        params.subject_alt_names.clear();
        params.not_before = date_time_ymd(1990, 1, 1);
        params.not_after = date_time_ymd(1991, 1, 1);
    })
}

#[test]
fn a_key_is_enough_and_another_is_not() {
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let spki = key.subject_public_key_info();
        let pki = stranger(key);
        assert_eq!(spki, pki.server_key());
        for version in [&TLS12, &TLS13] {
            let pinned = outcome(client(&[[0; 32], digest(&spki)], version), pki.server());
            assert_eq!(pinned, None, "{algorithm:?}, {version:?}");
            let mut other = digest(&spki);
            other[31] ^= 1;
            for digests in [&[][..], &[other]] {
                let refused = outcome(client(digests, version), pki.server());
                assert_eq!(refused, Some(TlsError::BadPin), "{algorithm:?}, {version:?}");
            }
        }
    }
}

/// Anybody can show a certificate with the pinned key in it; not everybody has the key.
#[test]
fn the_key_has_to_be_there() {
    let (pki, impostor) = (stranger(KeyPair::generate().unwrap()), KeyPair::generate().unwrap());
    let provider = aws_lc_rs::default_provider();
    let key = PrivateKeyDer::try_from(impostor.serialize_der()).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let shown = Arc::new(SingleCertAndKey::from(CertifiedKey::new(pki.chain().to_vec(), key)));
    for version in [&TLS12, &TLS13] {
        let server = ServerConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        let refused = outcome(client(&[digest(&pki.server_key())], version), server);
        assert_eq!(refused, Some(TlsError::Certificate), "{version:?}");
    }
}

/// What is no certificate is refused as such, wherever it is cut.
#[test]
fn certificates_that_are_cut_short() {
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::UnixTime;

    let pki = stranger(KeyPair::generate().unwrap());
    let whole = &pki.chain()[0];
    let pins = pins(&[digest(&pki.server_key())]);
    let name = NAME.try_into().unwrap();
    let verify = |octets: &[u8]| {
        let certificate = CertificateDer::from(octets.to_vec());
        pins.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
    };
    assert!(verify(whole).is_ok());
    for length in 0..whole.len() {
        assert!(verify(&whole[..length]).is_err(), "{length}");
    }
}

/// Where any server is accepted, the pins say whether it is the right one.
#[test]
fn opportunistic_tls_tells_a_wrong_key() {
    let pki = stranger(KeyPair::generate().unwrap());
    let config = Arc::new(client(&[], &TLS13));
    for (digests, expected) in [
        (vec![digest(&pki.server_key())], Security::Authenticated),
        (Vec::new(), Security::Unauthenticated(TlsError::BadPin)),
    ] {
        let tls = ClientTls::opportunistic(config.clone(), pins(&digests));
        let pair = Pair::with("smtp", &tls, pki.server(), Cut::default()).establish();
        assert_eq!(pair.client.session.security(), Some(expected));
    }
}
