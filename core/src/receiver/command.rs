//! Command lines (RFC 5321 §4.1.1), and the paths and parameters in them (§4.1.2).

use core::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take, take_while, take_while1};
use nom::character::complete::{char, satisfy};
use nom::combinator::{opt, recognize, verify};
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Offset, Parser};

use super::login::Mechanism;
use super::reply;
use crate::protocol::Mail;

/// The longest local part and the longest domain (RFC 5321 §4.5.3.1), in octets.
const MAX_LOCAL_PART: usize = 64;
const MAX_DOMAIN: usize = 255;

/// A command. Ranges are places in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Hello,
    Helo,
    Starttls,
    Auth(Mechanism, Option<Range<usize>>),
    Mail(Range<usize>, Parameters),
    Rcpt(Range<usize>, Parameters),
    Data,
    Bdat {
        size: u32,
        last: bool,
    },
    /// A BDAT that does not say how long its chunk is.
    BadChunk,
    Rset,
    Noop,
    Vrfy,
    Quit,
}

/// What stands behind a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) any: bool,
    pub(super) unknown: bool,
    /// As declared; what does not fit is `u64::MAX`.
    pub(super) size: Option<u64>,
    pub(super) body: bool,
    pub(super) utf8: bool,
    pub(super) auth: bool,
}

/// The reply to a line that is no command.
type Refused = &'static str;

impl Command {
    /// Parses a line without its CR LF.
    pub(super) fn parse(line: &[u8], mail: Mail) -> Result<Self, Refused> {
        // White space at the end is tolerated (RFC 5321 §4.1.1).
        let line = line.trim_ascii_end();
        let (verb, argument) = match line.iter().position(|&octet| octet == b' ') {
            Some(space) => (&line[..space], line[space..].trim_ascii_start()),
            None => (line, &line[line.len()..]),
        };
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        let bare = |command| if argument.is_empty() { Ok(command) } else { Err(reply::SYNTAX) };
        let named = |command| if is_name(argument) { Ok(command) } else { Err(reply::SYNTAX) };
        match verb {
            _ if is(mail.hello()) => named(Self::Hello),
            _ if is("HELO") && mail == Mail::Smtp => named(Self::Helo),
            _ if is("MAIL") => {
                let nobody = delimited(char('<'), take(0usize), char('>'));
                let path = alt((path, nobody));
                let (path, rest) =
                    addressed(line, argument, "FROM:", path).ok_or(reply::BAD_SENDER)?;
                Ok(Self::Mail(path, Parameters::parse(rest)?))
            }
            _ if is("RCPT") => {
                let postmaster = delimited(char('<'), tag_no_case("postmaster"), char('>'));
                let path = alt((path, postmaster));
                let (path, rest) =
                    addressed(line, argument, "TO:", path).ok_or(reply::BAD_RECIPIENT)?;
                Ok(Self::Rcpt(path, Parameters::parse(rest)?))
            }
            _ if is("DATA") => bare(Self::Data),
            _ if is("BDAT") => Ok(chunk(argument).unwrap_or(Self::BadChunk)),
            _ if is("AUTH") => auth(line, argument),
            _ if is("RSET") => bare(Self::Rset),
            _ if is("QUIT") => bare(Self::Quit),
            _ if is("NOOP") => Ok(Self::Noop),
            _ if is("VRFY") && argument.is_empty() => Err(reply::SYNTAX),
            _ if is("VRFY") => Ok(Self::Vrfy),
            _ if is("STARTTLS") => Ok(Self::Starttls),
            _ if is("EXPN") || is("HELP") || is("ETRN") || is("TURN") => {
                Err(reply::NOT_IMPLEMENTED)
            }
            _ => Err(reply::UNKNOWN),
        }
    }
}

impl Parameters {
    /// Parses ` KEYWORD=value KEYWORD …`; each at most once.
    fn parse(rest: &[u8]) -> Result<Self, Refused> {
        let mut found = Self::default();
        let Some(rest) = rest.strip_prefix(b" ") else {
            return if rest.is_empty() { Ok(found) } else { Err(reply::SYNTAX) };
        };
        found.any = true;
        for parameter in rest.split(|&octet| octet == b' ') {
            found.add(parameter)?;
        }
        Ok(found)
    }

    fn add(&mut self, parameter: &[u8]) -> Result<(), Refused> {
        let (keyword, value) = match parameter.iter().position(|&octet| octet == b'=') {
            Some(equals) => (&parameter[..equals], Some(&parameter[equals + 1..])),
            None => (parameter, None),
        };
        let word = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
        if !keyword.first().is_some_and(u8::is_ascii_alphanumeric) || !keyword.iter().all(word) {
            return Err(reply::SYNTAX);
        }
        let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
        let once = |seen: bool, good: bool| if good && !seen { Ok(()) } else { Err(reply::SYNTAX) };
        match value {
            Some(value) if is("SIZE") => {
                once(self.size.is_some(), (1..=20).contains(&value.len()))?;
                self.size = Some(number(value).ok_or(reply::SYNTAX)?);
            }
            Some(value) if is("BODY") => {
                let named = |name: &[u8]| value.eq_ignore_ascii_case(name);
                once(self.body, named(b"7BIT") || named(b"8BITMIME"))?;
                self.body = true;
            }
            None if is("SMTPUTF8") => {
                once(self.utf8, true)?;
                self.utf8 = true;
            }
            Some(value) if is("AUTH") => {
                once(self.auth, is_xtext(value))?;
                self.auth = true;
            }
            _ if is("SIZE") || is("BODY") || is("SMTPUTF8") || is("AUTH") => {
                return Err(reply::SYNTAX);
            }
            _ => self.unknown = true,
        }
        Ok(())
    }
}

