//! The exchange of a mail over a session, with a server whose TLS is honest and whose words are not;
//! perhaps it is not the server that was meant.

use starttls::Error;
use starttls::error::TlsError;
use starttls::negotiate::Client;
use starttls::session::RECEIVE_BUFFER;
use starttls::submission::{Exchange, ExchangeStep, Outcome};
use starttls_tests::table::Machine;

use crate::session::{Case, FRAGMENTS, Ours, Peer};
use crate::submission::{self, framed};

/// Plays one input of the fuzzer, and tells what it came to.
///
/// It is an octet of flags (1 and 2: which versions, or any certificate; 4 and 8: what is wrong with
/// the server's; from 16 on the size of its records), and then an input of the target `submission`.
///
/// # Panics
/// If any of this does not hold: every call makes progress, and errors stick; a server whose
/// certificate is not accepted is told nothing, and one whose certificate is accepted unseen no
/// credentials; a message that went out whole is not reported as not sent, and one that did not is
/// neither delivered nor in doubt.
pub fn run(data: &[u8]) -> Option<String> {
    let [flags, rest @ ..] = data else { return None };
    if rest.len() < 2 {
        return None;
    }
    let tls = Case {
        version: usize::from(flags & 3) % 3,
        opportunistic: flags & 3 == 3,
        retry: false,
        wrong: usize::from(flags >> 2 & 3) % 3,
        upgrade: false,
        fragment: FRAGMENTS[usize::from(flags >> 4) % 6],
        input: RECEIVE_BUFFER,
        output: 4096,
    };
    starttls_tests::fixed::rewind();
    let case = submission::Case::new(rest);
    let (session, peer) = Client::meet(&tls);
    let exchange = Exchange::new(session, case.submission());
    let mut talk = Talk { case: &case, exchange, peer, turns: 0, said: 0, given: 0, over: false };
    let end = talk.play();
    Some(talk.finish(&tls, end))
}

struct Talk<'c, 'a> {
    case: &'c submission::Case<'a>,
    exchange: Exchange<'static, Machine<Client>, Vec<u8>, Vec<u8>>,
    peer: Peer,
    /// The server's turns, and octets, and those of the message that the caller gave.
    turns: usize,
    said: usize,
    given: usize,
    over: bool,
}

impl Talk<'_, '_> {
    fn play(&mut self) -> Result<(), Error> {
        for _ in 0..1 << 20 {
            match self.exchange.process()? {
                ExchangeStep::Transmit => self.transmit(),
                ExchangeStep::NeedInput => self.listen(),
                ExchangeStep::Body => {
                    let rest = &self.case.message[self.given..];
                    let sizes = &self.case.pieces;
                    let piece = sizes[self.given % sizes.len()].max(1).min(rest.len());
                    match &rest[..piece] {
                        [] => self.exchange.end_body()?,
                        piece => self.given += self.exchange.body(piece)?,
                    }
                }
                ExchangeStep::Over => return Ok(()),
            }
        }
        panic!("no end in sight");
    }

    fn transmit(&mut self) {
        let session = self.exchange.session_mut();
        let octets = session.transmit().to_vec();
        assert!(!octets.is_empty(), "nothing to send");
        session.transmitted(octets.len()).expect("no more than there were");
        self.peer.take(&octets);
    }

    /// The server's next records, its next turn, or at last the end of the transport.
    fn listen(&mut self) {
        let octets = &self.case.octets[self.said..];
        if self.peer.front().is_empty() && !octets.is_empty() {
            let sizes = &self.case.turns;
            let turn = sizes.get(self.turns).copied().unwrap_or(usize::MAX).min(octets.len());
            self.peer.say(&octets[..turn]);
            self.turns += 1;
            self.said += turn;
            if turn > 0 && self.peer.front().is_empty() {
                // Its TLS is over, or not there yet, and waits for us in vain.
                self.said = self.case.octets.len();
            }
            return;
        }
        let n = self.case.reads[self.said % self.case.reads.len()].max(1);
        let n = n.min(self.peer.front().len());
        assert!(n > 0 || !self.over, "it waits for more behind the end");
        self.over |= n == 0;
        let session = self.exchange.session_mut();
        session.spare_mut()[..n].copy_from_slice(&self.peer.front()[..n]);
        session.received(n).expect("there is room");
        self.peer.skip(n);
    }

    fn finish(mut self, tls: &Case, end: Result<(), Error>) -> String {
        if let Err(error) = end {
            assert_eq!(self.exchange.process(), Err(error));
            assert_eq!(self.exchange.body(b"x"), Err(error));
        }
        let octets = self.exchange.session().transmit().to_vec();
        self.peer.take(&octets);
        let read = &self.peer.read;
        let logs_in = (1..3).contains(&self.case.login);
        if tls.wrong != 0 && (logs_in || !tls.opportunistic) {
            assert!(read.is_empty(), "words to a stranger: {}", read.escape_ascii());
            let why = if tls.wrong == 1 { TlsError::UnknownIssuer } else { TlsError::WrongName };
            match tls.opportunistic {
                true => assert_eq!(end, Err(Error::Unauthenticated(why))),
                false => assert_eq!(end, Err(Error::Tls(why))),
            }
        }
        let dots = contains(read, b"\r\nDATA\r\n");
        let head = if dots { &b"\r\nDATA\r\n"[..] } else { b" LAST\r\n" };
        let complete = contains(read, &[head, &framed(self.case.message, dots)].concat());
        let report = self.exchange.into_report();
        assert_eq!(report.recipients.len(), self.case.to.len());
        let mut count = [0; 4];
        for outcome in &report.recipients {
            count[match outcome {
                Outcome::NotSent => 0,
                Outcome::Delivered(said) => {
                    assert!((200..300).contains(&said.code));
                    1
                }
                Outcome::Refused(said) => {
                    assert!((400..600).contains(&said.code));
                    2
                }
                Outcome::Unknown => 3,
                Outcome::Waiting => panic!("nobody is waited for any more"),
            }] += 1;
        }
        let [not_sent, delivered, _, unknown] = count;
        assert!(complete || delivered + unknown == 0, "it did not go out: {report:?}");
        assert!(unknown == 0 || end.is_err(), "no doubt where all went well: {report:?}");
        let empty = self.case.message.is_empty();
        assert!(empty || !complete || not_sent == 0, "it went out: {report:?}");
        format!("{} {delivered}", starttls_tests::play::name(end))
    }
}

fn contains(octets: &[u8], what: &[u8]) -> bool {
    octets.windows(what.len()).any(|window| window == what)
}

/// Seeds: those of `submission`, with servers of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = [0, 1, 2, 3, 3 | 4, 3 | 8, 4, 8, 2 | 16, 1 | 48];
    let seeds = submission::seeds().into_iter().zip(kinds.into_iter().cycle());
    seeds.map(|(seed, kind)| [&[kind], &seed[..]].concat()).collect()
}
