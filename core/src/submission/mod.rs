//! What a client says once the channel is safe: EHLO, AUTH, mails, QUIT, for SMTP (RFC 5321,
//! RFC 6409) and LMTP (RFC 2033).
//!
//! ```text
//! [220 ─►] EHLO ─250─► AUTH ⇄ 334 ─235─► Ready ─► MAIL RCPT… ─┬► DATA ─354─► body . ─┬─► MailDone
//!   │       │                │             ▲                  └► BDAT n LAST body ───┤      │
//!   └───────┴──── refused ───┴─► QUIT ◄────┼──── quit                    refused ◄───┘      │
//!                                          ├───────────────────── RSET ◄────┘               │
//!                                          └────────────────────────────────────────────────┘
//! ```
//!
//! The machine takes octets that came out of TLS ([`Decrypted`]) and yields octets to be sent
//! through it; it neither allocates nor holds the message, which the caller gives in pieces of any
//! size. Outputs of 64 octets suffice, whatever the length of addresses and tokens.
//!
//! # Waits
//!
//! Where the server offers PIPELINING (RFC 2920) and one accepted recipient is enough
//! ([`Require::Any`]), a login and a mail wait for the server as often as there are bars here, one
//! more for a greeting inside TLS, and two more for SCRAM-SHA-256:
//!
//! ```text
//! EHLO | AUTH | MAIL RCPT… DATA | body . QUIT |          four times
//! EHLO | AUTH | MAIL RCPT… BDAT n LAST body QUIT |       three times
//! ```
//!
//! The second is used with CHUNKING (RFC 3030) and a declared size up to [`Limits::bdat`]. AUTH
//! stays alone, though RFC 4954 §4 would allow more: strict servers drop what is pipelined with it.
//! No more than 64 replies are ever outstanding, so that two peers that both write cannot
//! block each other.
//!
//! # Example
//!
//! ```
//! use starttls::protocol::Mail;
//! use starttls::submission::{Content, Credentials, Envelope, Require, Submission};
//! # fn fill(octets: &mut [u8]) -> Result<(), starttls::Error> { octets.fill(7); Ok(()) }
//!
//! let mut submission = Submission::new(Mail::Smtp, "client.example.org", false)?;
//! submission.login(Credentials::password("user", "pencil"), &mut fill)?;
//! let envelope = Envelope {
//!     from: "user@example.org",
//!     to: &["friend@example.net"],
//!     size: None,
//!     content: Content::Unknown,
//!     utf8: false,
//!     require: Require::Any,
//! };
//! submission.mail(envelope, true)?;
//! // Now `process` until it says `Done`, with what TLS brings and takes.
//! # Ok::<(), starttls::Error>(())
//! ```

mod body;
mod capabilities;
mod dialogue;
mod envelope;
mod event;
#[cfg(feature = "rustls")]
mod exchange;
pub mod mime;
mod replies;
#[cfg(feature = "rustls")]
mod report;
mod sasl;
mod scram;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use core::fmt;

use heapless::{Deque, Vec};

pub use self::body::{Measure, measure};
pub use self::capabilities::{Capabilities, Mechanisms};
pub use self::envelope::{Content, Envelope, MAX_RECIPIENTS, Require};
pub use self::event::{Event, Feature};
#[cfg(feature = "rustls")]
pub use self::exchange::{Exchange, Spoken, Step as ExchangeStep, Trace};
#[cfg(feature = "rustls")]
pub use self::report::{Outcome, Report, Said};
pub use self::sasl::{Credentials, Mechanism};

use self::dialogue::Step;
use self::event::Note;
use self::replies::Asked;
use self::sasl::Sasl;
use self::transaction::Transaction;
use crate::error::{Error, Misuse};
use crate::log::log;
use crate::protocol::Mail;
use crate::protocol::smtp::check_name;
use crate::wire::{Code, Decrypted, MAX_LINE, Out, Replies, Reply};

/// The most text kept of one reply, in octets; what goes beyond is cut.
pub const MAX_TEXT: usize = 1024;

/// What a caller may limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// The largest message sent with BDAT, in octets: it goes out before the server has said
    /// whether it wants it. 64 KiB unless changed; 0 for none.
    pub bdat: u64,
    /// The most rounds of PBKDF2 that SCRAM-SHA-256 spends at a server's request; 600,000 unless
    /// changed, in one call of [`Submission::process`]. Servers ask for 4,096 at least.
    pub scram_iterations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bdat: 64 * 1024, scram_iterations: 600_000 }
    }
}

