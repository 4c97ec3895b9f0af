//! XML in a stream: tags, and the text between them.
//!
//! Only what XMPP allows is read: no comments, processing instructions, DTDs or entities of one's
//! own (RFC 6120 §11.1). The same section has `<` and `>` escaped in texts and values, so that the
//! first `>` ends a tag and a frame is found without parsing it.

use core::str;

use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{char, multispace0, multispace1, one_of};
use nom::combinator::verify;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::Frame;
use crate::error::{Error, Misbehaviour};

/// The most attributes of one tag; the header of a stream has half a dozen.
const MAX_ATTRIBUTES: usize = 32;

/// Finds the tag at the front of `input`, or the text up to the next tag, of which the first
/// `scanned` octets were looked at before. Every octet is examined once, but for the first.
///
/// More than white space stands between tags only where `text` says so.
pub(crate) fn markup(input: &[u8], scanned: usize, text: bool) -> Result<Frame, Error> {
    let tag = input.first() == Some(&b'<');
    for (at, &octet) in input.iter().enumerate().skip(scanned) {
        match octet {
            0 => return Err(Misbehaviour::Nul.into()),
            b'\t' | b'\n' | b'\r' | b' ' => {}
            b'<' if at == 0 => {}
            b'<' if !tag => return Ok(Frame::Whole(at)),
            b'>' if tag => return Ok(Frame::Whole(at + 1)),
            b'<' | b'>' | ..b' ' => return Err(Misbehaviour::Malformed.into()),
            _ if tag || text => {}
            _ => return Err(Misbehaviour::Malformed.into()),
        }
    }
    Ok(Frame::Partial)
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// `<?xml version='1.0'?>`
    Declaration,
    /// `<name …>`
    Start,
    /// `<name …/>`
    Empty,
    /// `</name>`
    End,
}

/// A name as it is written, its namespace not looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// Empty where there is none.
    pub(crate) prefix: &'a str,
    pub(crate) local: &'a str,
}

impl Name<'_> {
    pub(crate) fn is(self, prefix: &str, local: &str) -> bool {
        (self.prefix, self.local) == (prefix, local)
    }
}

/// A frame, parsed. Its attributes are well-formed, and no two have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) form: Form,
    /// The element's; a text has none.
    pub(crate) name: Name<'a>,
    attributes: Attributes<'a>,
}

/// An attribute; references in its value stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) value: &'a str,
    /// The quotation mark around the value, which is therefore not in it.
    pub(crate) quote: char,
}

impl<'a> Token<'a> {
    /// Parses one whole frame.
    pub(crate) fn parse(frame: &'a [u8]) -> Result<Self, Error> {
        let token = str::from_utf8(frame).ok().and_then(Self::of);
        token.ok_or(Misbehaviour::Malformed.into())
    }

    fn of(frame: &'a str) -> Option<Self> {
        let nameless = Self { form: Form::Text, name: Name::default(), attributes: Attributes("") };
        let Some(inner) = frame.strip_prefix('<') else {
            return refers_well(frame).then_some(nameless);
        };
        let inner = inner.strip_suffix('>')?;
        if let Some(inner) = inner.strip_prefix("?xml") {
            let right = Attributes(inner.strip_suffix('?')?).checked()?.declare();
            return right.then_some(Self { form: Form::Declaration, ..nameless });
        }
        let (form, inner) = match (inner.strip_prefix('/'), inner.strip_suffix('/')) {
            (Some(inner), _) => (Form::End, inner),
            (None, Some(inner)) => (Form::Empty, inner),
            (None, None) => (Form::Start, inner),
        };
        let (attributes, name) = name(inner).ok()?;
        let attributes = Attributes(attributes).checked()?;
        let attributed = attributes.into_iter().next().is_some();
        (form != Form::End || !attributed).then_some(Self { form, name, attributes })
    }

    /// The attributes, in the order they have.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute<'a>> {
        self.attributes
    }

    /// The value of the attribute of this name.
    pub(crate) fn value(self, prefix: &str, local: &str) -> Option<&'a str> {
        self.attributes.value(prefix, local)
    }

    /// The namespace that the tag itself binds its own prefix to.
    pub(crate) fn own_namespace(self) -> Option<&'a str> {
        match self.name.prefix {
            "" => self.value("", "xmlns"),
            prefix => self.value("xmlns", prefix),
        }
    }
}

