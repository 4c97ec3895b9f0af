//! A small mail receiver: the server's side of SMTP (RFC 5321) and LMTP (RFC 2033) inside TLS.
//!
//! ```text
//! (220) ─► EHLO ─► AUTH ─► MAIL ─► RCPT … ─► DATA 354 ─► message, "." ─┐      QUIT 221 ─► Closed
//!                           ▲  └ Sender  └ Recipient  └ Body …         │
//!                           │                ─► BDAT n … BDAT n LAST ──┤
//!                           └───────────── MessageEnd, or Reset ◄──────┘
//! ```
//!
//! It begins from nothing, as RFC 3207 §4.2 demands of a server behind STARTTLS: no name, login
//! or sender from the plaintext dialogue exists for it, STARTTLS is not offered again, and asking
//! for it is answered 503. It takes what TLS decrypted, in pieces of any size, answers into an
//! [`Out`], and tells its caller one thing a call: who sends, to whom, and what. It stores no mail.
//!
//! It is strict. A line ends in CR LF and in nothing else; a message with a bare CR or LF is
//! refused, and neither ever stands for a line end, so that no message can smuggle in another.
//! What cannot be told apart from commands with certainty (a BDAT without a readable size, a line
//! with a bare LF) gets a last reply and ends the session.
//!
//! Replies are in step with the commands however these are pipelined (RFC 2920): each is written
//! once the verdict on what it answers is known, and before the next command is read.
//!
//! ```
//! # use starttls::negotiate::{Negotiation, Status};
//! # use starttls::protocol::{Mail, smtp};
//! # use starttls::wire::{Out, RecvBuf};
//! use starttls::receiver::{Received, Receiver};
//! # let (mut storage, mut sent) = ([0; 2048], [0; 512]);
//! # let mut recv = RecvBuf::new(&mut storage);
//! # let mut negotiation = Negotiation::new(smtp::Server::new("mail.example.org", &[])?);
//! # recv.fill(b"STARTTLS\r\n");
//! # while negotiation.process(&mut recv, &mut Out::new(&mut sent))? != Status::Ready {}
//! # let (upgrade, _) = negotiation.upgrade(recv)?;
//! # let (_, tls) = upgrade.into_foreign_tls();
//!
//! // `tls` is what another TLS library took over; here is what it decrypted.
//! let mut input = tls.decrypted(b"EHLO c\r\nMAIL FROM:<spam@example.org>\r\nQUIT\r\n");
//! let mut receiver = Receiver::new(Mail::Smtp, "mail.example.org", false)?;
//! loop {
//!     let mut out = Out::new(&mut sent);
//!     let (used, received) = receiver.process(input, &mut out)?;
//!     input = input.skip(used);
//!     print!("{}", String::from_utf8_lossy(out.octets())); // to the client, through TLS
//!     match received {
//!         Received::Sender(b"spam@example.org") => receiver.refuse(550, "5.7.1 Not you")?,
//!         Received::NeedInput | Received::Closed => break,
//!         _ => {}
//!     }
//! }
//! # Ok::<(), starttls::Error>(())
//! ```

mod body;
mod command;
mod line;
mod login;
mod reply;
#[cfg(test)]
mod tests;
mod transaction;

use core::fmt;
use core::ops::Range;

use self::command::Command;
use self::line::Line;
use self::login::Step;
use self::reply::{Offered, Reply, Words};
use self::transaction::Transaction;
use crate::error::{Error, Misbehaviour, Misuse};
use crate::protocol::Mail;
use crate::protocol::smtp::check_name;
use crate::wire::{self, Decrypted, Out};

/// The most recipients of one message; one more is answered 452 (RFC 5321 §4.5.3.1.8).
pub const MAX_RECIPIENTS: u8 = 100;

/// The longest text of a refusal, in octets: with it a reply line is within the 512 octets of
/// RFC 5321 §4.5.3.1.5.
pub const MAX_TEXT: usize = 500;

/// Failed logins in one session before it is closed.
const MAX_FAILURES: u8 = 3;

/// Who may send mail.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    /// The name to log in with.
    pub user: &'a str,
    /// The password; `Debug` does not show it.
    pub password: &'a str,
}

impl fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("user", &self.user).field("password", &"***").finish()
    }
}