/// One session with a server, from its first octet inside TLS to QUIT.
///
/// After an error other than those that the verbs below name as [`Misuse`] it only repeats that
/// error, and nothing more is sent.
pub struct Submission<'a> {
    mail: Mail,
    name: &'a str,
    limits: Limits,
    offered: Capabilities,
    started: bool,
    logged_in: bool,
    /// The login that is to be done, or being done.
    sasl: Option<Sasl<'a>>,
    /// The mail that is queued, or on its way.
    transaction: Option<Transaction<'a>>,

    /// What is sent next, and how much of it was.
    step: Step,
    written: usize,
    /// What the next reply answers, and how many are due.
    asked: Asked,
    outstanding: usize,

    /// The line that is being read, and how far it was looked at.
    line: Vec<u8, MAX_LINE>,
    scanned: usize,
    replies: Replies,
    /// A line of the reply that is being read is yet to come.
    within: bool,
    code: Code,
    text: Vec<u8, MAX_TEXT>,

    notes: Deque<Note, 4>,
    announce: bool,
    failed: Option<Error>,
}

impl<'a> Submission<'a> {
    /// A client that calls itself `name` in EHLO or LHLO. `greeting` says whether the server has
    /// yet to greet: true on implicit TLS, false after STARTTLS (RFC 3207 §4.2). One that does
    /// otherwise is [`Misbehaviour::Greeting`](crate::error::Misbehaviour::Greeting).
    ///
    /// # Errors
    /// [`Misuse::Name`] if the name is empty, over 255 octets, or not visible ASCII.
    pub fn new(mail: Mail, name: &'a str, greeting: bool) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self {
            mail,
            name,
            limits: Limits::default(),
            offered: Capabilities::default(),
            started: false,
            logged_in: false,
            sasl: None,
            transaction: None,
            step: Step::Hello,
            written: 0,
            asked: Asked::Greeting,
            outstanding: usize::from(greeting),
            line: Vec::new(),
            scanned: 0,
            replies: Replies::default(),
            within: false,
            code: 0,
            text: Vec::new(),
            notes: Deque::new(),
            announce: false,
            failed: None,
        })
    }

    /// Logs in, after EHLO or when idle. `fill` is called now, if SCRAM-SHA-256 may be used, for
    /// the 18 octets of its nonce; it has to be a cryptographic source of randomness.
    ///
    /// # Errors
    /// [`Misuse::Credential`] if the user name or the secret is empty, too long for a line of
    /// 12,288 octets (RFC 4954 §4), holds CR, LF or NUL (a token or its user name: octet 1), or
    /// does not fit the mechanism that was asked for; [`Misuse::Phase`] in the middle of
    /// something, or the second time; those of `fill`. None of them changes anything.
    pub fn login(
        &mut self,
        credentials: Credentials<'a>,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check_sound()?;
        let idle = self.step == Step::Idle && self.transaction.is_none();
        if (self.started && !idle) || self.logged_in || self.sasl.is_some() {
            return Err(Misuse::Phase.into());
        }
        self.sasl = Some(Sasl::new(credentials, fill)?);
        Ok(())
    }

    /// Sets what the caller limits, for what was not begun yet.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Queues a mail, before the first [`process`](Self::process) or when idle, one at a time. With
    /// `then_quit` the session ends behind it, and where that is legal QUIT rides with the end of
    /// the message.
    ///
    /// # Errors
    /// [`Misuse::NoRecipients`]; [`Misuse::TooManyRecipients`] beyond [`MAX_RECIPIENTS`];
    /// [`Misuse::Address`] for an address over 254 octets, without a local part, with an empty
    /// domain, or with spaces, control characters or angle brackets; [`Misuse::Phase`] in the
    /// middle of something. None of them changes anything.
    pub fn mail(&mut self, envelope: Envelope<'a>, then_quit: bool) -> Result<(), Error> {
        self.check_idle()?;
        envelope.check()?;
        self.transaction = Some(Transaction::new(envelope, then_quit));
        Ok(())
    }

    /// Declares what the queued mail's envelope leaves open, from the whole message: its size, and
    /// whether it holds octets above 127. Has no effect once MAIL was sent.
    pub fn declare(&mut self, message: &[u8]) {
        if let Some(mail) = &mut self.transaction
            && matches!(self.step, Step::Hello | Step::Auth | Step::Idle)
        {
            let mut measure = measure();
            measure.update(message);
            measure.finish();
            mail.envelope.size = mail.envelope.size.or(Some(measure.size()));
            if mail.envelope.content == Content::Unknown {
                let eight_bit = measure.eight_bit();
                mail.envelope.content =
                    if eight_bit { Content::EightBit } else { Content::SevenBit };
            }
        }
    }

    /// Takes `input`, appends to `out`, and says how many octets of the input it consumed and
    /// what comes next. Call again with the rest until it says [`Event::NeedInput`].
    ///
    /// Octets stand in `out` after [`Event::Send`] only. Give all input there is before
    /// waiting for room to send: a reply that stands there before its command was sent is an
    /// error, but for 421, which a server may say at any time and which ends the session, and for
    /// a refusal in the middle of DATA, which ends it too: the message is left without its end.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`]. It is final.
    pub fn process(
        &mut self,
        input: Decrypted<'_>,
        out: &mut Out<'_>,
    ) -> Result<(usize, Event<'_>), Error> {
        self.check_sound()?;
        self.started = true;
        match self.advance(input.octets(), out) {
            Ok((consumed, note)) => {
                Ok((consumed, note.with(Reply::new(self.code, self.text.as_slice()))))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Takes some of `piece`, the next part of the message, when [`Event::Body`] was reported, and
    /// says how many octets that was: if not all, `out` is full and has to be sent. Line ends may
    /// be CR LF, LF or CR, and become CR LF; a last line without one is given one.
    ///
    /// # Errors
    /// [`Misuse::DeclaredSize`] and [`Misuse::DeclaredSevenBit`] if the message is not what was
    /// declared. They are final, and the server never gets to see the end of the message: close
    /// the connection. [`Misuse::Phase`] if no message is wanted.
    pub fn body(&mut self, piece: &[u8], out: &mut Out<'_>) -> Result<usize, Error> {
        self.check_sound()?;
        match (self.step, &mut self.transaction) {
            (Step::Body, Some(transaction)) => {
                transaction.body.take(piece, out).map_err(|error| self.fail(error))
            }
            _ => Err(Misuse::Phase.into()),
        }
    }

    /// The message is complete; [`process`](Self::process) goes on.
    ///
    /// # Errors
    /// As [`body`](Self::body).
    pub fn end_body(&mut self) -> Result<(), Error> {
        self.check_sound()?;
        match (self.step, &mut self.transaction) {
            (Step::Body, Some(transaction)) => match transaction.body.finish() {
                Ok(()) => {
                    self.step = Step::End;
                    Ok(())
                }
                Err(error) => Err(self.fail(error)),
            },
            _ => Err(Misuse::Phase.into()),
        }
    }

    /// Ends the session when idle.
    ///
    /// # Errors
    /// [`Misuse::Phase`] in the middle of something.
    pub fn quit(&mut self) -> Result<(), Error> {
        self.check_idle()?;
        if !self.started || self.sasl.is_some() {
            return Err(Misuse::Phase.into());
        }
        self.step = Step::Quit;
        Ok(())
    }

    /// Whether the last octet of a message was given out and the reply to it has not come: if the
    /// connection is lost now, the message may have been delivered.
    pub fn in_doubt(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|mail| mail.sent && !mail.answered && !mail.is_hopeless())
    }

    /// What the server offers; nothing before its reply to EHLO was read.
    pub fn capabilities(&self) -> Capabilities {
        self.offered
    }

    /// The transport ended.
    ///
    /// # Errors
    /// [`Error::Truncated`] unless the session was over, or only QUIT was left to be said, or the
    /// reply to it due; the error that ended the session before, if one did.
    pub fn close_received(&mut self) -> Result<(), Error> {
        self.check_sound()?;
        let leaving = match self.step {
            Step::Quit => self.outstanding == 0,
            _ => self.asked == Asked::Quit && self.outstanding == 1,
        };
        if leaving {
            self.step = Step::Over;
        }
        match self.step {
            Step::Over => Ok(()),
            _ => Err(self.fail(Error::Truncated)),
        }
    }

    /// Recipients of the queued mail.
    #[cfg(feature = "rustls")]
    fn recipients(&self) -> usize {
        self.transaction.as_ref().map_or(0, |mail| mail.envelope.to.len())
    }

    /// Whether credentials are to be sent, or were.
    #[cfg(feature = "rustls")]
    fn logs_in(&self) -> bool {
        self.logged_in || self.sasl.is_some()
    }

    /// Whether what is sent now is a part of the login.
    #[cfg(feature = "rustls")]
    fn speaks_secrets(&self) -> bool {
        self.step == Step::Auth || self.asked == Asked::Auth && self.outstanding > 0
    }

    /// Whether EHLO and the login are behind us.
    #[cfg(feature = "rustls")]
    fn is_ready(&self) -> bool {
        let asked = matches!(self.asked, Asked::Greeting | Asked::Hello | Asked::Auth);
        let due = matches!(self.step, Step::Hello | Step::Auth);
        !(due || asked && self.outstanding > 0)
    }

    fn check_sound(&self) -> Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    fn check_idle(&self) -> Result<(), Error> {
        self.check_sound()?;
        let idle = !self.started || self.step == Step::Idle;
        if idle && self.transaction.is_none() { Ok(()) } else { Err(Misuse::Phase.into()) }
    }

    fn fail(&mut self, error: Error) -> Error {
        log!(warn, "submission: {}", error);
        self.failed = Some(error);
        error
    }
}

impl fmt::Debug for Submission<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("mail", &self.mail)
            .field("step", &self.step)
            .field("asked", &self.asked)
            .field("outstanding", &self.outstanding)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
