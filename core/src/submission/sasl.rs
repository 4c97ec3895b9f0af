//! Logging in (RFC 4954): PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2 and OAUTHBEARER.

use core::fmt;

use super::capabilities::Mechanisms;
use super::scram::{Scram, escape};
use super::writer::{Encoder, Writer};
use crate::error::{Error, Misbehaviour, Misuse};

/// The longest line of an exchange, its CR LF included, in octets (RFC 4954 §4).
const MAX_LINE: usize = 12_288;

/// Ways to log in that this crate speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Mechanism {
    /// PLAIN (RFC 4616): the server sees the password.
    Plain,
    /// LOGIN (draft-murchison-sasl-login): the same in two steps more.
    Login,
    /// SCRAM-SHA-256 (RFC 7677): the server proves that it knows the password, and does not see it.
    ScramSha256,
    /// XOAUTH2, Google's and Microsoft's predecessor of OAUTHBEARER.
    XOAuth2,
    /// OAUTHBEARER (RFC 7628).
    OAuthBearer,
}

impl Mechanism {
    const ALL: [Self; 5] =
        [Self::ScramSha256, Self::Plain, Self::Login, Self::OAuthBearer, Self::XOAuth2];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().as_bytes().eq_ignore_ascii_case(name))
    }

    fn takes_token(self) -> bool {
        matches!(self, Self::XOAuth2 | Self::OAuthBearer)
    }
}

/// Who logs in, and with what. It borrows the secret: the caller owns it, and wipes it.
///
/// Without [`mechanism`](Self::mechanism) the first that the server offers is used: of
/// SCRAM-SHA-256, PLAIN and LOGIN with a password, of OAUTHBEARER and XOAUTH2 with a token. After
/// a refusal no other is tried.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    user: &'a str,
    secret: &'a str,
    token: bool,
    mechanism: Option<Mechanism>,
}

impl<'a> Credentials<'a> {
    /// A user name and a password. SCRAM-SHA-256 wants both prepared with SASLprep (RFC 4013),
    /// which changes nothing in printable ASCII; for other names and passwords do that before.
    pub const fn password(user: &'a str, password: &'a str) -> Self {
        Self { user, secret: password, token: false, mechanism: None }
    }

    /// A user name and an OAuth 2.0 bearer token (RFC 6750).
    pub const fn token(user: &'a str, token: &'a str) -> Self {
        Self { user, secret: token, token: true, mechanism: None }
    }

    /// Uses this mechanism or none.
    #[must_use]
    pub const fn mechanism(self, mechanism: Mechanism) -> Self {
        Self { mechanism: Some(mechanism), ..self }
    }

    /// The mechanisms that may be used, the preferred one first.
    fn candidates(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |&known| {
            known.takes_token() == self.token && self.mechanism.is_none_or(|only| only == known)
        })
    }

    fn check(self) -> Result<(), Error> {
        // OAuth's messages separate their parts with octet 1.
        let forbidden = |octet| match octet {
            b'\0' | b'\r' | b'\n' => true,
            1 => self.token,
            _ => false,
        };
        let fits = |text: &str| !text.is_empty() && !text.bytes().any(forbidden);
        if fits(self.user) && fits(self.secret) && self.candidates().next().is_some() {
            Ok(())
        } else {
            Err(Misuse::Credential.into())
        }
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// What the client says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// AUTH, with an initial response but for LOGIN.
    Auth,
    /// LOGIN: the user name.
    User,
    /// LOGIN: the password.
    Password,
    /// SCRAM: the client's final message.
    Last,
    /// SCRAM: nothing, the server's proof verified.
    Proven,
    /// SCRAM: nothing, the server does not take our proof.
    Failed,
    /// OAuth: the server's error was read; its refusal follows.
    OAuthError,
}

/// One login.
#[derive(Debug)]
pub(super) struct Sasl<'a> {
    credentials: Credentials<'a>,
    mechanism: Mechanism,
    stage: Stage,
    scram: Option<Scram>,
    /// How it goes on. Pointers, so that a program that logs nobody in does not link all this.
    steps: Steps,
}

