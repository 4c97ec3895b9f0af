//! What became of a mail, recipient by recipient, in values the caller keeps.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::Submission;
use super::event::{Event, Feature};
use crate::wire::Reply;

/// A reply that outlives the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Said {
    /// The three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463), if there was one.
    pub enhanced: Option<[u16; 3]>,
    /// The text, lines joined by LF. Escape control characters before showing it.
    pub text: Box<[u8]>,
}

impl Said {
    /// 4yz: trying again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code, 400..=499)
    }
}

impl From<Reply<'_>> for Said {
    fn from(reply: Reply<'_>) -> Self {
        Self { code: reply.code, enhanced: reply.enhanced, text: reply.text.into() }
    }
}

/// What became of the message for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// The message was not sent.
    #[default]
    NotSent,
    /// The server took the recipient; what it says of the message is still to come.
    Waiting,
    /// The server took responsibility.
    Delivered(Said),
    /// The server refused the recipient, the sender or the message.
    Refused(Said),
    /// The connection was lost between the end of the message and the reply to it: it may have
    /// been delivered. Sending it again may deliver it twice.
    Unknown,
}

/// What became of one session with one mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// For each recipient of the envelope, in its order.
    pub recipients: Vec<Outcome>,
    /// The server refused service, or to speak with this client.
    pub hello_refused: Option<Said>,
    /// The server does not let the user in.
    pub login_refused: Option<Said>,
    /// The server refuses the sender.
    pub sender_refused: Option<Said>,
    /// The server does not offer what the mail needs, so that it was not begun.
    pub lacks: Option<Feature>,
}

impl Report {
    /// The report of a mail that was queued, and not sent yet.
    pub fn unsent(submission: &Submission<'_>) -> Self {
        let recipients = vec![Outcome::NotSent; submission.recipients()];
        Self { recipients, ..Self::default() }
    }

    pub(super) fn record(&mut self, event: Event<'_>) {
        match event {
            Event::HelloRefused(reply) => self.hello_refused = Some(reply.into()),
            Event::LoginRefused(reply) => self.login_refused = Some(reply.into()),
            Event::SenderRefused(reply) => {
                let said = Said::from(reply);
                self.recipients.fill(Outcome::Refused(said.clone()));
                self.sender_refused = Some(said);
            }
            Event::Lacks(feature) => self.lacks = Some(feature),
            // What is refused with the sender stays so.
            Event::Recipient { .. } if self.sender_refused.is_some() => {}
            Event::Recipient { index, refused } => {
                let outcome = refused.map_or(Outcome::Waiting, |why| Outcome::Refused(why.into()));
                self.settle(Some(index), &outcome);
            }
            Event::Delivered { index, reply } => {
                self.settle(index, &Outcome::Delivered(reply.into()));
            }
            Event::MessageRefused { index, reply } => {
                self.settle(index, &Outcome::Refused(reply.into()));
            }
            Event::MailDone => self.end(&Outcome::NotSent),
            _ => {}
        }
    }

    /// One recipient, or all that wait.
    fn settle(&mut self, index: Option<usize>, outcome: &Outcome) {
        match index {
            Some(index) => {
                if let Some(recipient) = self.recipients.get_mut(index) {
                    *recipient = outcome.clone();
                }
            }
            None => self.end(outcome),
        }
    }

    /// Nothing more will be said of those who wait.
    pub(super) fn end(&mut self, outcome: &Outcome) {
        for recipient in self.recipients.iter_mut().filter(|at| **at == Outcome::Waiting) {
            *recipient = outcome.clone();
        }
    }

    /// The connection was lost when the message may have been delivered.
    pub(super) fn in_doubt(&mut self) {
        self.end(&Outcome::Unknown);
        // With all commands in one flight not even the recipients were answered.
        if self.sender_refused.is_none() {
            for recipient in self.recipients.iter_mut().filter(|at| **at == Outcome::NotSent) {
                *recipient = Outcome::Unknown;
            }
        }
    }

    /// Whether every recipient got the message.
    pub fn is_delivered(&self) -> bool {
        !self.recipients.is_empty()
            && self.recipients.iter().all(|outcome| matches!(outcome, Outcome::Delivered(_)))
    }
}
