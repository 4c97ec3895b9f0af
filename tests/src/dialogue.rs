//! Dialogues as data: `tests/dialogues/*.txt`.
//!
//! ```text
//! # title: what a reader would call it
//! # source: RFC 3207 §5
//! # protocol: smtp
//! # client: mail.example.com          any key: the table's constructors read what they need
//! ## a remark
//! S: 220 mail.imc.org SMTP service ready
//! C: EHLO mail.example.com
//! <TLS>
//! C: EHLO mail.example.com
//! ```
//!
//! A line ends in CR LF, which is not written; a lone `\` at its end says that it does not.
//! Escapes are `\xNN`, `\r`, `\n`, `\t`, `\\`, and `\{2040*x}` for 2040 times `x`. Lines of one
//! speaker that follow each other are one turn; where the speaker changes, the other side waits.
//! With `# crossing:` both speak first, and the order of their words is left open.
//! What stands behind `<TLS>` is kept for those who play it over a real channel. With an `A:` line,
//! which is what the client's application says once the channel is its own, it is also a dialogue
//! by itself, of the protocol `NAME-inside`, which ends at that line; `# inside: KEY=VALUE` changes
//! a key for it. Where a server's machine reads no more than the front of it, `A:` is that front.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// `C:`
    Client,
    /// `S:`
    Server,
}

impl Speaker {
    /// The other one.
    pub fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// The `# key: value` lines of a file: what machines are made from.
#[derive(Clone, Debug, Default)]
pub struct Setting(Vec<Pair>);

#[derive(Clone, Debug)]
struct Pair {
    key: String,
    value: String,
    items: OnceLock<Vec<&'static str>>,
    octets: OnceLock<Vec<u8>>,
}

impl Setting {
    /// The value of `key`, or an empty text.
    pub fn value(&self, key: &str) -> &str {
        self.0.iter().find(|pair| pair.key == key).map_or("", |pair| &pair.value)
    }

    /// The values of `key`, which commas part.
    pub fn list(&'static self, key: &str) -> &'static [&'static str] {
        let Some(pair) = self.0.iter().find(|pair| pair.key == key) else { return &[] };
        let items = || pair.value.split(',').map(str::trim).filter(|item| !item.is_empty());
        pair.items.get_or_init(|| items().collect())
    }

    /// The same with another value for `key`.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut setting = Self::default();
        setting.push(key, value);
        setting.0.extend(self.0.iter().filter(|pair| pair.key != key).cloned());
        setting
    }

    /// All keys and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|pair| (pair.key.as_str(), pair.value.as_str()))
    }

    /// Machines borrow their names for as long as the test program runs.
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// The value of `key` with its escapes.
    pub fn octets(&'static self, key: &str) -> &'static [u8] {
        let Some(pair) = self.0.iter().find(|pair| pair.key == key) else { return &[] };
        pair.octets.get_or_init(|| unescape(&pair.value).expect("octets"))
    }

    fn push(&mut self, key: &str, value: &str) {
        let (key, value) = (key.trim().to_owned(), value.to_owned());
        self.0.push(Pair { key, value, items: OnceLock::new(), octets: OnceLock::new() });
    }
}

/// Reads the next `# key: value` line into a setting; `##` begins a remark.
pub(crate) fn header(line: &str, setting: &mut Setting) -> bool {
    match line.strip_prefix('#') {
        Some(rest) => {
            if let Some((key, value)) = rest.split_once(':').filter(|_| !rest.starts_with('#')) {
                setting.push(key, value.trim());
            }
            true
        }
        None => line.trim().is_empty(),
    }
}

/// One dialogue.
#[derive(Debug)]
pub struct Dialogue {
    /// The file's name.
    pub file: String,
    /// Its header.
    pub setting: &'static Setting,
    /// The plaintext part, a turn each.
    before: Vec<(Speaker, Vec<u8>)>,
    /// What follows the hand-over, a line each.
    after: Vec<(Speaker, Vec<u8>)>,
    /// How many of these lines it takes until the channel is the application's.
    opening: usize,
}

impl Dialogue {
    /// Reads one file.
    ///
    /// # Errors
    /// The line that does not follow the format.
    pub fn parse(file: &str, text: &str) -> Result<Self, String> {
        let (mut setting, mut tls) = (Setting::default(), false);
        let (mut before, mut after, mut opening) = (Vec::new(), Vec::new(), 0);
        for line in text.lines() {
            if header(line, &mut setting) {
            } else if line == "<TLS>" && !tls {
                tls = true;
            } else if let Some(line) = line.strip_prefix("A: ").filter(|_| tls) {
                setting.push("application", line);
                let octets = unescape(line).ok_or_else(|| format!("{file}: {line}"))?;
                after.push((Speaker::Client, octets));
                opening = after.len();
            } else {
                let (speaker, octets) = said(line).ok_or_else(|| format!("{file}: {line}"))?;
                if tls {
                    after.push((speaker, octets));
                } else {
                    join(&mut before, speaker, octets);
                }
            }
        }
        if !tls {
            return Err(format!("{file}: no <TLS>"));
        }
        Ok(Self { file: file.to_owned(), setting: setting.leak(), before, after, opening })
    }

