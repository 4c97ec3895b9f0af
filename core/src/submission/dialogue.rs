//! What is said, and when.
//!
//! Two cursors walk through the commands, one that sends ([`Step`]), here, and one that reads
//! ([`Asked`](super::replies::Asked)), in `replies`; pipelining lets the first run ahead.

use super::Submission;
use super::event::{Feature, Note};
use super::replies::Asked;
use super::writer::Writer;
use crate::error::Error;
use crate::wire::Out;

/// The most replies outstanding at a time.
const WINDOW: usize = 64;

/// What is sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Hello,
    /// AUTH, or what its mechanism says next.
    Auth,
    Idle,
    Mail,
    Rcpt(usize),
    /// DATA or BDAT.
    Content,
    /// The message, by the caller.
    Body,
    /// The end of it.
    End,
    Rset,
    Quit,
    /// Nothing, until a reply was read.
    Wait,
    /// Nothing any more.
    Over,
}

/// What became of an attempt to send.
enum Flow {
    On,
    Full,
    Blocked(Note),
}

impl Submission<'_> {
    /// Reads all of `input` before it sends anything, and reports one thing at a time.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(usize, Note), Error> {
        let (mut consumed, before) = (0, out.len());
        let first = |note, out: &Out<'_>| if out.len() > before { Note::Send } else { note };
        loop {
            if !self.notes.is_empty() && out.len() > before {
                return Ok((consumed, Note::Send));
            }
            if let Some(note) = self.notes.pop_front() {
                return Ok((consumed, note));
            }
            let rest = input.get(consumed..).unwrap_or_default();
            if self.step == Step::Over {
                return Ok((input.len(), Note::Done));
            }
            if !rest.is_empty() {
                consumed += self.read(rest)?;
                continue;
            }
            match self.write(out) {
                Flow::On => {}
                Flow::Full => return Ok((consumed, Note::Send)),
                Flow::Blocked(note) => return Ok((consumed, first(note, out))),
            }
        }
    }

    /// Sends the next of what may be sent now.
    fn write(&mut self, out: &mut Out<'_>) -> Flow {
        let idle = self.outstanding == 0;
        let fresh = self.written == 0;
        let (refused, unwanted) = match &self.transaction {
            Some(mail) => (mail.sender_refused, mail.is_unwanted()),
            None => (false, false),
        };
        match self.step {
            // The beginning of a 421 that nothing asked for.
            _ if idle && (self.within || !self.line.is_empty()) => Flow::Blocked(Note::NeedInput),
            Step::Over => Flow::Blocked(Note::Done),
            Step::Wait => Flow::Blocked(Note::NeedInput),
            Step::Body => Flow::Blocked(Note::Body),
            Step::Idle => self.idle(),
            Step::Rcpt(_) if fresh && refused => {
                self.step = Step::Content;
                Flow::On
            }
            Step::Content if fresh && idle && unwanted => {
                if let Some(mail) = &mut self.transaction {
                    mail.stuck = true;
                    mail.answered = true;
                }
                self.step = Step::Wait;
                self.settle();
                Flow::On
            }
            step if fresh && !self.may_send(step) => Flow::Blocked(Note::NeedInput),
            step => self.send(step, out),
        }
    }

    fn may_send(&self, step: Step) -> bool {
        let ahead = self.offered.pipelining && self.outstanding < WINDOW;
        let ride = self.transaction.as_ref().is_some_and(|mail| mail.may_ride());
        self.outstanding == 0
            || match step {
                Step::Rcpt(_) => ahead,
                Step::Content => ahead && ride,
                Step::Quit => self.offered.pipelining,
                Step::End => true,
                _ => false,
            }
    }

    /// Between commands: a login that is asked for, then a mail that is queued.
    fn idle(&mut self) -> Flow {
        if let Some(sasl) = &mut self.sasl {
            if sasl.choose(self.offered.auth) {
                self.step = Step::Auth;
            } else {
                self.leave(Note::Lacks(Feature::Mechanism));
            }
        } else if let Some(mail) = &mut self.transaction {
            match mail.plan(self.offered, self.limits.bdat) {
                Ok(()) => self.step = Step::Mail,
                Err(feature) if mail.then_quit => self.leave(Note::Lacks(feature)),
                Err(feature) => {
                    self.transaction = None;
                    self.tell(Note::Lacks(feature));
                    self.rest();
                }
            }
        } else if self.announce {
            self.announce = false;
            self.tell(Note::Ready);
        } else {
            return Flow::Blocked(Note::NeedInput);
        }
        Flow::On
    }

    fn send(&mut self, step: Step, out: &mut Out<'_>) -> Flow {
        if let (Step::End, Some(mail)) = (step, &mut self.transaction)
            && !mail.body.drain(out)
        {
            return Flow::Full;
        }
        let mut writer = Writer::new(out, self.written);
        self.render(step, &mut writer);
        let (written, done) = writer.finish();
        self.written = written;
        if !done {
            return Flow::Full;
        }
        self.written = 0;
        self.sent(step);
        Flow::On
    }

    fn render(&self, step: Step, writer: &mut Writer<'_, '_>) {
        let mail = self.transaction.as_ref();
        match (step, mail, &self.sasl) {
            (Step::Hello, ..) => {
                writer.put(self.mail.hello().as_bytes());
                writer.put(b" ");
                writer.put(self.name.as_bytes());
                writer.put(b"\r\n");
            }
            (Step::Auth, _, Some(sasl)) => sasl.render(writer),
            (Step::Mail, Some(mail), _) => mail.mail(self.offered, writer),
            (Step::Rcpt(index), Some(mail), _) => mail.rcpt(index, writer),
            (Step::Content, Some(mail), _) => mail.content(writer),
            (Step::End, Some(mail), _) if !mail.is_chunk() => writer.put(b".\r\n"),
            (Step::Rset, ..) => writer.put(b"RSET\r\n"),
            (Step::Quit, ..) => writer.put(b"QUIT\r\n"),
            _ => {}
        }
    }

    /// All of a command is in the output.
    fn sent(&mut self, step: Step) {
        let (asked, next) = match (step, &mut self.transaction) {
            (Step::Hello, _) => (Asked::Hello, Step::Wait),
            (Step::Auth, _) => (Asked::Auth, Step::Wait),
            (Step::Mail, Some(_)) => (Asked::Mail, Step::Rcpt(0)),
            (Step::Rcpt(index), Some(mail)) => {
                let more = index + 1 < mail.envelope.to.len();
                (Asked::Rcpt, if more { Step::Rcpt(index + 1) } else { Step::Content })
            }
            (Step::Content, Some(mail)) if mail.is_chunk() => (Asked::Message, Step::Body),
            (Step::Content, Some(_)) => (Asked::Data, Step::Wait),
            (Step::End, Some(mail)) => {
                mail.sent = true;
                mail.quit_follows = mail.then_quit;
                let next = if mail.quit_follows { Step::Quit } else { Step::Wait };
                if mail.is_chunk() {
                    // The reply is due since BDAT, and may have come already.
                    let answered = mail.answered;
                    self.step = next;
                    return if answered {
                        self.settle()
                    };
                }
                (Asked::Message, next)
            }
            (Step::Rset, _) => (Asked::Rset, Step::Wait),
            (Step::Quit, _) => (Asked::Quit, Step::Wait),
            _ => return,
        };
        if self.outstanding == 0 {
            self.asked = asked;
        }
        self.outstanding += 1;
        self.step = next;
    }
}
