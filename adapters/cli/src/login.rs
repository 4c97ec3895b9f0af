//! Who logs in, and with what.

use stringprep::saslprep;
use zeroize::Zeroizing;

use starttls::submission::{Credentials, Mechanism};

use crate::args::{Auth, LoginArgs};
use crate::exit::Failure;

/// A user and a secret, wiped when dropped.
pub(crate) struct Login {
    user: String,
    secret: Zeroizing<String>,
    auth: Option<Auth>,
}

impl Login {
    /// What the options say; none if they name no user.
    pub(crate) fn read(args: &LoginArgs) -> Result<Option<Self>, Failure> {
        let Some(user) = args.user.clone() else { return Ok(None) };
        let secret = match (&args.password_file, &args.password_env) {
            (Some(file), _) => {
                let name = file.display();
                let octets = std::fs::read(file)
                    .map(Zeroizing::new)
                    .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
                let text = std::str::from_utf8(&octets)
                    .map_err(|_| Failure::usage(format!("{name}: the password is not UTF-8")))?;
                let line = text.split('\n').next().unwrap_or_default();
                Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            (None, Some(variable)) => {
                let secret = std::env::var(variable)
                    .map_err(|error| Failure::usage(format!("{variable}: {error}")))?;
                Zeroizing::new(secret)
            }
            (None, None) => {
                return Err(Failure::usage(
                    "--user needs a password: --password-file FILE or --password-env VARIABLE",
                ));
            }
        };
        Self { user, secret, auth: args.auth }.prepared().map(Some)
    }

    /// SASLprep (RFC 4013), where the password may be hashed here: a server that hashed the
    /// prepared one would not know the other.
    fn prepared(self) -> Result<Self, Failure> {
        let prepared = saslprep(&self.user).and_then(|user| {
            let secret = saslprep(&self.secret)?;
            Ok((user.into_owned(), Zeroizing::new(secret.into_owned())))
        });
        match (self.auth, prepared) {
            (None | Some(Auth::ScramSha256), Ok((user, secret))) => {
                Ok(Self { user, secret, auth: self.auth })
            }
            (Some(Auth::ScramSha256), Err(_)) => {
                Err(Failure::usage("the user name or the password is not allowed (RFC 4013)"))
            }
            _ => Ok(self),
        }
    }

    pub(crate) fn credentials(&self) -> Credentials<'_> {
        let (user, secret) = (&self.user, &self.secret);
        match self.auth {
            None => Credentials::password(user, secret),
            Some(Auth::Plain) => Credentials::password(user, secret).mechanism(Mechanism::Plain),
            Some(Auth::Login) => Credentials::password(user, secret).mechanism(Mechanism::Login),
            Some(Auth::ScramSha256) => {
                Credentials::password(user, secret).mechanism(Mechanism::ScramSha256)
            }
            Some(Auth::Xoauth2) => Credentials::token(user, secret).mechanism(Mechanism::XOAuth2),
            Some(Auth::Oauthbearer) => {
                Credentials::token(user, secret).mechanism(Mechanism::OAuthBearer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_for_scram_only() {
        let login = |auth, secret: &str| {
            let (user, secret) = ("user".to_owned(), Zeroizing::new(secret.to_owned()));
            Login { user, secret, auth }.prepared().map(|login| login.secret.to_string())
        };
        // RFC 4013 §3: SOFT HYPHEN is mapped to nothing, FEMININE ORDINAL INDICATOR to "a".
        assert_eq!(login(Some(Auth::ScramSha256), "I\u{ad}X\u{aa}"), Ok("IXa".into()));
        assert_eq!(login(None, "I\u{ad}X\u{aa}"), Ok("IXa".into()));
        assert_eq!(login(Some(Auth::Plain), "I\u{ad}X\u{aa}"), Ok("I\u{ad}X\u{aa}".into()));
        assert_eq!(login(Some(Auth::ScramSha256), "\u{7}").map_err(|failure| failure.code), Err(2));
    }
}