#[derive(Clone, Copy, Debug)]
struct Steps {
    render: fn(&Sasl<'_>, &mut Writer<'_, '_>),
    challenge: fn(&mut Sasl<'_>, &[u8], u32) -> Result<(), Error>,
}

impl<'a> Sasl<'a> {
    pub(super) fn new(
        credentials: Credentials<'a>,
        fill: &mut dyn FnMut(&mut [u8]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        credentials.check()?;
        let mut sasl = Self {
            credentials,
            mechanism: Mechanism::Plain,
            stage: Stage::Auth,
            scram: None,
            steps: Steps {
                render: |sasl, writer| sasl.line(writer),
                challenge: |sasl, text, max_iterations| sasl.answer(text, max_iterations),
            },
        };
        for mechanism in credentials.candidates() {
            sasl.mechanism = mechanism;
            if mechanism == Mechanism::ScramSha256 {
                sasl.scram = Some(Scram::new(fill)?);
            }
            for stage in [Stage::Auth, Stage::User, Stage::Password] {
                sasl.stage = stage;
                if Writer::length(|writer| sasl.render(writer)) > MAX_LINE {
                    return Err(Misuse::Credential.into());
                }
            }
        }
        sasl.stage = Stage::Auth;
        Ok(sasl)
    }

    /// Settles on one of the mechanisms `offered`; whether there is one.
    pub(super) fn choose(&mut self, offered: Mechanisms) -> bool {
        let chosen = self.credentials.candidates().find(|&known| offered.contains(known));
        self.mechanism = chosen.unwrap_or(self.mechanism);
        chosen.is_some()
    }

    /// The line to be sent now.
    pub(super) fn render(&self, writer: &mut Writer<'_, '_>) {
        (self.steps.render)(self, writer);
    }

    fn line(&self, writer: &mut Writer<'_, '_>) {
        let Credentials { user, secret, .. } = self.credentials;
        if self.stage == Stage::Auth {
            writer.put(b"AUTH ");
            writer.put(self.mechanism.name().as_bytes());
            if self.mechanism != Mechanism::Login {
                writer.put(b" ");
                writer.base64(|encoder| self.initial_response(encoder));
            }
        } else {
            writer.base64(|encoder| match (self.stage, self.mechanism, &self.scram) {
                (Stage::User, ..) => encoder.put(user.as_bytes()),
                (Stage::Password, ..) => encoder.put(secret.as_bytes()),
                (Stage::Last, _, Some(scram)) => scram.last(encoder),
                (Stage::OAuthError, Mechanism::OAuthBearer, _) => encoder.put(b"\x01"),
                _ => {}
            });
        }
        writer.put(b"\r\n");
    }

    fn initial_response(&self, encoder: &mut Encoder<'_, '_, '_>) {
        let Credentials { user, secret, .. } = self.credentials;
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| encoder.put(part.as_bytes()));
        match (self.mechanism, &self.scram) {
            (Mechanism::Plain, _) => put(&["\0", user, "\0", secret]),
            (Mechanism::ScramSha256, Some(scram)) => scram.first(user, encoder),
            (Mechanism::XOAuth2, _) => {
                put(&["user=", user, "\x01auth=Bearer ", secret, "\x01\x01"]);
            }
            (Mechanism::OAuthBearer, _) => {
                encoder.put(b"n,a=");
                escape(user, &mut |octets| encoder.put(octets));
                encoder.put(b",\x01auth=Bearer ");
                encoder.put(secret.as_bytes());
                encoder.put(b"\x01\x01");
            }
            (Mechanism::Login | Mechanism::ScramSha256, _) => {}
        }
    }

    /// The server goes on with 334 and this text.
    ///
    /// # Errors
    /// Those of [`Scram`]; [`Misbehaviour::UnexpectedReply`] where the mechanism has no more steps.
    pub(super) fn challenge(&mut self, text: &[u8], max_iterations: u32) -> Result<(), Error> {
        (self.steps.challenge)(self, text, max_iterations)
    }

    fn answer(&mut self, text: &[u8], max_iterations: u32) -> Result<(), Error> {
        let Credentials { user, secret, .. } = self.credentials;
        self.stage = match (self.mechanism, self.stage, &mut self.scram) {
            (Mechanism::Login, Stage::Auth, _) => Stage::User,
            (Mechanism::Login, Stage::User, _) => Stage::Password,
            (Mechanism::ScramSha256, Stage::Auth, Some(scram)) => {
                scram.server_first(text, user, secret, max_iterations)?;
                Stage::Last
            }
            (Mechanism::ScramSha256, Stage::Last, Some(scram)) => {
                if scram.server_last(text)? {
                    Stage::Proven
                } else {
                    Stage::Failed
                }
            }
            (Mechanism::XOAuth2 | Mechanism::OAuthBearer, Stage::Auth, _) => Stage::OAuthError,
            _ => return Err(Misbehaviour::UnexpectedReply(334).into()),
        };
        Ok(())
    }

    /// The server says 235.
    ///
    /// # Errors
    /// [`Misbehaviour::ServerProof`] if SCRAM's server did not prove that it knows the password;
    /// [`Misbehaviour::UnexpectedReply`] before all was said.
    pub(super) fn success(&self) -> Result<(), Error> {
        match (self.mechanism, self.stage) {
            (Mechanism::Plain | Mechanism::XOAuth2 | Mechanism::OAuthBearer, Stage::Auth)
            | (Mechanism::Login, Stage::Password)
            | (Mechanism::ScramSha256, Stage::Proven) => Ok(()),
            (Mechanism::ScramSha256, _) => Err(Misbehaviour::ServerProof.into()),
            _ => Err(Misbehaviour::UnexpectedReply(235).into()),
        }
    }
}