/// What stands behind the name of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes<'a>(&'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (rest, attribute) = attribute(self.0).ok()?;
        self.0 = rest;
        Some(attribute)
    }
}

impl<'a> Attributes<'a> {
    fn value(self, prefix: &str, local: &str) -> Option<&'a str> {
        let mut named = self.into_iter().filter(|attribute| attribute.name.is(prefix, local));
        named.next().map(|attribute| attribute.value)
    }

    /// Whether they may stand in an XML declaration: version 1.0, and no encoding but UTF-8
    /// (RFC 6120 §11.5, §11.6).
    fn declare(self) -> bool {
        let encoding = self.value("", "encoding");
        let utf8 = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("UTF-8"));
        self.value("", "version") == Some("1.0") && utf8
    }

    /// The same, if they are all well-formed, of different names, and not too many.
    fn checked(self) -> Option<Self> {
        let (mut rest, mut count) = (self, 0);
        while let Some(attribute) = rest.next() {
            count += 1;
            let twice = rest.into_iter().any(|other| other.name == attribute.name);
            if twice || count > MAX_ATTRIBUTES {
                return None;
            }
        }
        rest.0.trim_matches(is_space).is_empty().then_some(self)
    }
}

/// The white space of XML, which is less than Unicode's.
pub(crate) fn is_space(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' ')
}

fn part(input: &str) -> IResult<&str, &str> {
    let inside =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || !c.is_ascii();
    let begins =
        |name: &str| !name.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'));
    verify(take_while1(inside), begins).parse(input)
}

fn name(input: &str) -> IResult<&str, Name<'_>> {
    let (rest, first) = part(input)?;
    match rest.strip_prefix(':') {
        Some(rest) => {
            let (rest, local) = part(rest)?;
            Ok((rest, Name { prefix: first, local }))
        }
        None => Ok((rest, Name { prefix: "", local: first })),
    }
}

fn attribute(input: &str) -> IResult<&str, Attribute<'_>> {
    let (rest, name) = preceded(multispace1, name).parse(input)?;
    let equals = delimited(multispace0, char('='), multispace0);
    let (rest, quote) = preceded(equals, one_of("'\"")).parse(rest)?;
    let value = verify(take_till(|c| c == quote), |value: &str| refers_well(value));
    let (rest, value) = terminated(value, char(quote)).parse(rest)?;
    Ok((rest, Attribute { name, value, quote }))
}

