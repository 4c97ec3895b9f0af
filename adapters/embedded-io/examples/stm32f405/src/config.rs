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
#[derive(Clone, Copy, Debug, Default)]
pub struct Config<'a> {
    /// The authority that certifies the server: its certificate, DER. With the feature `pinned` the
    /// SHA-256 of the server's SubjectPublicKeyInfo.
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
    pub fn read(block: &'a [u8]) -> Result<Self, Error> {
        let mut rest = block.strip_prefix(b"starttls-device 1\n").ok_or(Error::Missing)?;
        let mut config = Self { tries: 1, patience: 300, ..Self::default() };
        let (mut seen, mut mode) = (0_u32, "");
        while !rest.starts_with(b"end\n") {
            let (name, length, value);
            (name, rest) = split(rest, b' ')?;
            (length, rest) = split(rest, b'\n')?;
            let length = number(text(length)?)? as usize;
            (value, rest) = rest.split_at_checked(length).ok_or(Error::Malformed)?;
            rest = rest.strip_prefix(b"\n").ok_or(Error::Malformed)?;
            let bit = match name {
                b"anchor" => set(&mut config.anchor, value, 0),
                b"attachment" => set(&mut config.attachment, value, 1),
                b"dial" => set(&mut config.dial, text(value)?, 2),
                b"server" => set(&mut config.server, text(value)?, 3),
                b"mode" => set(&mut mode, text(value)?, 4),
                b"name" => set(&mut config.name, text(value)?, 5),
                b"user" => set(&mut config.user, text(value)?, 6),
                b"password" => set(&mut config.password, text(value)?, 7),
                b"from" => set(&mut config.from, text(value)?, 8),
                b"to" => set(&mut config.to, text(value)?, 9),
                b"tries" => set(&mut config.tries, number(text(value)?)?, 10),
                b"patience" => set(&mut config.patience, number(text(value)?)?, 11),
                b"since" => set(&mut config.since, number(text(value)?)?, 12),
                _ => return Err(Error::Malformed),
            };
            if seen & bit != 0 {
                return Err(Error::Malformed);
            }
            seen |= bit;
        }
        config.implicit = match mode {
            "implicit" => true,
            "" | "starttls" => false,
            _ => return Err(Error::Malformed),
        };
        let needed = [config.dial, config.server, config.name, config.from, config.to];
        match needed.contains(&"") || config.anchor.is_empty() {
            true => Err(Error::Incomplete),
            false => Ok(config),
        }
    }
}

fn set<T>(field: &mut T, value: T, bit: u32) -> u32 {
    *field = value;
    1 << bit
}

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
