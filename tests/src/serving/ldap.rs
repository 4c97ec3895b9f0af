//! LDAP with one entry.

use std::io;

use super::script::{Inside, unknown};
use crate::peers::{PASSWORD, USER};

/// BindResponse (RFC 4511 §4.2.2): success.
pub const BOUND: &[u8] = b"\x61\x07\x0a\x01\0\x04\0\x04\0";

/// SearchResultEntry (§4.5.2): `dc=test`, whose `description` is `inside`.
pub const ENTRY: &[u8] =
    b"\x64\x24\x04\x07dc=test\x30\x19\x30\x17\x04\x0bdescription\x31\x08\x04\x06inside";

/// SearchResultDone: success.
pub const DONE: &[u8] = b"\x65\x07\x0a\x01\0\x04\0\x04\0";

/// An LDAPMessage of an operation (§4.1.1), as short as all here are.
pub fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    [&[0x30, operation.len() as u8 + 3, 2, 1, id], operation].concat()
}

/// Answers a simple bind and what is searched behind it.
pub(super) fn ldap(channel: &mut Inside<'_>) -> io::Result<bool> {
    let mut bound = false;
    loop {
        let head = channel.octets(2)?;
        let longer = channel.octets(octets_of_length(head[1]))?;
        let content = channel.octets(length(head[1], &longer))?;
        let mut rest = &content[..];
        let id = element(&mut rest)?.1;
        let (operation, mut content) = element(&mut rest)?;
        let &[id] = id else { return Err(unknown(&format!("{id:x?}"))) };
        let mut text = || Ok::<_, io::Error>(String::from_utf8_lossy(element(&mut content)?.1));
        match operation {
            0x60 => {
                let (version, name, password) = (text()?, text()?, text()?);
                bound = version == "\x03" && name == format!("cn={USER}") && password == PASSWORD;
                channel.hear(format!("{id} bind {name} {password}"));
                if !bound {
                    return Err(unknown("who is that?"));
                }
                channel.say(message(id, BOUND))?;
            }
            0x63 if bound => {
                channel.hear(format!("{id} search {}", text()?));
                channel.say([message(id, ENTRY), message(id, DONE)].concat())?;
            }
            0x42 => {
                channel.hear(format!("{id} unbind"));
                return Ok(true);
            }
            _ => return Err(unknown(&format!("operation {operation:x}"))),
        }
    }
}

/// The element at the front: its tag and what is in it.
fn element<'a>(rest: &mut &'a [u8]) -> io::Result<(u8, &'a [u8])> {
    let short = || unknown("a short element");
    let (&[tag, first], behind) = rest.split_first_chunk().ok_or_else(short)?;
    let (longer, behind) = behind.split_at_checked(octets_of_length(first)).ok_or_else(short)?;
    let (content, behind) = behind.split_at_checked(length(first, longer)).ok_or_else(short)?;
    *rest = behind;
    Ok((tag, content))
}

/// How many octets of the length follow its first (X.690 §8.1.3).
fn octets_of_length(first: u8) -> usize {
    usize::from(if first < 0x80 { 0 } else { first & 0x7f })
}

fn length(first: u8, longer: &[u8]) -> usize {
    match longer {
        [] => usize::from(first),
        _ => longer.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet)),
    }
}
