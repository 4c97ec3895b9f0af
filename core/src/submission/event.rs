//! What a submission tells its caller.

use crate::wire::Reply;

/// What happened, or what is wanted next. Texts are lent until the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'e> {
    /// Give more input. There is nothing to send.
    NeedInput,
    /// Send what is in the output, then call again.
    Send,
    /// Logged in, or not asked to, and no mail is queued. Reported once; then
    /// [`NeedInput`](Self::NeedInput) follows.
    Ready,
    /// Give the message with [`body`](super::Submission::body) and
    /// [`end_body`](super::Submission::end_body).
    Body,
    /// The server does not let the user in. QUIT and [`Done`](Self::Done) follow.
    LoginRefused(Reply<'e>),
    /// The server refuses the sender, and so the mail. [`MailDone`](Self::MailDone) follows.
    SenderRefused(Reply<'e>),
    /// The server took or refused a recipient.
    Recipient {
        /// Which of [`Envelope::to`](super::Envelope::to).
        index: usize,
        /// Why not.
        refused: Option<Reply<'e>>,
    },
    /// The server is now responsible for the message.
    Delivered {
        /// LMTP: for this recipient. SMTP: none, for all that it took.
        index: Option<usize>,
        /// What it said, often with its queue id.
        reply: Reply<'e>,
    },
    /// The server does not take the message.
    MessageRefused {
        /// LMTP: for this recipient. None: for all whose fate was not reported.
        index: Option<usize>,
        /// Why not.
        reply: Reply<'e>,
    },
    /// The server refuses service, or to speak with this client. [`Done`](Self::Done) follows.
    HelloRefused(Reply<'e>),
    /// The server does not offer what is needed. The mail is dropped before MAIL was sent,
    /// without [`MailDone`](Self::MailDone); for want of a [`Mechanism`](Feature::Mechanism) the
    /// session ends too.
    Lacks(Feature),
    /// The mail is over. A recipient for whom no [`Delivered`](Self::Delivered) was reported was
    /// not given the message.
    MailDone,
    /// The session is over: close the connection.
    Done,
}

/// What a server can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Feature {
    /// 8BITMIME (RFC 6152), for a message with octets above 127.
    EightBitMime,
    /// SMTPUTF8 (RFC 6531), for addresses that are not ASCII, or an internationalized message.
    SmtpUtf8,
    /// Room for a message of the declared size; its limit in octets.
    Size(u64),
    /// A common way to log in.
    Mechanism,
}

/// An event whose reply is still where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    NeedInput,
    Send,
    Body,
    Done,
    Ready,
    LoginRefused,
    SenderRefused,
    Recipient { index: usize, refused: bool },
    Delivered(Option<usize>),
    MessageRefused(Option<usize>),
    HelloRefused,
    Lacks(Feature),
    MailDone,
}

impl Note {
    pub(super) fn with(self, reply: Reply<'_>) -> Event<'_> {
        match self {
            Self::NeedInput => Event::NeedInput,
            Self::Send => Event::Send,
            Self::Body => Event::Body,
            Self::Done => Event::Done,
            Self::Ready => Event::Ready,
            Self::LoginRefused => Event::LoginRefused(reply),
            Self::SenderRefused => Event::SenderRefused(reply),
            Self::Recipient { index, refused } => {
                Event::Recipient { index, refused: refused.then_some(reply) }
            }
            Self::Delivered(index) => Event::Delivered { index, reply },
            Self::MessageRefused(index) => Event::MessageRefused { index, reply },
            Self::HelloRefused => Event::HelloRefused(reply),
            Self::Lacks(feature) => Event::Lacks(feature),
            Self::MailDone => Event::MailDone,
        }
    }
}
