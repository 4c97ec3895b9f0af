//! The cipher suites whose features are on, the fastest first where no hardware does AES.

use alloc::vec::Vec;

use rustls::SupportedCipherSuite;

pub(crate) fn supported() -> Vec<SupportedCipherSuite> {
    let suites: &[SupportedCipherSuite] = &[
        #[cfg(feature = "chacha20-poly1305")]
        SupportedCipherSuite::Tls13(&tls13::CHACHA20_POLY1305),
        #[cfg(feature = "aes128-gcm")]
        SupportedCipherSuite::Tls13(&tls13::AES_128_GCM),
        #[cfg(feature = "aes256-gcm")]
        SupportedCipherSuite::Tls13(&tls13::AES_256_GCM),
        #[cfg(all(feature = "tls12", feature = "chacha20-poly1305"))]
        SupportedCipherSuite::Tls12(&tls12::ECDSA_CHACHA20_POLY1305),
        #[cfg(all(feature = "tls12", feature = "aes128-gcm"))]
        SupportedCipherSuite::Tls12(&tls12::ECDSA_AES_128_GCM),
        #[cfg(all(feature = "tls12", feature = "aes256-gcm"))]
        SupportedCipherSuite::Tls12(&tls12::ECDSA_AES_256_GCM),
        #[cfg(all(feature = "tls12", feature = "rsa", feature = "chacha20-poly1305"))]
        SupportedCipherSuite::Tls12(&tls12::RSA_CHACHA20_POLY1305),
        #[cfg(all(feature = "tls12", feature = "rsa", feature = "aes128-gcm"))]
        SupportedCipherSuite::Tls12(&tls12::RSA_AES_128_GCM),
        #[cfg(all(feature = "tls12", feature = "rsa", feature = "aes256-gcm"))]
        SupportedCipherSuite::Tls12(&tls12::RSA_AES_256_GCM),
    ];
    suites.to_vec()
}

#[cfg(any(feature = "aes128-gcm", feature = "aes256-gcm", feature = "chacha20-poly1305"))]
mod tls13 {
    use rustls::crypto::CipherSuiteCommon;
    use rustls::crypto::cipher::Tls13AeadAlgorithm;
    use rustls::crypto::hash::Hash;
    use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
    use rustls::{CipherSuite, Tls13CipherSuite};

    use crate::{aead, hash};

    /// Records of full length that may be under one key of AES-GCM; then rustls takes new keys, or
    /// in TLS 1.2 ends the connection. Below the 2^24.5 of RFC 8446 §5.5.
    #[cfg(any(feature = "aes128-gcm", feature = "aes256-gcm"))]
    pub(super) const GCM_RECORDS: u64 = 1 << 24;

    #[cfg(feature = "chacha20-poly1305")]
    pub(super) static CHACHA20_POLY1305: Tls13CipherSuite = suite(
        common(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &hash::SHA256, u64::MAX),
        &HKDF_SHA256,
        &aead::CHACHA20_POLY1305,
    );

    #[cfg(feature = "aes128-gcm")]
    pub(super) static AES_128_GCM: Tls13CipherSuite = suite(
        common(CipherSuite::TLS13_AES_128_GCM_SHA256, &hash::SHA256, GCM_RECORDS),
        &HKDF_SHA256,
        &aead::AES_128_GCM,
    );

    #[cfg(feature = "aes256-gcm")]
    pub(super) static AES_256_GCM: Tls13CipherSuite = suite(
        common(CipherSuite::TLS13_AES_256_GCM_SHA384, &hash::SHA384, GCM_RECORDS),
        &HKDF_SHA384,
        &aead::AES_256_GCM,
    );

    #[cfg(any(feature = "aes128-gcm", feature = "chacha20-poly1305"))]
    static HKDF_SHA256: HkdfUsingHmac<'static> = HkdfUsingHmac(&hash::HMAC_SHA256);
    #[cfg(feature = "aes256-gcm")]
    static HKDF_SHA384: HkdfUsingHmac<'static> = HkdfUsingHmac(&hash::HMAC_SHA384);

    const fn suite(
        common: CipherSuiteCommon,
        hkdf_provider: &'static dyn Hkdf,
        aead_alg: &'static dyn Tls13AeadAlgorithm,
    ) -> Tls13CipherSuite {
        Tls13CipherSuite { common, hkdf_provider, aead_alg, quic: None }
    }

