//! AUTH PLAIN and AUTH LOGIN (RFC 4954, RFC 4616), with and without an initial response.
//!
//! ```text
//! AUTH PLAIN ──334──► [authzid] NUL user NUL password ──► 235, or 535
//! AUTH LOGIN ──334──► user ──334──► password ───────────► 235, or 535
//!      └─────────┴────────────┴─ "*" 501, no Base64 501
//! ```

use core::ops::Range;

use base64ct::{Base64, Encoding};
use subtle::{Choice, ConstantTimeEq};

use super::{Account, Event, Greeted, MAX_FAILURES, Receiver, State, reply};

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Login,
    Other,
}

/// What the client is to say next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Plain,
    User,
    /// Of the user's name only its being right is kept.
    Password(Choice),
}

impl Step {
    fn challenge(self) -> &'static str {
        match self {
            Self::Plain => reply::PLAIN,
            Self::User => reply::USERNAME,
            Self::Password(_) => reply::PASSWORD,
        }
    }
}

impl Account<'_> {
    /// Both are always compared, in a time that depends on lengths alone.
    fn is(self, user: &[u8], password: &[u8]) -> Choice {
        user.ct_eq(self.user.as_bytes()) & password.ct_eq(self.password.as_bytes())
    }
}

impl Receiver<'_> {
    /// AUTH: not behind HELO, not twice, and so not in a transaction, which nobody opens before it
    /// (RFC 4954 §4).
    pub(super) fn auth(
        &mut self,
        mechanism: Mechanism,
        initial: Option<Range<usize>>,
    ) -> Option<Event> {
        if self.account.is_none() {
            return self.tell(reply::NOT_IMPLEMENTED);
        }
        if self.greeted != Greeted::Extended || self.authenticated {
            return self.tell(reply::NOT_NOW);
        }
        let step = match mechanism {
            Mechanism::Plain => Step::Plain,
            Mechanism::Login => Step::User,
            Mechanism::Other => return self.tell(reply::MECHANISM),
        };
        match initial {
            None => self.challenge(step),
            // An empty initial response is written "=" (RFC 4954 §4).
            Some(at) if self.line.octets().get(at.clone()) == Some(b"=") => {
                self.respond(step, at.start..at.start)
            }
            Some(at) => self.respond(step, at),
        }
    }

    /// The client's answer to a challenge.
    pub(super) fn login(&mut self, step: Step) -> Option<Event> {
        self.state = State::Command;
        match self.line.text() {
            b"*" => self.tell(reply::CANCELLED),
            text => {
                let end = text.len();
                self.respond(step, 0..end)
            }
        }
    }

    fn challenge(&mut self, step: Step) -> Option<Event> {
        self.state = State::Login(step);
        self.tell(step.challenge())
    }

    /// The client said the part of the line that is `at`.
    fn respond(&mut self, step: Step, at: Range<usize>) -> Option<Event> {
        let Some(account) = self.account else { return self.tell(reply::NOT_IMPLEMENTED) };
        let Ok(response) = Base64::decode_in_place(self.line.text_mut(at)) else {
            return self.tell(reply::BAD_BASE64);
        };
        let right = match step {
            Step::Plain => plain(account, response),
            Step::User => {
                let right = response.ct_eq(account.user.as_bytes());
                return self.challenge(Step::Password(right));
            }
            Step::Password(user) => user & response.ct_eq(account.password.as_bytes()),
        };
        if right.into() {
            self.authenticated = true;
            self.tell(reply::LOGGED_IN);
            return Some(Event::Authenticated);
        }
        self.failures += 1;
        if self.failures < MAX_FAILURES {
            return self.tell(reply::WRONG);
        }
        self.state = State::Closed;
        self.tell(reply::TOO_MANY_FAILURES)
    }
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2); nobody may act for another.
fn plain(account: Account<'_>, message: &[u8]) -> Choice {
    let mut parts = message.split(|&octet| octet == 0);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(acts_for), Some(user), Some(password), None) => {
            let own = Choice::from(u8::from(acts_for.is_empty())) | acts_for.ct_eq(user);
            own & account.is(user, password)
        }
        _ => Choice::from(0),
    }
}
