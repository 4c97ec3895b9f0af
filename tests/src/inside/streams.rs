//! When the application takes the channel, in the protocols whose messages are no lines, and in HTTP.

/// A client that has nothing to wait for has its own words only.
pub(super) fn first(last: &[u8], _: &[u8]) -> bool {
    last.is_empty()
}

/// The head of any packet but the requests for encryption, which were declined where they came.
pub(super) fn postgresql_packet(last: &[u8], sent: &[u8]) -> bool {
    let (length, code) = last.split_at(4);
    let request = length == [0, 0, 0, 8] && (code == [4, 210, 22, 47] || code == [4, 210, 22, 48]);
    last.len() == 8 && !request && ["", "N", "NN"].contains(&&*String::from_utf8_lossy(sent))
}

/// Not 32 octets with the flag, which is the fourth bit of the second octet of the payload.
pub(super) fn mysql_packet(last: &[u8], sent: &[u8]) -> bool {
    let request = last[..3] == [32, 0, 0] && last.get(5).is_some_and(|octet| octet & 8 != 0);
    sent.is_empty() && !request && (last.len() == 4 || last.len() == 6)
}

/// Not WILL, WONT, DO and DONT of option 46; a text's first octet.
pub(super) fn telnet_element(last: &[u8], _: &[u8]) -> bool {
    let option = last.len() == 3 && (251..=254).contains(&last[1]) && last[2] == 46;
    !option && (last[0] == 255 || last.len() == 1)
}

/// An empty line, which ends a head, or fields behind chunks; or a piece of a body, which may be
/// anything, but never the line an answer begins with.
pub(super) fn http_end(last: &[u8], sent: &[u8]) -> bool {
    (last == b"\r\n" || (!last.is_empty() && last.len() <= 1024 && !last.starts_with(b"HTTP/1")))
        && sent.starts_with(b"G")
}

pub(super) fn http_request(last: &[u8], sent: &[u8]) -> bool {
    last.len() == 1 && sent == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
}

pub(super) fn https_request(last: &[u8], sent: &[u8]) -> bool {
    last.len() == 1 && sent.is_empty()
}

/// The name of a tag, without prefix.
fn tag(last: &[u8]) -> String {
    let text = String::from_utf8_lossy(last);
    let name = text.trim_start_matches(['<', '/']).split([' ', '\t', '\r', '\n', '/', '>']).next();
    let name = name.unwrap_or_default();
    name.split_once(':').map_or(name, |(_, local)| local).to_owned()
}

/// The features end; before that, nothing but a stream was opened.
pub(super) fn xmpp_features(last: &[u8], sent: &[u8]) -> bool {
    let sent = String::from_utf8_lossy(sent);
    let ends = last.starts_with(b"</") || last.ends_with(b"/>");
    let opened = sent.strip_prefix("<?xml version='1.0'?><stream:stream ");
    let application = opened.and_then(|sent| sent.split_once(" version='1.0'>"));
    ends && tag(last) == "features" && application.is_some_and(|(_, sent)| sent.starts_with('<'))
}

/// Whether a tag declares its own namespace to be this one: to the octet, white space and all.
fn namespace_is(tag: &str, namespace: &str) -> bool {
    let (name, mut rest) = tag.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((tag, ""));
    let prefix = name.trim_start_matches('<').split_once(':');
    let key = prefix.map_or("xmlns".to_owned(), |(prefix, _)| format!("xmlns:{prefix}"));
    while let Some((name, value)) = rest.split_once('=') {
        let value = value.trim_ascii_start();
        let quoted = value.strip_prefix('"').map(|value| value.split_once('"'));
        let quoted =
            quoted.or_else(|| value.strip_prefix('\'').map(|value| value.split_once('\'')));
        let Some(Some((value, behind))) = quoted else { return false };
        if name.trim_ascii() == key {
            return value == namespace;
        }
        rest = behind;
    }
    false
}

/// A tag that is not STARTTLS, and the last that was said are features without it.
pub(super) fn xmpp_element(last: &[u8], sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(last);
    let starttls =
        tag(last) == "starttls" && namespace_is(&text, "urn:ietf:params:xml:ns:xmpp-tls");
    let sent = String::from_utf8_lossy(sent);
    let features = sent.ends_with("</stream:features>") && !sent.contains("starttls");
    text.starts_with('<') && text.ends_with('>') && !starttls && features
}
