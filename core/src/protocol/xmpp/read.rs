//! A stream as the other side reads it, tag by tag.

use super::stream::{Kind, Scope, Space, version};
use crate::error::{Error, Misbehaviour};
use crate::wire::Frame;
use crate::wire::xml::{Form, Token, markup};

/// The most tags and texts read of a server, each: what its features may come to.
const MAX_FRAMES: u16 = 1000;

/// The most tags and texts a client may send.
const MAX_COMMANDS: u16 = 128;

/// The deepest element among the features.
const MAX_DEPTH: u8 = 16;

/// What comes next, white space aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    /// The XML declaration, or the stream's header.
    #[default]
    First,
    Header,
    Features,
    /// The end of the features, out of elements this many deep.
    FeaturesEnd(u8),
    Answer,
    /// The end of an answer that is not written as an empty element.
    ProceedEnd,
    FailureEnd,
    /// What a stream error is about.
    Condition,
    /// A client's request, whatever it is.
    Element,
    StarttlsEnd,
}

/// Where a stream stands.
#[derive(Clone, Debug, Default)]
struct Place {
    expect: Expect,
    scope: Scope,
    frames: u16,
}

impl Place {
    /// Takes in the next frame: the token, its namespace, and what the header binds, if it is one.
    fn token<'f>(&self, frame: &'f [u8], most: u16) -> Result<(Token<'f>, Space, Scope), Error> {
        if self.frames == most {
            return Err(Misbehaviour::TooManyFrames.into());
        }
        let token = Token::parse(frame)?;
        let scope = match (self.expect, token.form) {
            (Expect::First | Expect::Header, Form::Start) => Scope::opened(token)?,
            _ => self.scope.clone(),
        };
        Ok((token, scope.space(token), scope))
    }

    fn then(&self, expect: Expect, scope: Scope) -> Self {
        Self { expect, scope, frames: self.frames + 1 }
    }
}

/// What a tag of the server's comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    More,
    /// A header without a version: there are neither features nor STARTTLS (RFC 6120 §4.7.5).
    Old,
    /// STARTTLS begins among the features.
    Starttls,
    /// The features end.
    Features,
    /// `<proceed/>`
    Proceed,
    /// `<failure/>`
    Failure,
    /// An error, or the end of the stream, and whether a later try may succeed.
    Ended(bool),
}

/// A server's stream, as its client reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct FromServer(Place);

impl FromServer {
    pub(super) fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        markup(input, scanned, matches!(self.0.expect, Expect::FeaturesEnd(1..)))
    }

    /// Takes in the next frame. The stream is then where the first part says.
    pub(super) fn next(&self, frame: &[u8]) -> Result<(Self, Heard), Error> {
        use Expect::{
            Answer, Condition, FailureEnd, Features, FeaturesEnd, First, Header, ProceedEnd,
        };
        use Form::{Declaration, Empty, End, Start, Text};
        use Space::{Streams, Tls};

        let (token, space, scope) = self.0.token(frame, MAX_FRAMES)?;
        let (expect, heard) = match (self.0.expect, token.form, (space, token.name.local)) {
            (First, Declaration | Text, _) => (Header, Heard::More),
            (First | Header, Start, (Streams, "stream")) => match version(token)? {
                0 => (Features, Heard::Old),
                _ => (Features, Heard::More),
            },
            (expect, Text, _) => (expect, Heard::More),

            (Features, Start, (Streams, "features")) => (FeaturesEnd(0), Heard::More),
            (Features, Empty, (Streams, "features")) | (FeaturesEnd(0), End, (_, "features")) => {
                (Answer, Heard::Features)
            }
            (FeaturesEnd(MAX_DEPTH), Start, _) => return Err(Misbehaviour::TooManyFrames.into()),
            (FeaturesEnd(0), Start, (Tls, "starttls")) => (FeaturesEnd(1), Heard::Starttls),
            (FeaturesEnd(0), Empty, (Tls, "starttls")) => (FeaturesEnd(0), Heard::Starttls),
            (FeaturesEnd(depth), Start, _) => (FeaturesEnd(depth + 1), Heard::More),
            (FeaturesEnd(depth), Empty, _) => (FeaturesEnd(depth), Heard::More),
            (FeaturesEnd(depth @ 1..), End, _) => (FeaturesEnd(depth - 1), Heard::More),

            (Answer, Start, (Tls, "proceed")) => (ProceedEnd, Heard::More),
            (Answer, Empty, (Tls, "proceed")) | (ProceedEnd, End, (_, "proceed")) => {
                (Answer, Heard::Proceed)
            }
            (Answer, Start, (Tls, "failure")) => (FailureEnd, Heard::More),
            (Answer, Empty, (Tls, "failure")) | (FailureEnd, End, (_, "failure")) => {
                (Answer, Heard::Failure)
            }

            (Features | Answer, Start, (Streams, "error")) => (Condition, Heard::More),
            (Condition, Start | Empty, (_, condition)) => {
                let later = ["reset", "resource-constraint", "system-shutdown"];
                (Condition, Heard::Ended(later.contains(&condition)))
            }
            (Features | Answer, End, (Streams, "stream")) => (Answer, Heard::Ended(false)),

            (Features, Start | Empty, (Tls, _)) => return Err(Misbehaviour::Unsolicited.into()),
            (Features | Answer, Start | Empty, _) => {
                return Err(Misbehaviour::UnexpectedReply(0).into());
            }
            _ => return Err(Misbehaviour::Malformed.into()),
        };
        Ok((Self(self.0.then(expect, scope)), heard))
    }

    /// Whether these are whole elements that may stand among the features inside TLS.
    pub(super) fn may_offer(feature: &str) -> bool {
        let among = Expect::FeaturesEnd(0);
        let mut stream = Self(Place { expect: among, ..Place::default() });
        let mut rest = feature.as_bytes();
        while let Ok(Frame::Whole(length)) = stream.frame(rest, 0) {
            let Some((frame, behind)) = rest.split_at_checked(length) else { return false };
            let Ok((next, Heard::More)) = stream.next(frame) else { return false };
            (stream, rest) = (next, behind);
        }
        rest.is_empty() && stream.0.expect == among
    }
}

