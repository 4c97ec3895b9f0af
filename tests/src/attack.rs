//! Attacks as data: `tests/attacks/*.txt`, played at every split point.
//!
//! ```text
//! # protocols: smtp, lmtp            each case is played for each of them
//! # client: client.example.org
//! # $hello: smtp=EHLO lmtp=LHLO      `$hello` in a line stands for one or the other
//!
//! == a reply behind the go-ahead (CVE-2021-38371)
//! to: client                         who is attacked
//! S: 220 x                           what the attacker says; lines that follow each other are
//! C: $hello client.example.org       sent at once, what our side says is awaited and compared
//! S: 250 x
//! C: STARTTLS
//! S: 220 go\r\n250 AUTH PLAIN
//! end: PeerMisbehaved(BytesAfterUpgrade)
//! split: Ready                       an end that other reads of the same octets may come to
//! ```
//!
//! Further lines of a case: `--` waits for our side where it has nothing to say;
//! `policy: plaintext`; and `then C: …` for what our side says besides under other splits. Over
//! all splits, the ends seen are exactly those that `end` and `split` name: no more, no fewer.

use std::collections::BTreeSet;

use starttls::Error;
use starttls::error::{Misuse, RefusalKind};
use starttls::negotiate::{Client, Residue, Server};

use crate::dialogue::{Exchange, Setting, Speaker, files, header, join, said};
use crate::play::{Idle, Played, Run, play};
use crate::table::{Entry, Role};

/// One attack on one protocol.
#[derive(Clone, Debug)]
pub struct Attack {
    /// File, title and protocol.
    pub title: String,
    /// The protocol attacked.
    pub protocol: String,
    /// Who is attacked.
    pub to: Speaker,
    /// Whether the caller allows plaintext.
    pub plaintext: bool,
    /// What the attacker says, and what our side says when each turn comes whole.
    pub exchange: Exchange,
    /// What our side says besides under other splits.
    pub then: Vec<u8>,
    /// How it ends when each turn comes whole.
    pub end: String,
    /// Further ends under other splits.
    pub splits: Vec<String>,
    /// What machines are made from.
    pub setting: &'static Setting,
}

impl Attack {
    /// Every case of `tests/attacks`, for every protocol it names.
    ///
    /// # Panics
    /// If a file does not follow the format.
    pub fn all() -> Vec<Self> {
        let parse = |(name, text): (String, String)| parse(&name, &text);
        files("attacks").into_iter().flat_map(|file| parse(file).expect("attacks")).collect()
    }

    /// Plays it whole and at every split point; says how many runs that were.
    ///
    /// # Errors
    /// Where our side sends other octets, or ends in another way, than the case says.
    ///
    /// # Panics
    /// If our side breaks the contract.
    pub fn check(&self) -> Result<usize, String> {
        let runs = match self.to {
            Speaker::Client => self.check_role::<Client>(),
            Speaker::Server => self.check_role::<Server>(),
        };
        runs.map_err(|wrong| format!("{}: {wrong}", self.title))
    }

    fn check_role<S: Role>(&self) -> Result<usize, String> {
        let entry = S::entry(&self.protocol).expect("a protocol of the table");
        let whole = self.play(entry, Run::default());
        let (said, expected) = (text(&whole.ours()), text(&self.exchange.ours));
        if said != expected || whole.end_name() != self.end {
            return Err(format!("said {said:?}, not {expected:?}; {}", whole.end_name()));
        }
        let mut ends = BTreeSet::from([self.end.clone()]);
        let (least, mut longest, mut runs) = (self.exchange.ours.concat(), 0, 1);
        let most = [&least[..], &self.then].concat();
        for run in Run::splits(&self.exchange.peer) {
            let split = self.play(entry, run.clone());
            if !split.sent.starts_with(&least) || !most.starts_with(&split.sent) {
                return Err(format!("{run:?} said {}", split.sent.escape_ascii()));
            }
            split.agrees(&whole, &(&self.title, &run));
            longest = longest.max(split.sent.len());
            ends.insert(split.end_name());
            runs += 1;
        }
        let named = self.splits.iter().chain([&self.end]).cloned().collect::<BTreeSet<_>>();
        if ends != named || longest != most.len() {
            return Err(format!(
                "ends seen {ends:?}, ends named {named:?}; at most {longest} octets said"
            ));
        }
        Ok(runs)
    }

