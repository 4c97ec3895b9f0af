//! One transaction: MAIL, then RCPT, then a message (RFC 5321 §3.3).
//!
//! ```text
//! Idle ─ MAIL ─► Addressed ─ DATA ──────────────────────┐
//!  ▲ ▲               │ BDAT                             │
//!  │ │               ├─────────► Chunks ─ BDAT LAST ────┤
//!  │ └─ RSET ◄ Failed ◄ refused ───┘                    │
//!  └──────────────── RSET, EHLO, end of message ◄───────┘
//! ```

use core::ops::Range;

use super::body::Body;
use super::command::Parameters;
use super::reply::{self, Offered, Reply, Words};
use super::{Event, Greeted, MAX_RECIPIENTS, Receiver, State};
use crate::protocol::Mail;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transaction {
    pub(super) stage: Stage,
    /// SMTPUTF8 was asked for.
    pub(super) utf8: bool,
    pub(super) recipients: u8,
    pub(super) body: Body,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// No transaction.
    #[default]
    Idle,
    /// The sender was accepted.
    Addressed,
    /// At least one chunk was accepted.
    Chunks,
    /// A chunk was refused; nothing but RSET leads on (RFC 3030 §2).
    Failed,
}

impl Receiver<'_> {
    /// Acts on the caller's verdict.
    pub(super) fn decide(&mut self) {
        let Some(offered) = self.offered.take() else { return };
        let refusal = self.refusal.take();
        let mut times = 1;
        match (offered, refusal) {
            (Offered::Sender, None) => self.transaction.stage = Stage::Addressed,
            (Offered::Recipient, None) => self.transaction.recipients += 1,
            (Offered::Sender | Offered::Recipient, Some(_)) => {}
            (Offered::Message, _) => {
                times = self.replies();
                self.transaction = Transaction::default();
            }
        }
        self.reply = Some(match refusal {
            None => Reply::times(times, Words::Fixed(offered.accepted())),
            Some((code @ 421, text)) => {
                self.state = State::Closed;
                Reply::once(Words::Refusal(code, text))
            }
            Some((code, text)) => Reply::times(times, Words::Refusal(code, text)),
        });
    }

    /// Replies a whole message gets: LMTP has one for each recipient (RFC 2033 §4.2).
    pub(super) fn replies(&self) -> u8 {
        match self.mail {
            Mail::Smtp => 1,
            Mail::Lmtp => self.transaction.recipients,
        }
    }

    /// Ends the transaction without a message; says so if there was one.
    pub(super) fn forget(&mut self) -> Option<Event> {
        let open = matches!(self.transaction.stage, Stage::Addressed | Stage::Chunks);
        self.transaction = Transaction::default();
        open.then_some(Event::Reset)
    }

    pub(super) fn begin_mail(
        &mut self,
        path: Range<usize>,
        parameters: Parameters,
    ) -> Option<Event> {
        let extended = self.greeted == Greeted::Extended;
        let strange = parameters.unknown
            || (parameters.any && !extended)
            || (parameters.size.is_some() && self.size.is_none())
            || (parameters.auth && self.account.is_none());
        let too_big = |limit| parameters.size.is_some_and(|size| size > limit);
        match self.transaction.stage {
            _ if self.greeted == Greeted::Not => self.tell(reply::HELLO_FIRST),
            _ if self.account.is_some() && !self.authenticated => self.tell(reply::LOGIN_FIRST),
            Stage::Failed => self.tell(reply::RESET_FIRST),
            Stage::Addressed | Stage::Chunks => self.tell(reply::NESTED),
            Stage::Idle if strange => self.tell(reply::UNKNOWN_PARAMETER),
            Stage::Idle if self.size.is_some_and(too_big) => self.tell(reply::TOO_BIG),
            Stage::Idle if !parameters.utf8 && !self.line.is_ascii(&path) => {
                self.tell(reply::NOT_ASCII)
            }
            Stage::Idle => {
                self.transaction.utf8 = parameters.utf8;
                self.offered = Some(Offered::Sender);
                Some(Event::Sender(path))
            }
        }
    }

    pub(super) fn add_recipient(
        &mut self,
        path: Range<usize>,
        parameters: Parameters,
    ) -> Option<Event> {
        let Transaction { stage, utf8, recipients, .. } = self.transaction;
        match stage {
            Stage::Idle => self.tell(reply::MAIL_FIRST),
            Stage::Failed => self.tell(reply::RESET_FIRST),
            Stage::Chunks => self.tell(reply::CHUNKS),
            Stage::Addressed if parameters.any => self.tell(reply::UNKNOWN_PARAMETER),
            Stage::Addressed if recipients == MAX_RECIPIENTS => self.tell(reply::TOO_MANY),
            Stage::Addressed if !utf8 && !self.line.is_ascii(&path) => self.tell(reply::NOT_ASCII),
            Stage::Addressed => {
                self.offered = Some(Offered::Recipient);
                Some(Event::Recipient(path))
            }
        }
    }
}