    pub(super) const fn common(
        suite: CipherSuite,
        hash_provider: &'static dyn Hash,
        confidentiality_limit: u64,
    ) -> CipherSuiteCommon {
        CipherSuiteCommon { suite, hash_provider, confidentiality_limit }
    }
}

#[cfg(all(
    feature = "tls12",
    any(feature = "aes128-gcm", feature = "aes256-gcm", feature = "chacha20-poly1305")
))]
mod tls12 {
    use rustls::crypto::cipher::Tls12AeadAlgorithm;
    use rustls::crypto::tls12::{Prf, PrfUsingHmac};
    use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
    use rustls::{CipherSuite, SignatureScheme, Tls12CipherSuite};

    #[cfg(any(feature = "aes128-gcm", feature = "aes256-gcm"))]
    use super::tls13::GCM_RECORDS;
    use super::tls13::common;
    use crate::{aead, hash};

    #[cfg(feature = "chacha20-poly1305")]
    pub(super) static ECDSA_CHACHA20_POLY1305: Tls12CipherSuite =
        chacha20_poly1305(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, ECDSA);
    #[cfg(feature = "aes128-gcm")]
    pub(super) static ECDSA_AES_128_GCM: Tls12CipherSuite =
        aes_128_gcm(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ECDSA);
    #[cfg(feature = "aes256-gcm")]
    pub(super) static ECDSA_AES_256_GCM: Tls12CipherSuite =
        aes_256_gcm(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ECDSA);

    #[cfg(all(feature = "rsa", feature = "chacha20-poly1305"))]
    pub(super) static RSA_CHACHA20_POLY1305: Tls12CipherSuite =
        chacha20_poly1305(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, RSA);
    #[cfg(all(feature = "rsa", feature = "aes128-gcm"))]
    pub(super) static RSA_AES_128_GCM: Tls12CipherSuite =
        aes_128_gcm(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, RSA);
    #[cfg(all(feature = "rsa", feature = "aes256-gcm"))]
    pub(super) static RSA_AES_256_GCM: Tls12CipherSuite =
        aes_256_gcm(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, RSA);

    /// What a signature in the handshake of a suite can be; which of them are offered says the
    /// verifier.
    type Schemes = &'static [SignatureScheme];

    const ECDSA: Schemes =
        &[SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ECDSA_NISTP256_SHA256];
    #[cfg(feature = "rsa")]
    const RSA: Schemes = &[
        SignatureScheme::RSA_PSS_SHA512,
        SignatureScheme::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA512,
        SignatureScheme::RSA_PKCS1_SHA384,
        SignatureScheme::RSA_PKCS1_SHA256,
    ];

    #[cfg(any(feature = "aes128-gcm", feature = "chacha20-poly1305"))]
    static PRF_SHA256: PrfUsingHmac<'static> = PrfUsingHmac(&hash::HMAC_SHA256);
    #[cfg(feature = "aes256-gcm")]
    static PRF_SHA384: PrfUsingHmac<'static> = PrfUsingHmac(&hash::HMAC_SHA384);

    #[cfg(feature = "chacha20-poly1305")]
    const fn chacha20_poly1305(name: CipherSuite, sign: Schemes) -> Tls12CipherSuite {
        let common = common(name, &hash::SHA256, u64::MAX);
        suite(common, &PRF_SHA256, &aead::CHACHA20_POLY1305, sign)
    }

    #[cfg(feature = "aes128-gcm")]
    const fn aes_128_gcm(name: CipherSuite, sign: Schemes) -> Tls12CipherSuite {
        let common = common(name, &hash::SHA256, GCM_RECORDS);
        suite(common, &PRF_SHA256, &aead::AES_128_GCM, sign)
    }

    #[cfg(feature = "aes256-gcm")]
    const fn aes_256_gcm(name: CipherSuite, sign: Schemes) -> Tls12CipherSuite {
        let common = common(name, &hash::SHA384, GCM_RECORDS);
        suite(common, &PRF_SHA384, &aead::AES_256_GCM, sign)
    }

    const fn suite(
        common: CipherSuiteCommon,
        prf_provider: &'static dyn Prf,
        aead_alg: &'static dyn Tls12AeadAlgorithm,
        sign: Schemes,
    ) -> Tls12CipherSuite {
        let kx = KeyExchangeAlgorithm::ECDHE;
        Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg }
    }
}
