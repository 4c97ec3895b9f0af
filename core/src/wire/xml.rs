//! XML in a stream: tags, and the text between them.
//!
//! Only what XMPP allows is read: no comments, processing instructions, DTDs or entities of one's
//! own (RFC 6120 §11.1). The same section has `<` and `>` escaped in texts and values, so that the
//! first `>` ends a tag and a frame is found without parsing it.

use core::str;

use heapless::Vec;

use super::Frame;
use super::scan::skip;
use crate::error::{Error, Misbehaviour};

/// The most attributes of one tag; the header of a stream has half a dozen.
const MAX_ATTRIBUTES: usize = 32;

/// Finds the tag at the front of `input`, or the text up to the next tag, of which the first
/// `scanned` octets were looked at before. Every octet is examined once, but for the first.
///
/// More than white space stands between tags only where `text` says so.
pub(crate) fn markup(input: &[u8], scanned: usize, text: bool) -> Result<Frame, Error> {
    let tag = input.first() == Some(&b'<');
    let mut rest = input.get(scanned.max(tag.into())..).unwrap_or_default();
    loop {
        if tag || text {
            rest = skip(rest, b' ', [b'<', b'>']);
        }
        match rest {
            [] => return Ok(Frame::Partial),
            [0, ..] => return Err(Misbehaviour::Nul.into()),
            [b'\t' | b'\n' | b'\r' | b' ', behind @ ..] => rest = behind,
            [b'<', ..] if !tag => return Ok(Frame::Whole(input.len() - rest.len())),
            [b'>', behind @ ..] if tag => return Ok(Frame::Whole(input.len() - behind.len())),
            _ => return Err(Misbehaviour::Malformed.into()),
        }
    }
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
            return refers_well(frame.as_bytes()).then_some(nameless);
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
        let (name, attributes) = name(inner)?;
        let attributes = Attributes(attributes).checked()?;
        let attributed = !skip_space(attributes.0).is_empty();
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
        let (attribute, rest) = attribute(self.0)?;
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
        let (mut rest, mut names) = (self, Vec::<_, MAX_ATTRIBUTES>::new());
        for Attribute { name, value, .. } in rest.by_ref() {
            if !refers_well(value.as_bytes()) || names.contains(&name) {
                return None;
            }
            names.push(name).ok()?;
        }
        skip_space(rest.0).is_empty().then_some(self)
    }
}

/// The white space of XML, which is less than Unicode's.
pub(crate) fn is_space(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' ')
}

fn skip_space(input: &str) -> &str {
    let is_space = |octet: &u8| matches!(octet, b'\t' | b'\n' | b'\r' | b' ');
    let end = input.as_bytes().iter().position(|octet| !is_space(octet)).unwrap_or(input.len());
    input.get(end..).unwrap_or_default()
}

/// A name without a colon, and what stands behind it.
fn part(input: &str) -> Option<(&str, &str)> {
    let inside =
        |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | 0x80..);
    let end = input.as_bytes().iter().position(|octet| !inside(octet)).unwrap_or(input.len());
    match input.split_at_checked(end)? {
        ("", _) => None,
        (name, _) if name.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.')) => {
            None
        }
        parts => Some(parts),
    }
}

fn name(input: &str) -> Option<(Name<'_>, &str)> {
    let (first, rest) = part(input)?;
    match rest.strip_prefix(':') {
        Some(rest) => {
            let (local, rest) = part(rest)?;
            Some((Name { prefix: first, local }, rest))
        }
        None => Some((Name { prefix: "", local: first }, rest)),
    }
}

/// An attribute behind white space; its references are not looked at.
fn attribute(input: &str) -> Option<(Attribute<'_>, &str)> {
    let rest = skip_space(input);
    if rest.len() == input.len() {
        return None;
    }
    let (name, rest) = name(rest)?;
    let rest = skip_space(skip_space(rest).strip_prefix('=')?);
    let quote = *rest.as_bytes().first().filter(|octet| matches!(octet, b'\'' | b'"'))?;
    let rest = rest.get(1..)?;
    let behind = skip(rest.as_bytes(), 0, [quote]);
    let (value, rest) = rest.split_at_checked(rest.len() - behind.len())?;
    Some((Attribute { name, value, quote: quote.into() }, rest.get(1..)?))
}

/// No reference but to a character or to what XML itself defines.
fn refers_well(text: &[u8]) -> bool {
    let mut rest = skip(text, 0, [b'&']);
    while let [b'&', behind @ ..] = rest {
        let mut parts = behind.splitn(2, |&octet| octet == b';');
        match (parts.next(), parts.next()) {
            (Some(reference), Some(behind)) if is_defined(reference) => {
                rest = skip(behind, 0, [b'&']);
            }
            _ => return false,
        }
    }
    true
}

fn is_defined(reference: &[u8]) -> bool {
    let (digits, radix) = match reference {
        b"amp" | b"lt" | b"gt" | b"quot" | b"apos" => return true,
        [b'#', b'x', digits @ ..] => (digits, 16),
        [b'#', digits @ ..] => (digits, 10),
        _ => return false,
    };
    let number = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
    let code = number.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    code.and_then(char::from_u32).is_some_and(|c| c >= ' ' || is_space(c))
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