    /// Every file of `tests/dialogues`, by name.
    ///
    /// # Panics
    /// If one cannot be read.
    pub fn all() -> Vec<Self> {
        let parse = |(name, text): (String, String)| Self::parse(&name, &text);
        let all = files("dialogues").into_iter().map(|file| parse(file).expect("a dialogue"));
        all.flat_map(|dialogue| {
            let inside = dialogue.inside();
            let only = inside.is_some() && dialogue.before.is_empty();
            inside.into_iter().chain((!only).then_some(dialogue))
        })
        .collect()
    }

    /// What stands behind `<TLS>` as a dialogue of its own, if it goes on to the application.
    fn inside(&self) -> Option<Self> {
        if self.setting.value("application").is_empty() {
            return None;
        }
        let mut setting = self.setting.with("protocol", &format!("{}-inside", self.protocol()));
        if let Some((key, value)) = self.setting.value("inside").split_once('=') {
            setting = setting.with(key, value);
        }
        let mut before = Vec::new();
        for (speaker, octets) in self.after.iter().take(self.opening) {
            join(&mut before, *speaker, octets.clone());
        }
        let file = format!("{}-inside", self.file);
        Some(Self { file, setting: setting.leak(), before, after: Vec::new(), opening: 0 })
    }

    /// The dialogues of `protocol`.
    pub fn of(protocol: &str) -> Vec<Self> {
        Self::all().into_iter().filter(|dialogue| dialogue.protocol() == protocol).collect()
    }

    /// The protocol spoken.
    pub fn protocol(&self) -> &'static str {
        self.setting.value("protocol")
    }

    /// Whether it was recorded from a real server.
    pub fn is_recorded(&self) -> bool {
        let source = self.setting.value("source");
        source == "as the server speaks it" || source.starts_with("recorded from ")
    }

    /// One side's words as they are compared: turn by turn, but in one where both speak first.
    pub fn compared(&self, turns: &[Vec<u8>]) -> Vec<Vec<u8>> {
        match self.setting.value("crossing") {
            "" => turns.to_vec(),
            _ => vec![turns.concat()],
        }
    }

    /// The plaintext part as the other side of `speaker` sees it.
    pub fn exchange(&self, speaker: Speaker) -> Exchange {
        Exchange::new(&self.before, speaker)
    }

    /// What is said inside TLS, line by line, the line ends included.
    pub fn after_tls(&self) -> impl Iterator<Item = (Speaker, &[u8])> {
        self.after.iter().map(|(speaker, octets)| (*speaker, octets.as_slice()))
    }
}

/// A dialogue, from one side.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What the peer says, a turn each.
    pub peer: Vec<Vec<u8>>,
    /// What our side says before each of the peer's turns, and behind the last.
    pub ours: Vec<Vec<u8>>,
}

impl Exchange {
    pub(crate) fn new(turns: &[(Speaker, Vec<u8>)], ours: Speaker) -> Self {
        let mut exchange = Self { peer: Vec::new(), ours: vec![Vec::new()] };
        for (speaker, octets) in turns {
            if *speaker == ours {
                exchange.ours.last_mut().expect("never empty").extend(octets);
            } else {
                exchange.peer.push(octets.clone());
                exchange.ours.push(Vec::new());
            }
        }
        exchange
    }
}

/// Adds a line to the turns: to the last one where the speaker is the same.
pub(crate) fn join(turns: &mut Vec<(Speaker, Vec<u8>)>, speaker: Speaker, octets: Vec<u8>) {
    match turns.last_mut() {
        Some((last, turn)) if *last == speaker => turn.extend(octets),
        _ => turns.push((speaker, octets)),
    }
}

