//! PostgreSQL's protocol 3.0, with one query.

use std::io;

use super::script::{Inside, unknown};
use crate::peers::PASSWORD;

/// AuthenticationCleartextPassword.
pub const ASK: &[u8] = b"R\0\0\0\x08\0\0\0\x03";

/// AuthenticationOk, the version, BackendKeyData, ReadyForQuery.
pub const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0016.0\0\
    S\0\0\0\x19client_encoding\0UTF8\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x07Z\0\0\0\x05I";

/// RowDescription of one text, DataRow, CommandComplete, ReadyForQuery.
pub const ROW: &[u8] =
    b"T\0\0\0\x1e\0\x01where\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0\
    D\0\0\0\x10\0\x01\0\0\0\x06insideC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

/// Asks for the password, and answers `select 1`.
pub(super) fn postgresql(channel: &mut Inside<'_>) -> io::Result<bool> {
    let startup = content(channel)?;
    let (version, parameters) = startup.split_at_checked(4).ok_or_else(|| unknown("a length"))?;
    let words = parameters.split(|&octet| octet == 0).map(String::from_utf8_lossy);
    let words: Vec<_> = words.take(4).collect();
    channel.hear(format!("{version:?} {}", words.join(" ")));
    channel.say(ASK)?;
    loop {
        let kind = channel.octet()?;
        let said = content(channel)?;
        let said = String::from_utf8_lossy(&said);
        let words = said.trim_end_matches('\0');
        channel.hear(format!("{} {words}", char::from(kind)).trim_end());
        match (kind, said.strip_suffix('\0')) {
            (b'p', Some(PASSWORD)) => channel.say(LET_IN)?,
            (b'Q', Some("select 1")) => channel.say(ROW)?,
            (b'X', None) => return Ok(true),
            _ => return Err(unknown(&said)),
        }
    }
}

/// A length that counts itself, and what it is of.
fn content(channel: &mut Inside<'_>) -> io::Result<Vec<u8>> {
    let length = channel.octets(4)?;
    let length = length.iter().fold(0, |sum, &octet| sum << 8 | usize::from(octet));
    channel.octets(length.checked_sub(4).ok_or_else(|| unknown("a length"))?)
}