    /// Plays it in one way, and checks whether plaintext may follow.
    ///
    /// # Panics
    /// If our side breaks the contract.
    pub fn play<S: Role>(&self, entry: &Entry<S>, run: Run) -> Played {
        let machine = (entry.new)(self.setting).expect("good names");
        let run = Run { plaintext: self.plaintext, ..run };
        let played = play(machine, entry.again, &self.exchange.peer, &run);
        match played.end {
            Ok(()) => assert!(entry.residue == Residue::Tls || played.residue.is_empty()),
            Err(Error::PeerRefused(why)) if self.plaintext && why.kind != RefusalKind::Service => {
                assert_eq!(played.plaintext, Ok(why), "{}", self.title);
            }
            Err(error) => {
                let fallback =
                    if self.plaintext { error } else { Misuse::PlaintextNotAllowed.into() };
                assert_eq!(played.plaintext, Err(fallback), "{}", self.title);
            }
        }
        played
    }

    /// Plays it whole to a caller who goes on in plaintext after any error. What the caller got to
    /// read, or the error.
    ///
    /// # Errors
    /// Where plaintext is not allowed, by the caller's own word or by the way it ended.
    ///
    /// # Panics
    /// If the protocol is not in the table.
    pub fn into_plaintext(&self) -> Result<Vec<u8>, Error> {
        let peer = &self.exchange.peer;
        let run = Run { idle: Idle::Plaintext, plaintext: self.plaintext, ..Run::default() };
        let played = match self.to {
            Speaker::Client => {
                let entry = Client::entry(&self.protocol).expect("a protocol of the table");
                play((entry.new)(self.setting).expect("good names"), entry.again, peer, &run)
            }
            Speaker::Server => {
                let entry = Server::entry(&self.protocol).expect("a protocol of the table");
                play((entry.new)(self.setting).expect("good names"), entry.again, peer, &run)
            }
        };
        played.end.map(|()| played.residue)
    }
}

/// Turns, readable; without empty ones at the end.
fn text(turns: &[Vec<u8>]) -> Vec<String> {
    let last = turns.iter().rposition(|turn| !turn.is_empty()).map_or(0, |last| last + 1);
    turns[..last].iter().map(|octets| octets.escape_ascii().to_string()).collect()
}

/// The cases of one file.
fn parse(file: &str, text: &str) -> Result<Vec<Attack>, String> {
    let (head, cases) = text.split_once("\n== ").ok_or(format!("{file}: no case"))?;
    let mut setting = Setting::default();
    if let Some(line) = head.lines().find(|line| !header(line, &mut setting)) {
        return Err(format!("{file}: {line}"));
    }
    let setting = setting.leak();
    let protocols = setting.list("protocols");
    if protocols.is_empty() {
        return Err(format!("{file}: no protocols"));
    }
    let mut attacks = Vec::new();
    for text in cases.split("\n== ") {
        for protocol in protocols {
            attacks.push(case(file, text, protocol, setting)?);
        }
    }
    Ok(attacks)
}

fn case(
    file: &str,
    text: &str,
    protocol: &str,
    setting: &'static Setting,
) -> Result<Attack, String> {
    let text = substitute(text, protocol, setting);
    let (title, lines) = text.split_once('\n').unwrap_or((&text, ""));
    let title = format!("{file}: {title} [{protocol}]");
    let (mut to, mut end, mut plaintext) = (None, None, false);
    let (mut turns, mut then, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("##")) {
        match line.split_once(": ") {
            Some(("to", "client")) => to = Some(Speaker::Client),
            Some(("to", "server")) => to = Some(Speaker::Server),
            Some(("policy", "plaintext")) => plaintext = true,
            Some(("end", name)) if end.is_none() => end = Some(name.to_owned()),
            Some(("split", name)) => splits.push(name.to_owned()),
            _ if line == "--" => {
                turns.push((to.ok_or(format!("{title}: no `to:`"))?, Vec::new()));
            }
            _ => match line.strip_prefix("then ") {
                Some(line) => then.extend(said(line).ok_or(format!("{title}: {line}"))?.1),
                None => {
                    let (speaker, octets) = said(line).ok_or(format!("{title}: {line}"))?;
                    join(&mut turns, speaker, octets);
                }
            },
        }
    }
    let to = to.ok_or(format!("{title}: no `to:`"))?;
    let end = end.ok_or(format!("{title}: no `end:`"))?;
    let (exchange, protocol) = (Exchange::new(&turns, to), protocol.to_owned());
    Ok(Attack { title, protocol, to, plaintext, exchange, then, end, splits, setting })
}

/// Puts the protocol's own words in.
fn substitute(text: &str, protocol: &str, setting: &Setting) -> String {
    let mut text = text.to_owned();
    for (key, words) in setting.iter().filter(|(key, _)| key.starts_with('$')) {
        for word in words.split_whitespace() {
            if let Some((_, word)) = word.split_once('=').filter(|(of, _)| *of == protocol) {
                text = text.replace(key, word);
            }
        }
    }
    text
}
