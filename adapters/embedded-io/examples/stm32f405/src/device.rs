//! The device's work: a mail, tried until the server has it.

use alloc::boxed::Box;
use alloc::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::version::TLS13;
use starttls::error::Misuse;
use starttls::protocol::{self, ClientMachine, Implicit, SMTP, smtp};
use starttls::submission::mime::Composer;
use starttls::submission::{Content, Credentials, Envelope, Require, Submission};
use starttls::tls::ClientTls;
#[cfg(feature = "pinned")]
use starttls::tls::Pins;
use starttls_embedded_io::Buffers;
use starttls_rustcrypto::Entropy;
use static_cell::ConstStaticCell;

use crate::clock::{CLOCK, Reading};
use crate::config::Config;
use crate::entropy::Source;
use crate::failure::Failure;
use crate::info;
use crate::message::{Facts, Mail};
use crate::time::Instant;
use crate::uart::Uart;
use crate::{board, guard, heap, log, modem, time};

/// Octets of the receive buffer: for a record of TLS 1.3 as long as they get, or for servers that
/// are known to send shorter ones, their certificates among them.
pub const RECEIVE: usize = if cfg!(feature = "large-records") { 16_645 } else { 4096 };

/// Octets of the send buffer, to which records are cut.
pub const SEND: usize = 1024;

/// Milliseconds between tries.
const PAUSE: u32 = 1000;

static RECEIVE_BUFFER: ConstStaticCell<[u8; RECEIVE]> = ConstStaticCell::new([0; RECEIVE]);
static SEND_BUFFER: ConstStaticCell<[u8; SEND]> = ConstStaticCell::new([0; SEND]);

/// All that one mail takes, for a `submit` of either kind.
pub struct Job<'a> {
    /// The transport.
    pub uart: &'a mut Uart,
    /// STARTTLS, or nothing before TLS.
    pub machine: ClientMachine<'a>,
    /// How TLS is done.
    pub tls: &'a ClientTls,
    /// The name that the server has to prove.
    pub server: &'a str,
    /// The session's buffers.
    pub buffers: Buffers<&'a mut [u8], &'a mut [u8]>,
    /// The message.
    pub message: Mail<'a>,
    /// The last moment.
    pub end: Instant,
    config: &'a Config<'a>,
    to: &'a [&'a str],
}

impl<'a> Job<'a> {
    /// The login and the envelope.
    ///
    /// # Errors
    /// What it is provisioned with cannot be used.
    // It is large, and is built on the stack before it is in its box: not while TLS needs that.
    #[inline(never)]
    pub fn submission(&self) -> Result<Box<Submission<'a>>, Failure> {
        let config = self.config;
        let mut submission = Submission::new(protocol::Mail::Smtp, config.name, config.implicit)?;
        if cfg!(feature = "login") && !config.user.is_empty() {
            let credentials = Credentials::password(config.user, config.password);
            submission.login(credentials, &mut |nonce| {
                Source::fill(nonce).map_err(|_| Misuse::Randomness.into())
            })?;
        }
        let envelope = Envelope {
            from: config.from,
            to: self.to,
            size: None,
            content: Content::SevenBit,
            utf8: false,
            require: Require::All,
        };
        submission.mail(envelope, true)?;
        Ok(Box::new(submission))
    }
}

/// Sends the device's mail, in as many tries as it is provisioned for, and ends the program.
pub async fn deliver(
    mut uart: Uart,
    mut submit: impl AsyncFnMut(Job<'_>) -> Result<(), Failure>,
) -> ! {
    let status = match Config::load() {
        Ok(config) => send(&config, &mut uart, &mut submit).await,
        Err(error) => {
            log::failed(&error.into());
            Failure::from(error).status()
        }
    };
    board::halt(status)
}

async fn send(
    config: &Config<'_>,
    uart: &mut Uart,
    submit: &mut impl AsyncFnMut(Job<'_>) -> Result<(), Failure>,
) -> u8 {
    let receive = RECEIVE_BUFFER.take();
    let send = SEND_BUFFER.take();
    let (mut status, mut facts) = (0, None);
    for number in 1..=config.tries {
        info!("try", number);
        let buffers = Buffers { receive: &mut receive[..], send: &mut send[..] };
        let begun = time::worked();
        let result = attempt(config, uart, buffers, &mut facts, submit).await;
        info!("cycles of work", time::worked().wrapping_sub(begun));
        info!("peak of the heap", heap::peak() as u32);
        info!("peak of the stack", guard::stack_peak() as u32);
        match result {
            Ok(()) => {
                info!("sent");
                return 0;
            }
            Err(failure) => {
                log::failed(&failure);
                status = failure.status();
            }
        }
        Instant::after(PAUSE).reached().await;
    }
    status
}

async fn attempt<'c>(
    config: &Config<'c>,
    uart: &mut Uart,
    buffers: Buffers<&mut [u8], &mut [u8]>,
    facts: &mut Option<Facts<'c>>,
    submit: &mut impl AsyncFnMut(Job<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match heap::free() {
        free @ ..heap::NEED => return Err(Failure::Heap(free)),
        _ => {}
    }
    let reading = Reading::take(&CLOCK, config.since.into()).ok_or(Failure::Clock)?;
    // The same at each try, so that a mail that arrives twice is seen to be one.
    let facts = match facts {
        Some(facts) => facts,
        none => none.insert(Facts::new(config, reading.seconds())?),
    };
    let message = facts.message(config);
    let composer = Composer::new(&message)?;
    let mut readings = config.attachment;
    let mut attached = |_, piece: &mut [u8]| embedded_io::Read::read(&mut readings, piece);
    let tls = tls(config, reading)?;
    let machine: ClientMachine<'_> = match config.implicit {
        true => Box::new(Implicit::client(&SMTP)),
        false => Box::new(smtp::Client::new(config.name)?),
    };
    let to = [config.to];

    let patience = config.patience.saturating_mul(1000);
    modem::dial(uart, config.dial, patience).await?;
    info!("connected");
    let job = Job {
        uart: &mut *uart,
        machine,
        tls: &tls,
        server: config.server,
        buffers,
        message: Mail::new(composer, &mut attached),
        end: Instant::after(patience),
        config,
        to: &to,
    };
    let sent = submit(job).await;
    if modem::hang_up(uart).await.is_err() {
        info!("the modem does not hang up");
    }
    sent
}

/// TLS 1.3 with the algorithms of the features.
fn tls(config: &Config<'_>, reading: Reading) -> Result<ClientTls, Failure> {
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