/// `C: …` or `S: …`, or `C*20: …` for twenty such lines.
pub(crate) fn said(line: &str) -> Option<(Speaker, Vec<u8>)> {
    let (who, text) = line.split_once(':')?;
    let (who, times) = match who.split_once('*') {
        Some((who, times)) => (who, times.parse().ok()?),
        None => (who, 1),
    };
    let speaker = match who {
        "C" => Speaker::Client,
        "S" => Speaker::Server,
        _ => return None,
    };
    Some((speaker, unescape(text.strip_prefix(' ').unwrap_or(text))?.repeat(times)))
}

/// The octets of a line as written in a file.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let (mut octets, mut rest) = (Vec::new(), text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        octets.extend(plain.as_bytes());
        let Some(kind) = escape.chars().next() else { return Some(octets) };
        rest = &escape[kind.len_utf8()..];
        match kind {
            'r' => octets.push(b'\r'),
            'n' => octets.push(b'\n'),
            't' => octets.push(b'\t'),
            '\\' => octets.push(b'\\'),
            'x' => {
                octets.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                rest = &rest[2..];
            }
            '{' => {
                let (inner, behind) = rest.split_once('}')?;
                let (times, what) = inner.split_once('*')?;
                octets.extend(what.as_bytes().repeat(times.parse().ok()?));
                rest = behind;
            }
            _ => return None,
        }
    }
    octets.extend(rest.as_bytes());
    octets.extend(b"\r\n");
    Some(octets)
}

/// The `.txt` files of a folder of this crate, by name.
pub(crate) fn files(folder: &str) -> Vec<(String, String)> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|path| path.join(folder));
    let path = { above }.find(|path| path.is_dir()).unwrap_or_else(|| panic!("no {folder}"));
    let mut files: Vec<_> = fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.expect("a folder's entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a text in UTF-8");
            (path.file_stem().expect("a name").to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_octets() {
        assert_eq!(unescape("220 go"), Some(b"220 go\r\n".to_vec()));
        assert_eq!(unescape("220 go\\"), Some(b"220 go".to_vec()));
        assert_eq!(unescape(r"\xff\r\n\t\\"), Some(b"\xff\r\n\t\\\r\n".to_vec()));
        assert_eq!(unescape(r"a\{3*bc}d\"), Some(b"abcbcbcd".to_vec()));
        assert_eq!(unescape(""), Some(b"\r\n".to_vec()));
        for bad in [r"\q", r"\x4", r"\xgg", r"\{3*a", r"\{a*a}"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_dialogue_has_two_sides() {
        let text = "# protocol: x\n## a: b\nS: a\nS: b\nC: c\nS: d\n<TLS>\nC: e\nC: f\n";
        let dialogue = Dialogue::parse("x", text).unwrap();
        assert_eq!((dialogue.protocol(), dialogue.setting.iter().count()), ("x", 1));
        let client = dialogue.exchange(Speaker::Client);
        assert_eq!(client.peer, [&b"a\r\nb\r\n"[..], b"d\r\n"]);
        assert_eq!(client.ours, [&b""[..], b"c\r\n", b""]);
        let server = dialogue.exchange(Speaker::Server);
        assert_eq!(server.peer, [&b"c\r\n"[..]]);
        assert_eq!(server.ours, [&b"a\r\nb\r\n"[..], b"d\r\n"]);
        let after: Vec<_> = dialogue.after_tls().collect();
        assert_eq!(after, [(Speaker::Client, &b"e\r\n"[..]), (Speaker::Client, b"f\r\n")]);
        assert!(dialogue.inside().is_none());
        let text = text.replace("C: e", "S: e\nA: a\\").replace("C: f", "C: f\nS: f");
        let dialogue = Dialogue::parse("x", &text).unwrap();
        assert_eq!(dialogue.after_tls().count(), 4);
        let inside = dialogue.inside().unwrap();
        assert_eq!(
            (inside.protocol(), inside.setting.octets("application")),
            ("x-inside", &b"a"[..])
        );
        assert_eq!(inside.exchange(Speaker::Server).peer, [&b"a"[..]]);
        assert_eq!(inside.exchange(Speaker::Client).peer, [&b"e\r\n"[..]]);
        assert!(Dialogue::parse("x", "S: a\n").is_err());
        assert!(Dialogue::parse("x", "T: a\n<TLS>\n").is_err());
    }
}
