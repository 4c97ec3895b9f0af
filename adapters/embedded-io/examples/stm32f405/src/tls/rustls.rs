//! TLS by rustls: what is needed for a `submit` of either kind.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::GetRandomFailed;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use starttls::protocol::Mail;
use starttls::submission::{Outcome, Report, Said, Submission};
use starttls::tls::ClientTls;
#[cfg(feature = "pinned")]
use starttls::tls::Pins;
use starttls_embedded_io::Broken;
use starttls_rustcrypto::Entropy;

use crate::clock::Reading;
use crate::config::Config;
use crate::device::{Job, Tls, prepare};
use crate::entropy::Source;
use crate::failure::Failure;
use crate::uart;

/// TLS 1.3 with the algorithms of the features.
impl Tls for ClientTls {
    // What is needed on the stack to make it is not needed while it is used.
    #[inline(never)]
    fn new(config: &Config<'_>, reading: Reading) -> Result<Self, Failure> {
        let provider = starttls_rustcrypto::provider::<Source>();
        #[cfg(feature = "pinned")]
        let pin = {
            let digest = config.anchor.try_into().map_err(|_| Failure::Anchor)?;
            Pins::new(&[digest], provider.signature_verification_algorithms)
        };
        let builder = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(reading))
            .with_protocol_versions(&[&TLS13])
            .map_err(|_| Failure::Other)?;
        #[cfg(feature = "pinned")]
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(pin));
        #[cfg(not(feature = "pinned"))]
        let builder = {
            let mut roots = rustls::RootCertStore::empty();
            let anchor = rustls::pki_types::CertificateDer::from(config.anchor);
            roots.add(anchor).map_err(|_| Failure::Anchor)?;
            builder.with_root_certificates(roots)
        };
        let mut tls = builder.with_no_client_auth();
        // One connection at a time, and the next one a day later.
        tls.resumption = Resumption::disabled();
        Ok(ClientTls::new(Arc::new(tls)))
    }
}

impl<'a> Job<'a, ClientTls> {
    /// The login and the envelope, in a box.
    ///
    /// # Errors
    /// What it is provisioned with cannot be used.
    // It is large, and is built on the stack before it is in its box: not while TLS needs that.
    #[inline(never)]
    pub fn boxed_submission(&self) -> Result<Box<Submission<'a>>, Failure> {
        let Config { name, implicit, .. } = *self.config;
        let mut submission = Box::new(Submission::new(Mail::Smtp, name, implicit)?);
        prepare(&mut submission, self.config, self.to)?;
        Ok(submission)
    }
}

impl Entropy for Source {
    fn fill(buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        // The source's own, which comes before the trait's.
        Source::fill(buffer).map_err(|_| GetRandomFailed)
    }
}

impl TimeProvider for Reading {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.seconds())))
    }
}

impl Failure {
    /// What a submission came to: nothing but the server's word that it has the mail is success.
    ///
    /// # Errors
    /// Anything else.
    pub fn of(result: Result<Report, Broken<uart::Error>>) -> Result<(), Self> {
        let (report, broken) = match &result {
            Ok(report) => (report, None),
            Err(broken) => (&*broken.report, Some(&broken.error)),
        };
        match &report.recipients[..] {
            [Outcome::Delivered(_)] => return Ok(()),
            [Outcome::Unknown] => return Err(Self::InDoubt),
            _ => {}
        }
        Err(match (broken, &report.recipients[..]) {
            (Some(error), _) => error.into(),
            (None, [Outcome::Refused(said)]) => Self::Refused(said.code),
            (None, _) => {
                let code = |said: &Option<Said>| said.as_ref().map(|said| said.code);
                match (code(&report.hello_refused), code(&report.login_refused), report.lacks) {
                    (Some(code), _, _) => Self::NoService(code),
                    (_, Some(code), _) => Self::Login(code),
                    (_, _, Some(_)) => Self::Lacks,
                    _ => Self::Unsent,
                }
            }
        })
    }
}
