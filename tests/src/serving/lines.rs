//! Applications of lines: IMAP, POP3, NNTP, ManageSieve, IRC, Telnet and XMPP.

use std::io;

use super::script::{Inside, unknown};

/// An application of lines: what it says to what it hears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    /// What it says first.
    pub(super) greeting: &'static str,
    /// Whether it does so after an upgrade, too.
    pub(super) again: bool,
    /// Whether each command has a tag in front, which stands for `TAG` in an answer.
    pub(super) tagged: bool,
    /// The lines, and their answers. The last one ends it.
    pub(super) answers: &'static [(&'static str, &'static str)],
}

impl Script {
    /// Plays it on a channel that was `upgraded`, or not; `false` if the client just leaves.
    pub(super) fn play(&self, upgraded: bool, channel: &mut Inside<'_>) -> io::Result<bool> {
        self.greet(upgraded, channel)?;
        while let Some(line) = channel.line()? {
            if !self.answer(&line, channel)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn greet(&self, upgraded: bool, channel: &mut Inside<'_>) -> io::Result<()> {
        match upgraded && !self.again {
            true => Ok(()),
            false => channel.say(self.greeting),
        }
    }

    /// Answers one line; `false` if that was the last.
    pub(super) fn answer(&self, line: &str, channel: &mut Inside<'_>) -> io::Result<bool> {
        let (tag, command) = match self.tagged {
            true => line.split_once(' ').ok_or_else(|| unknown(line))?,
            false => ("", line),
        };
        channel.hear(command);
        let known = self.answers.iter().position(|(known, _)| *known == command);
        let known = known.ok_or_else(|| unknown(line))?;
        channel.say(self.answers[known].1.replace("TAG", tag))?;
        Ok(known + 1 < self.answers.len())
    }
}

/// IMAP, with one mail.
pub(super) const IMAP: Script = Script {
    greeting: "* OK [CAPABILITY IMAP4rev1] inside\r\n",
    again: false,
    tagged: true,
    answers: &[
        ("CAPABILITY", "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nTAG OK done\r\n"),
        ("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "TAG OK logged in\r\n"),
        ("LOGIN alice secret", "TAG OK logged in\r\n"),
        ("LOGIN alice \"secret\"", "TAG OK logged in\r\n"),
        ("SELECT INBOX", "* 1 EXISTS\r\nTAG OK [READ-WRITE] selected\r\n"),
        (
            "FETCH 1 BODY[]",
            "* 1 FETCH (BODY[] {24}\r\nSubject: inside\r\n\r\nTLS\r\n)\r\nTAG OK fetched\r\n",
        ),
        (
            "FETCH 1 (BODY[])",
            "* 1 FETCH (BODY[] {24}\r\nSubject: inside\r\n\r\nTLS\r\n)\r\nTAG OK fetched\r\n",
        ),
        ("LOGOUT", "* BYE inside\r\nTAG OK done\r\n"),
    ],
};

/// POP3, with one mail.
pub(super) const POP3: Script = Script {
    greeting: "+OK inside\r\n",
    again: false,
    tagged: false,
    answers: &[
        ("CAPA", "+OK\r\nUSER\r\n.\r\n"),
        ("USER alice", "+OK\r\n"),
        ("PASS secret", "+OK logged in\r\n"),
        ("STAT", "+OK 1 24\r\n"),
        ("RETR 1", "+OK\r\nSubject: inside\r\n\r\nTLS\r\n.\r\n"),
        ("QUIT", "+OK bye\r\n"),
    ],
};

/// NNTP, with one article.
pub(super) const NNTP: Script = Script {
    greeting: "200 inside\r\n",
    again: false,
    tagged: false,
    answers: &[
        ("CAPABILITIES", "101\r\nVERSION 2\r\nREADER\r\nAUTHINFO USER\r\n.\r\n"),
        ("AUTHINFO USER alice", "381 password\r\n"),
        ("authinfo user alice", "381 password\r\n"),
        ("AUTHINFO PASS secret", "281 logged in\r\n"),
        ("authinfo pass secret", "281 logged in\r\n"),
        ("GROUP test", "211 1 1 1 test\r\n"),
        ("ARTICLE 1", "220 1 <1@test>\r\nSubject: inside\r\n\r\nTLS\r\n.\r\n"),
        ("QUIT", "205 bye\r\n"),
    ],
};

/// ManageSieve, whose capabilities come again (RFC 5804 §2.2).
pub(super) const MANAGESIEVE: Script = Script {
    greeting: "\"SASL\" \"PLAIN\"\r\nOK \"inside\"\r\n",
    again: true,
    tagged: false,
    answers: &[
        ("AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHNlY3JldA==\"", "OK \"logged in\"\r\n"),
        ("LISTSCRIPTS", "\"inside\" ACTIVE\r\nOK\r\n"),
        ("LOGOUT", "OK \"bye\"\r\n"),
    ],
};

/// IRC, up to the welcome.
pub(super) const IRC: Script = Script {
    greeting: "",
    again: false,
    tagged: false,
    answers: &[
        ("NICK alice", ""),
        ("USER alice 0 * :Alice", ":mail.test 001 alice :Welcome inside\r\n"),
        ("QUIT", "ERROR :bye\r\n"),
    ],
};

/// Telnet, with a prompt.
pub(super) const TELNET: Script = Script {
    greeting: "login: ",
    again: true,
    tagged: false,
    answers: &[("alice", "Password: "), ("secret", "\r\n$ "), ("exit", "bye\r\n")],
};

/// XMPP, a line each stanza: a client's login, or nothing but the stream of a server.
pub(super) const XMPP: Script = Script {
    greeting: "",
    again: false,
    tagged: false,
    answers: &[
        (
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             to='mail.test' version='1.0'>",
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             from='mail.test' id='2' version='1.0'><stream:features><mechanisms \
             xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
             </stream:features>",
        ),
        (
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             to='mail.test' from='client.test' version='1.0'>",
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
             from='mail.test' to='client.test' id='2' version='1.0'><stream:features/>",
        ),
        (
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==\
             </auth>",
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ),
        ("</stream:stream>", "</stream:stream>"),
    ],
};
