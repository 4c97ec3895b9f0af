//! HTTP/1.1, and the answer to a printer's client (RFC 8011).

use std::io;

use starttls::negotiate::Negotiate;
use starttls::protocol::http::{Method, Server};

use super::script::{Channel, unknown};

/// Answers until the client asks to close, or leaves between two requests, in whatever way: that is
/// how one takes one's leave here.
pub(super) fn http<M: Negotiate>(channel: &mut Channel<'_, M>) -> io::Result<bool> {
    while let Ok(Some(first)) = channel.line() {
        let mut lines = vec![first];
        while !lines.ends_with(&[String::new()]) {
            lines.push(channel.line()?.ok_or_else(|| unknown("half a head"))?);
        }
        let field = |name: &str| {
            let mut fields = lines.iter().filter_map(|line| line.split_once(": "));
            fields.find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1)
        };
        let request = lines[0].strip_suffix(" HTTP/1.1").ok_or_else(|| unknown(&lines[0]))?;
        channel.hear(request);
        if field("Expect").is_some() {
            channel.say("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = field("Content-Length").unwrap_or("0");
        let body = channel.octets(length.parse().map_err(|_| unknown(length))?)?;
        match body.get(..8) {
            None => answer("text/plain", b"inside\r\n", channel)?,
            Some(head) => answer("application/ipp", &printer(head), channel)?,
        }
        if field("Connection") == Some("close") {
            break;
        }
    }
    Ok(true)
}

/// The same behind the answer to the request that asked for TLS (RFC 2817 §3.3).
pub(super) fn upgraded(channel: &mut Channel<'_, Server>) -> io::Result<bool> {
    match channel.machine().request() {
        Some((Method::Options, "*")) => {
            channel.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            http(channel)
        }
        other => Err(unknown(&format!("{other:?}"))),
    }
}

fn answer<M: Negotiate>(kind: &str, body: &[u8], channel: &mut Channel<'_, M>) -> io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    channel.say([head.as_bytes(), body].concat())
}

/// The answer to a request that begins so: a printer called `inside` (RFC 8010 §3).
fn printer(request: &[u8]) -> Vec<u8> {
    let attribute = |tag: u8, name: &str, value: &str| {
        let (name_length, value_length) = (name.len() as u8, value.len() as u8);
        [&[tag, 0, name_length], name.as_bytes(), &[0, value_length], value.as_bytes()].concat()
    };
    // The version, successful-ok, and the number of the request.
    let head = [&request[..2], &[0, 0], &request[4..8]].concat();
    [
        head,
        vec![1],
        attribute(0x47, "attributes-charset", "utf-8"),
        attribute(0x48, "attributes-natural-language", "en"),
        vec![4],
        attribute(0x42, "printer-name", "inside"),
        vec![3],
    ]
    .concat()
}