/// What a tag of the client's comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'f> {
    More,
    /// The stream's header, and what is wrong with it.
    Stream(Token<'f>, Option<&'static str>),
    /// `<starttls/>`
    Starttls,
    /// SASL begins.
    Auth,
    /// The end of the stream.
    End,
    /// Another element begins.
    Other,
}

/// A client's stream, as its server reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct FromClient(Place);

impl FromClient {
    /// Takes in the next frame of a client of this kind. The stream is then where the first part
    /// says.
    pub(super) fn next<'f>(&self, kind: Kind, frame: &'f [u8]) -> Result<(Self, Asked<'f>), Error> {
        use Expect::{Element, First, Header, StarttlsEnd};
        use Form::{Declaration, Empty, End, Start, Text};
        use Space::{Sasl, Streams, Tls};

        let (token, space, scope) = self.0.token(frame, MAX_COMMANDS)?;
        let (expect, asked) = match (self.0.expect, token.form, (space, token.name.local)) {
            (First, Declaration | Text, _) => (Header, Asked::More),
            (First | Header, Start, (_, "stream")) => {
                (Element, Asked::Stream(token, fault(kind, token, space)?))
            }
            (expect, Text, _) => (expect, Asked::More),

            (Element, Start, (Tls, "starttls")) => (StarttlsEnd, Asked::More),
            (Element, Empty, (Tls, "starttls")) | (StarttlsEnd, End, (_, "starttls")) => {
                (Element, Asked::Starttls)
            }
            (Element, End, (Streams, "stream")) => (Element, Asked::End),
            (Element, Start | Empty, (Sasl, "auth")) => (Element, Asked::Auth),
            (Element, Start | Empty, _) => (Element, Asked::Other),
            _ => return Err(Misbehaviour::Malformed.into()),
        };
        Ok((Self(self.0.then(expect, scope)), asked))
    }
}

/// What is wrong with a client's header, as RFC 6120 §4.9.3 calls it.
fn fault(kind: Kind, header: Token<'_>, space: Space) -> Result<Option<&'static str>, Error> {
    let content = header.value("", "xmlns");
    let content_fits = content == Some(kind.content()) || header.name.prefix.is_empty();
    Ok(if space != Space::Streams || !content_fits {
        Some("invalid-namespace")
    } else if header.value("", "to").is_none_or(str::is_empty) {
        Some("improper-addressing")
    } else if version(header)? == 0 {
        Some("unsupported-version")
    } else {
        None
    })
}
