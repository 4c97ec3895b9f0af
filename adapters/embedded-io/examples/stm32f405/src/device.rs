//! The device's work: a mail, tried until the server has it.

use starttls::error::Misuse;
use starttls::negotiate::{Client, Either};
use starttls::protocol::{Implicit, SMTP, smtp};
use starttls::submission::mime::Composer;
use starttls::submission::{Content, Credentials, Envelope, Require, Submission};
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
pub const SEND: usize = 512;

/// Milliseconds between tries.
const PAUSE: u32 = 1000;

static RECEIVE_BUFFER: ConstStaticCell<[u8; RECEIVE]> = ConstStaticCell::new([0; RECEIVE]);
static SEND_BUFFER: ConstStaticCell<[u8; SEND]> = ConstStaticCell::new([0; SEND]);

/// TLS by some library, as the device is provisioned for it.
pub trait Tls: Sized {
    /// What a try begins with, at this time.
    ///
    /// # Errors
    /// [`Failure::Anchor`] above all.
    fn new(config: &Config<'_>, reading: Reading) -> Result<Self, Failure>;
}

/// All that one mail takes.
pub struct Job<'a, T> {
    /// The transport.
    pub uart: &'a mut Uart,
    /// How TLS is done.
    pub tls: &'a T,
    /// The receive buffer.
    pub receive: &'a mut [u8],
    /// The send buffer.
    pub send: &'a mut [u8],
    /// The message.
    pub message: Mail<'a>,
    /// The last moment.
    pub end: Instant,
    /// What the device is provisioned with.
    pub config: &'a Config<'a>,
    /// Who gets the mail.
    pub to: &'a [&'a str],
}

impl<'a, T> Job<'a, T> {
    /// STARTTLS, or nothing before TLS.
    ///
    /// # Errors
    /// What it is provisioned with cannot be used.
    pub fn machine(&self) -> Result<Either<Implicit<Client>, smtp::Client<'a>>, Failure> {
        Ok(match self.config.implicit {
            true => Either::One(Implicit::client(&SMTP)),
            false => Either::Other(smtp::Client::new(self.config.name)?),
        })
    }
}

/// Tells a submission of SMTP the login and the envelope.
///
/// # Errors
/// What the device is provisioned with cannot be used.
pub fn prepare<'a>(
    submission: &mut Submission<'a>,
    config: &Config<'a>,
    to: &'a [&'a str],
) -> Result<(), Failure> {
    if cfg!(feature = "login") && !config.user.is_empty() {
        let credentials = Credentials::password(config.user, config.password);
        submission.login(credentials, &mut |nonce| {
            Source::fill(nonce).map_err(|_| Misuse::Randomness.into())
        })?;
    }
    let envelope = Envelope {
        from: config.from,
        to,
        size: None,
        content: Content::SevenBit,
        utf8: false,
        require: Require::All,
    };
    submission.mail(envelope, true)?;
    Ok(())
}

/// Sends the device's mail, in as many tries as it is provisioned for, and ends the program.
pub async fn deliver<T: Tls>(
    mut uart: Uart,
    mut submit: impl AsyncFnMut(Job<'_, T>) -> Result<(), Failure>,
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

async fn send<T: Tls>(
    config: &Config<'_>,
    uart: &mut Uart,
    submit: &mut impl AsyncFnMut(Job<'_, T>) -> Result<(), Failure>,
) -> u8 {
    let receive = RECEIVE_BUFFER.take();
    let send = SEND_BUFFER.take();
    let (mut status, mut facts) = (0, None);
    for number in 1..=config.tries {
        info!("try", number);
        let begun = time::worked();
        let buffers = (&mut receive[..], &mut send[..]);
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

async fn attempt<'c, T: Tls>(
    config: &Config<'c>,
    uart: &mut Uart,
    (receive, send): (&mut [u8], &mut [u8]),
    facts: &mut Option<Facts<'c>>,
    submit: &mut impl AsyncFnMut(Job<'_, T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    heap::check()?;
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
    let tls = T::new(config, reading)?;
    let to = [config.to];

    let patience = config.patience.saturating_mul(1000);
    modem::dial(uart, config.dial, patience).await?;
    info!("connected");
    let job = Job {
        uart: &mut *uart,
        tls: &tls,
        receive,
        send,
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