fn is_name(name: &[u8]) -> bool {
    (1..=MAX_DOMAIN).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)
}

/// A decimal number, `u64::MAX` if it is larger.
fn number(digits: &[u8]) -> Option<u64> {
    let good = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit & 15));
    good.then(|| digits.iter().fold(0, add))
}

/// `n` or `n LAST` (RFC 3030 §2).
fn chunk(argument: &[u8]) -> Option<Command> {
    let mut words = argument.split(|&octet| octet == b' ');
    let size = u32::try_from(number(words.next()?)?).ok()?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Command::Bdat { size, last })
}

/// `mechanism [initial-response]` (RFC 4954 §4).
fn auth(line: &[u8], argument: &[u8]) -> Result<Command, Refused> {
    let mut words = argument.split(|&octet| octet == b' ');
    let mechanism = match words.next() {
        None | Some(b"") => return Err(reply::SYNTAX),
        Some(name) if name.eq_ignore_ascii_case(b"PLAIN") => Mechanism::Plain,
        Some(name) if name.eq_ignore_ascii_case(b"LOGIN") => Mechanism::Login,
        Some(_) => Mechanism::Other,
    };
    let initial = words.next().map(|word| place(line, word));
    match words.next() {
        None => Ok(Command::Auth(mechanism, initial)),
        Some(_) => Err(reply::SYNTAX),
    }
}

/// Printable ASCII without `+` and `=`, or `+` and two digits of upper case hexadecimal
/// (RFC 3461 §4), or `<>` (RFC 4954 §5).
fn is_xtext(value: &[u8]) -> bool {
    let hex = |octet: char| matches!(octet, '0'..='9' | 'A'..='F');
    let plain = |octet: u8| matches!(octet, b'!'..=b'~') && !matches!(octet, b'+' | b'=');
    let escaped = recognize((char('+'), satisfy(hex), satisfy(hex)));
    let parsed: IResult<&[u8], usize> =
        many0_count(alt((escaped, take_while1(plain)))).parse(value);
    !value.is_empty() && matches!(parsed, Ok((b"", _)))
}

fn place(line: &[u8], part: &[u8]) -> Range<usize> {
    let start = line.offset(part);
    start..start + part.len()
}

/// What follows `keyword` in `argument`: where the mailbox stands in `line`, and what is behind
/// its path.
fn addressed<'l>(
    line: &[u8],
    argument: &'l [u8],
    keyword: &str,
    path: impl Parser<&'l [u8], Output = &'l [u8], Error = nom::error::Error<&'l [u8]>>,
) -> Option<(Range<usize>, &'l [u8])> {
    let (rest, mailbox) = preceded(tag_no_case(keyword.as_bytes()), path).parse(argument).ok()?;
    Some((place(line, mailbox), rest))
}

/// `<mailbox>`, or `<@route:mailbox>` of which the route is dropped (RFC 5321 §4.1.2, appendix C).
fn path(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let mailbox = verify(recognize((local_part, char('@'), domain)), |mailbox: &[u8]| {
        core::str::from_utf8(mailbox).is_ok()
    });
    delimited(char('<'), preceded(opt(route), mailbox), char('>')).parse(input)
}

fn route(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let hop = |input| preceded(char('@'), domain).parse(input);
    recognize((hop, many0_count(preceded(char(','), hop)), char(':'))).parse(input)
}

/// Octets above 127 are left to the caller to judge: only SMTPUTF8 allows them (RFC 6531 §3.3).
fn local_part(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let atom = |octet: u8| {
        octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet) || octet > 127
    };
    let text =
        |octet: u8| octet > 127 || (matches!(octet, b' '..=b'~') && !b"\"\\".contains(&octet));
    let pair = recognize((char('\\'), satisfy(|octet| matches!(octet, ' '..='~'))));
    let quoted = recognize((char('"'), many0_count(alt((pair, take_while1(text)))), char('"')));
    let dotted = verify(take_while1(atom), no_empty_label);
    verify(alt((quoted, dotted)), |part: &[u8]| part.len() <= MAX_LOCAL_PART).parse(input)
}

fn domain(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let content = |octet: u8| matches!(octet, b'!'..=b'Z' | b'^'..=b'~');
    let literal = recognize((char('['), take_while1(content), char(']')));
    let label = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | 128..);
    let dotted = verify(take_while(label), |name: &[u8]| {
        let hyphen = |label: &[u8]| label.starts_with(b"-") || label.ends_with(b"-");
        no_empty_label(name) && !name.split(|&octet| octet == b'.').any(hyphen)
    });
    verify(alt((literal, dotted)), |name: &[u8]| name.len() <= MAX_DOMAIN).parse(input)
}

fn no_empty_label(name: &[u8]) -> bool {
    name.split(|&octet| octet == b'.').all(|label| !label.is_empty())
}