/// No reference but to a character or to what XML itself defines.
fn refers_well(text: &str) -> bool {
    text.split('&').skip(1).all(|behind| match behind.split_once(';') {
        Some(("amp" | "lt" | "gt" | "quot" | "apos", _)) => true,
        Some((reference, _)) => reference.strip_prefix('#').is_some_and(|number| {
            let (digits, radix) = match number.strip_prefix('x') {
                Some(digits) => (digits, 16),
                None => (number, 10),
            };
            let code = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
            !digits.starts_with('+') && code.is_some_and(|c| c >= ' ' || is_space(c))
        }),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_texts_are_found() {
        assert_eq!(markup(b"<a b='c'>d", 0, false), Ok(Frame::Whole(9)));
        assert_eq!(markup(b"<a b='c'", 0, false), Ok(Frame::Partial));
        assert_eq!(markup(b" \t\r\n<a>", 0, false), Ok(Frame::Whole(4)));
        assert_eq!(markup(b" ", 0, false), Ok(Frame::Partial));
        assert_eq!(markup(b"", 0, false), Ok(Frame::Partial));
        assert_eq!(markup(b"it's<a>", 0, true), Ok(Frame::Whole(4)));
        assert_eq!(markup(b"it's", 0, true), Ok(Frame::Partial));
        let malformed = Err(Misbehaviour::Malformed.into());
        for bad in [&b"x<a>"[..], b" x", b"<a<", b">", b" >", b"<a \x1f", b"\xef\xbb\xbf<"] {
            assert_eq!(markup(bad, 0, false), malformed, "{}", bad.escape_ascii());
        }
        for bad in [&b"it > 1"[..], b"\x1b[2J"] {
            assert_eq!(markup(bad, 0, true), malformed, "{}", bad.escape_ascii());
        }
        for bad in [&b"<\0"[..], b"\0", b" \0"] {
            assert_eq!(markup(bad, 0, true), Err(Misbehaviour::Nul.into()));
        }
    }

    #[test]
    fn a_split_changes_nothing() {
        for text in [&b"<a b='c'>d"[..], b"  <a>", b"ab<a>", b"<a<", b"a>", b"<a\0"] {
            let whole = markup(text, 0, true);
            for cut in 0..text.len() {
                let first = markup(&text[..cut], 0, true);
                let again =
                    if first == Ok(Frame::Partial) { markup(text, cut, true) } else { first };
                assert_eq!(again, whole, "{} cut at {cut}", text.escape_ascii());
            }
        }
    }

    #[track_caller]
    fn tag(frame: &str) -> Token<'_> {
        Token::parse(frame.as_bytes()).unwrap()
    }

    #[test]
    fn tags_parse_in_all_their_forms() {
        let forms = ["<s:a b='1' xmlns:s='u'>", "<s:a\r\n\txmlns:s = \"u\"  b= \"1\" >"];
        for form in forms {
            let tag = tag(form);
            assert_eq!(tag.name, Name { prefix: "s", local: "a" });
            assert_eq!((tag.value("", "b"), tag.own_namespace()), (Some("1"), Some("u")));
            assert_eq!((tag.value("", "c"), tag.attributes().count()), (None, 2));
            assert_eq!(tag.form, Form::Start);
        }
        let empty = tag("<a xmlns='u' xmlns:b='v'/>");
        assert_eq!(empty.own_namespace(), Some("u"));
        assert_eq!((empty.form, tag("<a />").form), (Form::Empty, Form::Empty));
        assert_eq!(tag("<b:a xmlns='u'/>").own_namespace(), None);
        let quotes: std::vec::Vec<_> = tag("<a b='\"' c=\"'\">").attributes().collect();
        assert_eq!((quotes[0].value, quotes[0].quote), ("\"", '\''));
        assert_eq!((quotes[1].value, quotes[1].quote), ("'", '"'));
        for end in ["</s:a>", "</s:a \n>"] {
            let name = Name { prefix: "s", local: "a" };
            assert_eq!((tag(end).form, tag(end).name), (Form::End, name));
        }
        assert_eq!(tag("<gr\u{fc}n/>").name.local, "gr\u{fc}n");
        assert_eq!(tag(" it's &#x41;&#10;&amp;&lt;&gt;&quot;&apos;").form, Form::Text);
        for declaration in [
            "<?xml version='1.0'?>",
            "<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes' ?>",
        ] {
            assert_eq!(tag(declaration).form, Form::Declaration);
        }
    }

    #[test]
    fn what_is_no_tag_is_malformed() {
        for bad in [
            "<>",
            "</>",
            "<a",
            "< a>",
            "<1>",
            "<-a>",
            "<:a>",
            "<a:>",
            "<a:b:c>",
            "<a:1>",
            "<a b>",
            "<a b=>",
            "<a b=1>",
            "<a b='>",
            "<a b='1\">",
            "<a b='1'c='2'>",
            "<a b='1' b=\"2\">",
            "<a ='1'>",
            "<a b='1'/ >",
            "<a b='1' x>",
            "</a b='1'>",
            "</ a>",
            "</a/>",
            "<!--a-->",
            "<!DOCTYPE a>",
            "<![CDATA[a]]>",
            "<?a?>",
            "<?xml?>",
            "<?xml version='1.1'?>",
            "<?xml version='1.0'>",
            "<?xml version='1.0' encoding='UTF-16'?>",
            "<?xmlversion='1.0'?>",
            "<a b='&c;'>",
            "<a b='&'>",
            "<a b='&#;'>",
            "<a b='&#+65;'>",
            "<a b='&#0;'>",
            "<a b='&#xd800;'>",
            "<a b='&#x110000;'>",
            "<a b='&amp'>",
            "&c;",
            "&",
            "<a\u{a0}b='1'>",
            "<a\u{b}b='1'>",
        ] {
            assert_eq!(Token::parse(bad.as_bytes()), Err(Misbehaviour::Malformed.into()), "{bad}");
        }
        assert_eq!(Token::parse(b"<a b='\xff'>"), Err(Misbehaviour::Malformed.into()));
    }

    #[test]
    fn attributes_are_counted() {
        let tag = |n: usize| {
            let attributes: alloc::string::String =
                (0..n).map(|i| alloc::format!(" a{i}=''")).collect();
            Token::parse(alloc::format!("<a{attributes}>").as_bytes()).is_ok()
        };
        assert_eq!((tag(32), tag(33)), (true, false));
    }
}