/// What [`Receiver::process`] found. Send what is in the output first, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Received<'e> {
    /// All input was used: receive more. Every other event but [`Closed`](Self::Closed) asks for
    /// another call at once, with what is left of the input.
    NeedInput,
    /// The next reply line has no room behind what is in the output: send that, then call again.
    Send,
    /// The client logged in.
    Authenticated,
    /// A transaction begins: the sender's address without its angle brackets, empty for a bounce.
    /// UTF-8 if it is not ASCII. May be [refused](Receiver::refuse).
    Sender(&'e [u8]),
    /// One more recipient, in the same form. May be refused.
    Recipient(&'e [u8]),
    /// The next octets of the message, without dot-stuffing. Until [`MessageEnd`](Self::MessageEnd)
    /// they may still come to nothing.
    Body(&'e [u8]),
    /// The message is complete. Keep it, then call again; or refuse it.
    MessageEnd,
    /// The transaction is over without a message: forget its sender, recipients and octets.
    Reset,
    /// The session is over: send what is in the output, then close. An unfinished transaction is
    /// to be forgotten.
    Closed,
}

/// The server's side of one mail session.
#[derive(Debug)]
pub struct Receiver<'a> {
    mail: Mail,
    name: &'a str,
    account: Option<Account<'a>>,
    size: Option<u64>,
    line: Line,
    state: State,
    /// What is still to be said.
    reply: Option<Reply<'a>>,
    /// What waits for the caller's verdict, and the verdict if it is no.
    offered: Option<Offered>,
    refusal: Option<(u16, &'a str)>,
    greeted: Greeted,
    authenticated: bool,
    failures: u8,
    transaction: Transaction,
}

/// What the next octets of the input are.
#[derive(Clone, Copy, Debug)]
enum State {
    Command,
    /// The client's half of a login.
    Login(Step),
    /// The message behind DATA.
    Data,
    /// A chunk behind BDAT. One that comes out of order is read, but is nobody's message.
    Chunk {
        left: u32,
        last: bool,
        in_order: bool,
    },
    Closed,
    Failed(Error),
}

/// How the client introduced itself; extensions belong to [`Greeted::Extended`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeted {
    Not,
    Plain,
    Extended,
}

/// A [`Received`] that borrows nothing: addresses are ranges of the line, bodies of the input.
#[derive(Debug)]
enum Event {
    NeedInput,
    Send,
    Authenticated,
    Sender(Range<usize>),
    Recipient(Range<usize>),
    Body(Range<usize>),
    MessageEnd,
    Reset,
    Closed,
}

impl<'a> Receiver<'a> {
    /// A receiver that calls itself `name`. `greeting` says whether the session begins with one:
    /// it does on implicit TLS, and not behind STARTTLS (RFC 3207 §4.2).
    ///
    /// # Errors
    /// [`Misuse::Name`] if the name is empty, over 255 octets, or not visible ASCII.
    pub fn new(mail: Mail, name: &'a str, greeting: bool) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self {
            mail,
            name,
            account: None,
            size: None,
            line: Line::default(),
            state: State::Command,
            reply: greeting.then_some(Reply::once(Words::Greeting)),
            offered: None,
            refusal: None,
            greeted: Greeted::Not,
            authenticated: false,
            failures: 0,
            transaction: Transaction::default(),
        })
    }

    /// Takes mail only from who logs in to this account (AUTH PLAIN or LOGIN, RFC 4954); before
    /// that MAIL is answered 530. The third failed login ends the session with 421.
    #[must_use]
    pub fn with_account(self, account: Account<'a>) -> Self {
        Self { account: Some(account), ..self }
    }

    /// Takes messages of up to `limit` octets, line ends counted and dot-stuffing not (RFC 1870).
    #[must_use]
    pub fn with_size(self, limit: u64) -> Self {
        Self { size: Some(limit), ..self }
    }

    /// Reads `input` as far as the next thing to tell, appends replies to `out`, and says how many
    /// octets of `input` are done with.
    ///
    /// After every call, whatever its result, send what is in `out`. What was offered by the last
    /// call and not [refused](Self::refuse) is accepted by this one.
    ///
    /// # Errors
    /// [`Error::OutputFull`] if an empty `out` has no room for one reply line; 512 octets always
    /// do. Call again with more.
    ///
    /// [`Error::PeerMisbehaved`] is final: [`Misbehaviour::BareLineEnd`] and [`Misbehaviour::Nul`]
    /// for a command line that holds a bare CR, a bare LF or a NUL; [`Misbehaviour::FrameTooLong`]
    /// for one over [`MAX_LINE`](crate::wire::MAX_LINE) octets; [`Misbehaviour::Malformed`] for a
    /// BDAT whose size cannot be read, or is over 4,294,967,295 octets. The client has been told.
    pub fn process<'e>(
        &'e mut self,
        input: Decrypted<'e>,
        out: &mut Out<'_>,
    ) -> Result<(usize, Received<'e>), Error> {
        let octets = input.octets();
        let (used, event) = self.advance(octets, out)?;
        let (line, input) = (self.line.octets(), octets);
        let received = match event {
            Event::NeedInput => Received::NeedInput,
            Event::Send => Received::Send,
            Event::Authenticated => Received::Authenticated,
            Event::Sender(at) => Received::Sender(line.get(at).unwrap_or_default()),
            Event::Recipient(at) => Received::Recipient(line.get(at).unwrap_or_default()),
            Event::Body(at) => Received::Body(input.get(at).unwrap_or_default()),
            Event::MessageEnd => Received::MessageEnd,
            Event::Reset => Received::Reset,
            Event::Closed => Received::Closed,
        };
        Ok((used, received))
    }

    /// Refuses what the last call offered: a sender, a recipient or a whole message; for LMTP the
    /// message is refused for all its recipients. 421 also ends the session.
    ///
    /// `text` is what the client is told. It should begin with an enhanced status code (RFC 3463);
    /// if it does not, `4.0.0` or `5.0.0` is put before it.
    ///
    /// # Errors
    /// [`Misuse::Phase`] if nothing is on offer. [`Misuse::Line`] if `code` is not 400 to 599, if
    /// `text` is over [`MAX_TEXT`] octets or not printable ASCII, or if its enhanced status code
    /// is of another class.
    pub fn refuse(&mut self, code: u16, text: &'a str) -> Result<(), Error> {
        if self.offered.is_none() {
            return Err(Misuse::Phase.into());
        }
        let printable = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        let class = wire::Reply::new(code, text.as_bytes()).enhanced.map(|[class, ..]| class);
        if !(400..=599).contains(&code)
            || !printable
            || text.len() > MAX_TEXT
            || class.is_some_and(|class| class != code / 100)
        {
            return Err(Misuse::Line.into());
        }
        self.refusal = Some((code, text));
        Ok(())
    }

    fn advance(&mut self, input: &[u8], out: &mut Out<'_>) -> Result<(usize, Event), Error> {
        self.decide();
        let mut used = 0;
        loop {
            match self.say(out) {
                Ok(()) => {}
                // An error would lose count of what was used.
                Err(_) if used > 0 || !out.is_empty() => return Ok((used, Event::Send)),
                Err(error) => return Err(error),
            }
            let rest = input.get(used..).unwrap_or_default();
            let (n, event) = match self.state {
                State::Closed => (0, Some(Event::Closed)),
                State::Failed(error) => return Err(error),
                State::Data => self.data(rest, used),
                State::Chunk { left, last, in_order } => {
                    self.chunk(rest, used, left, last, in_order)
                }
                State::Command | State::Login(_) => match self.line.take(rest) {
                    Ok((n, false)) => (n, Some(Event::NeedInput)),
                    Ok((n, true)) => (n, self.answer()),
                    Err(error) => (0, self.fail(error)),
                },
            };
            used += n;
            if let Some(event) = event {
                return Ok((used, event));
            }
        }
    }

    fn tell(&mut self, text: &'static str) -> Option<Event> {
        self.reply = Some(Reply::once(Words::Fixed(text)));
        None
    }

    /// Last words; then the error, for good.
    fn fail(&mut self, error: Error) -> Option<Event> {
        self.state = State::Failed(error);
        self.tell(match error {
            Error::PeerMisbehaved(Misbehaviour::FrameTooLong) => reply::TOO_LONG,
            Error::PeerMisbehaved(Misbehaviour::Malformed) => reply::BAD_CHUNK,
            _ => reply::BAD_LINE,
        })
    }

    /// Answers the line.
    fn answer(&mut self) -> Option<Event> {
        if let State::Login(step) = self.state {
            return self.login(step);
        }
        match Command::parse(self.line.text(), self.mail) {
            Err(refusal) => self.tell(refusal),
            Ok(Command::Hello) => {
                self.greeted = Greeted::Extended;
                self.reply = Some(Reply::hello());
                self.forget()
            }
            Ok(Command::Helo) => {
                self.greeted = Greeted::Plain;
                self.reply = Some(Reply::once(Words::Helo));
                self.forget()
            }
            Ok(Command::Starttls) => self.tell(reply::IN_TLS),
            Ok(Command::Auth(mechanism, initial)) => self.auth(mechanism, initial),
            Ok(Command::Mail(path, parameters)) => self.begin_mail(path, parameters),
            Ok(Command::Rcpt(path, parameters)) => self.add_recipient(path, parameters),
            Ok(Command::Data) => self.begin_data(),
            Ok(Command::Bdat { size, last }) => self.begin_chunk(size, last),
            Ok(Command::BadChunk) => self.fail(Misbehaviour::Malformed.into()),
            Ok(Command::Rset) => {
                self.tell(reply::OK);
                self.forget()
            }
            Ok(Command::Noop) => self.tell(reply::OK),
            Ok(Command::Vrfy) => self.tell(reply::CANNOT_VERIFY),
            Ok(Command::Quit) => {
                self.state = State::Closed;
                self.tell(reply::BYE)
            }
        }
    }
}
