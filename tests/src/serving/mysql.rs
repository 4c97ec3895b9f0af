//! MySQL's protocol, with one query. It goes on from what the machine keeps: the sequence, the
//! flags and the nonce of the plaintext dialogue.

use std::io;

use starttls::protocol::mysql::Server;

use super::script::{Channel, unknown};
use crate::peers::{PASSWORD, native_password};

/// ER_ACCESS_DENIED_ERROR.
const DENIED: &[u8] = b"\x16\0\0\x03\xff\x15\x04#28000Access denied";

/// An OK packet, number 3.
pub const LET_IN: &[u8] = b"\x07\0\0\x03\0\0\0\x02\0\0\0";

/// One column, which is called `where` and is text of at most 6 octets; an end; one row; an end.
pub const ROW: &[u8] = b"\x01\0\0\x01\x01\
    \x1b\0\0\x02\x03def\0\0\0\x05where\0\x0c\x2d\0\x06\0\0\0\xfd\0\0\0\0\0\
    \x05\0\0\x03\xfe\0\0\x02\0\x07\0\0\x04\x06inside\x05\0\0\x05\xfe\0\0\x02\0";

/// Lets in who knows the password, and answers `select 1`.
pub(super) fn mysql(channel: &mut Channel<'_, Server<'_>>) -> io::Result<bool> {
    let (machine_flags, nonce) = (channel.machine().flags(), channel.machine().nonce());
    let expected = channel.machine().sequence();
    let (sequence, response) = packet(channel)?;
    let [a, b, c, d, rest @ ..] = &response[..] else { return Err(unknown("a short response")) };
    if sequence != expected || u32::from_le_bytes([*a, *b, *c, *d]) != machine_flags {
        return Err(unknown(&format!("{sequence}: {response:x?}")));
    }
    // The largest packet, the character set, 23 octets of nothing; then the user.
    let rest = rest.get(28..).ok_or_else(|| unknown("a short response"))?;
    let name = rest.split(|&octet| octet == 0).next().unwrap_or_default();
    let answer = native_password(PASSWORD, &nonce).map_err(io::Error::other)?;
    let knows = rest[name.len() + 1..].starts_with(&[&[20], &answer[..]].concat());
    channel.hear(format!(
        "{} {} the password",
        String::from_utf8_lossy(name),
        if knows { "knows" } else { "does not know" },
    ));
    if !knows {
        channel.say(DENIED)?;
        return Ok(true);
    }
    channel.say(LET_IN)?;
    loop {
        let (_, command) = packet(channel)?;
        let said = String::from_utf8_lossy(&command);
        channel.hear(&*said);
        match &*said {
            "\x03select 1" => channel.say(ROW)?,
            "\x01" => return Ok(true),
            _ => return Err(unknown(&said)),
        }
    }
}

fn packet(channel: &mut Channel<'_, Server<'_>>) -> io::Result<(u8, Vec<u8>)> {
    let head = channel.octets(4)?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    Ok((head[3], channel.octets(length as usize)?))
}
