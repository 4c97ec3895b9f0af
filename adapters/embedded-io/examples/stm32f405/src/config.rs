//! What a device is provisioned with: a block in the last sector of the flash, written apart from
//! the firmware, so that one firmware serves all devices. The script `provision` makes one.
//!
//! ```text
//! starttls-device 1 LF
//! NAME SP LENGTH LF OCTETS LF     for each value, at most once
//! end LF
//! ```

#[cfg(target_os = "none")]
#[expect(unsafe_code, reason = "the sector is a symbol")]
fn sector() -> &'static [u8] {
    unsafe extern "C" {
        static _config: u8;
        static _config_end: u8;
    }
    let (start, end) = (&raw const _config, &raw const _config_end);
    // SAFETY: the symbols are the borders of a region of the flash (memory.x), which nothing here
    // writes.
    unsafe { core::slice::from_raw_parts(start, end.offset_from_unsigned(start)) }
}

/// Why a configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// There is none.
    Missing,
    /// It breaks the format, or is cut short.
    Malformed,
    /// It lacks a value without which no mail can be sent.
    Incomplete,
}

/// A device's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The authority that certifies the server: its certificate, DER. With the feature `pinned`, and
    /// by embedded-tls, the SHA-256 of the server's SubjectPublicKeyInfo.
    pub anchor: &'a [u8],
    /// What the modem dials, behind `ATD`.
    pub dial: &'a str,
    /// The name that the server has to prove.
    pub server: &'a str,
    /// TLS from the first octet, in place of STARTTLS (`mode`: `implicit` or `starttls`).
    pub implicit: bool,
    /// What the device calls itself.
    pub name: &'a str,
    /// The user to log in as; nobody if it is empty.
    pub user: &'a str,
    /// The user's password.
    pub password: &'a str,
    /// The sender's address.
    pub from: &'a str,
    /// The recipient's address.
    pub to: &'a str,
    /// What is attached.
    pub attachment: &'a [u8],
    /// How often a mail is tried; once unless said.
    pub tries: u32,
    /// How long dialling, and then the session, may take, in seconds; 300 unless said.
    pub patience: u32,
    /// When the device was provisioned, in seconds since 1970: a clock before that was never set.
    pub since: u32,
}

#[cfg(target_os = "none")]
impl Config<'static> {
    /// That of this device.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load() -> Result<Self, Error> {
        Self::read(sector())
    }
}

impl<'a> Config<'a> {
    /// Reads a block; what is behind its end is ignored.
    ///
    /// # Errors
    /// See [`Error`].
    // Not on the stack while TLS needs that.
    #[inline(never)]
    pub fn read(block: &'a [u8]) -> Result<Self, Error> {
        let mut rest = block.strip_prefix(b"starttls-device 1\n").ok_or(Error::Missing)?;
        let mut values: [Option<&[u8]>; NAMES.len()] = [None; NAMES.len()];
        while !rest.starts_with(b"end\n") {
            let (name, length, value);
            (name, rest) = split(rest, b' ')?;
            (length, rest) = split(rest, b'\n')?;
            let length = number(text(length)?)? as usize;
            (value, rest) = rest.split_at_checked(length).ok_or(Error::Malformed)?;
            rest = rest.strip_prefix(b"\n").ok_or(Error::Malformed)?;
            let known = NAMES.iter().position(|known| known.as_bytes() == name);
            if values[known.ok_or(Error::Malformed)?].replace(value).is_some() {
                return Err(Error::Malformed);
            }
        }
        let mut texts = [""; TEXTS];
        for (place, value) in texts.iter_mut().zip(values) {
            *place = text(value.unwrap_or_default())?;
        }
        let mut numbers = [1, 300, 0];
        for (place, value) in numbers.iter_mut().zip(&values[TEXTS..]) {
            if let Some(value) = value {
                *place = number(text(value)?)?;
            }
        }
        let [dial, server, name, from, to, mode, user, password] = texts;
        let [tries, patience, since] = numbers;
        let [.., anchor, attachment] = values.map(Option::unwrap_or_default);
        let implicit = match mode {
            "implicit" => true,
            "" | "starttls" => false,
            _ => return Err(Error::Malformed),
        };
        match texts[..NEEDED].contains(&"") || anchor.is_empty() {
            true => Err(Error::Incomplete),
            false => Ok(Self {
                anchor,
                dial,
                server,
                implicit,
                name,
                user,
                password,
                from,
                to,
                attachment,
                tries,
                patience,
                since,
            }),
        }
    }
}

/// The values: [`TEXTS`] texts, of which the first [`NEEDED`] may not be missing; numbers; octets.
const NAMES: [&str; 13] = [
    "dial",
    "server",
    "name",
    "from",
    "to",
    "mode",
    "user",
    "password",
    "tries",
    "patience",
    "since",
    "anchor",
    "attachment",
];
const NEEDED: usize = 5;
const TEXTS: usize = 8;

/// What is before the first `end`, and behind it.
fn split(octets: &[u8], end: u8) -> Result<(&[u8], &[u8]), Error> {
    // Names and numbers are short: in a block that is cut, what follows is not searched through.
    let at = octets.iter().take(16).position(|&octet| octet == end).ok_or(Error::Malformed)?;
    Ok((&octets[..at], &octets[at + 1..]))
}

fn text(octets: &[u8]) -> Result<&str, Error> {
    core::str::from_utf8(octets).map_err(|_| Error::Malformed)
}

fn number(digits: &str) -> Result<u32, Error> {
    digits.parse().map_err(|_| Error::Malformed)
}
