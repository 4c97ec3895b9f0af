//! The dialogue: what is sent, what each reply to it means.
//!
//! Two cursors walk through the commands, one that sends ([`Step`]) and one that reads
//! ([`Asked`]); pipelining lets the first run ahead.

use super::Submission;
use super::event::{Feature, Note};
use super::writer::Writer;
use crate::error::{Error, Misbehaviour};
use crate::protocol::Mail;
use crate::wire::{Code, Frame, Out, ReplyLine, line};

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

/// What the next reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Greeting,
    Hello,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The end of the message, or BDAT with all of it.
    Message,
    Rset,
    Quit,
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
                mail.quit_rides = mail.then_quit && self.offered.pipelining;
                let next = if mail.quit_rides { Step::Quit } else { Step::Wait };
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

    /// Takes octets up to the end of a line.
    fn read(&mut self, input: &[u8]) -> Result<usize, Error> {
        let end = input.iter().position(|&octet| octet == b'\n').map_or(input.len(), |at| at + 1);
        let n = end.min(self.line.capacity() - self.line.len());
        let piece = input.get(..n).unwrap_or_default();
        self.line.extend_from_slice(piece).map_err(|_| Misbehaviour::FrameTooLong)?;
        self.check_turn()?;
        match line(&self.line, self.scanned)? {
            Frame::Whole(_) => {
                self.reply_line()?;
                self.line.clear();
                self.scanned = 0;
            }
            Frame::Partial if self.line.is_full() => {
                return Err(Misbehaviour::FrameTooLong.into());
            }
            Frame::Partial => self.scanned = self.line.len(),
        }
        Ok(n)
    }

    /// With no reply due a server may say 421, and nothing else; a greeting where EHLO is to be
    /// sent has its own name. Judged by the first octets, however few of them came.
    fn check_turn(&self) -> Result<(), Error> {
        let heard = self.line.get(..3).unwrap_or(&self.line);
        let greeting = self.step == Step::Hello && b"220".starts_with(heard);
        if self.outstanding > 0 || greeting || b"421".starts_with(heard) {
            Ok(())
        } else {
            Err(Misbehaviour::Unsolicited.into())
        }
    }

    fn reply_line(&mut self) -> Result<(), Error> {
        let (reply, first) = self.replies.line(&self.line)?;
        let hello = self.asked == Asked::Hello && self.outstanding > 0;
        if first {
            self.text.clear();
        } else {
            // What does not fit is cut.
            let _ = self.text.push(b'\n');
        }
        let room = self.text.capacity() - self.text.len();
        let text = reply.text.get(..room).unwrap_or(reply.text);
        let _ = self.text.extend_from_slice(text);
        if hello && !first && reply.code == 250 {
            self.offered.line(&reply);
        }
        self.code = reply.code;
        self.within = !reply.last;
        let (code, last) = (reply.code, reply.last);
        if last { self.answer(code, first) } else { Ok(()) }
    }

    /// One whole reply was read.
    fn answer(&mut self, code: Code, single: bool) -> Result<(), Error> {
        if code == 421 {
            self.hang_up();
            return Ok(());
        }
        if self.outstanding == 0 {
            return Err(Misbehaviour::Greeting.into());
        }
        match (self.asked, code) {
            (Asked::Greeting, 220) => self.outstanding -= 1,
            (Asked::Greeting | Asked::Hello, 400..=599) => {
                self.outstanding -= 1;
                self.leave(Note::HelloRefused);
            }
            (Asked::Greeting, _) | (Asked::Hello, 220) => {
                return Err(Misbehaviour::Greeting.into());
            }
            (Asked::Hello, 250) => {
                self.outstanding -= 1;
                self.rest();
            }
            (Asked::Auth, 235) => {
                if let Some(sasl) = self.sasl.take() {
                    sasl.success()?;
                }
                self.outstanding -= 1;
                self.logged_in = true;
                self.rest();
            }
            (Asked::Auth, 334) => {
                let text = ReplyLine::parse(&self.line)?.text;
                match &mut self.sasl {
                    Some(sasl) if single => sasl.challenge(text, self.limits.scram_iterations)?,
                    _ => return Err(Misbehaviour::Malformed.into()),
                }
                self.outstanding -= 1;
                self.step = Step::Auth;
            }
            (Asked::Auth, 400..=599) => {
                self.outstanding -= 1;
                self.leave(Note::LoginRefused);
            }
            (Asked::Rset, 200..=299) => {
                self.outstanding -= 1;
                self.done();
                self.rest();
            }
            // Whatever a server thinks of QUIT, there is no more to say.
            (Asked::Quit, 200..=299 | 400..=599) => {
                self.outstanding -= 1;
                self.step = Step::Over;
            }
            (Asked::Mail | Asked::Rcpt | Asked::Data | Asked::Message, _) => {
                return self.judge(code);
            }
            _ => return Err(Misbehaviour::UnexpectedReply(code).into()),
        }
        Ok(())
    }

    /// A reply about the mail on its way.
    fn judge(&mut self, code: Code) -> Result<(), Error> {
        let unexpected = Err(Misbehaviour::UnexpectedReply(code).into());
        let Some(mail) = &mut self.transaction else { return unexpected };
        let positive = matches!(code, 200..=299);
        let (mut note, mut settled) = (None, false);
        let next = match (self.asked, code) {
            (Asked::Mail, 200..=299) => Asked::Rcpt,
            (Asked::Mail, 400..=599) => {
                mail.sender_refused = true;
                note = Some(Note::SenderRefused);
                Asked::Rcpt
            }
            // A recipient of a mail that was refused.
            (Asked::Rcpt, 200..=299) if mail.sender_refused => return unexpected,
            (Asked::Rcpt, 200..=299 | 400..=599) => {
                let index = mail.judge(positive);
                if !mail.sender_refused {
                    note = Some(Note::Recipient { index, refused: !positive });
                }
                match (mail.judged < mail.envelope.to.len(), mail.is_chunk()) {
                    (true, _) => Asked::Rcpt,
                    (false, true) => Asked::Message,
                    (false, false) => Asked::Data,
                }
            }
            // An LMTP server must not: it would owe no reply (RFC 2033 §4.2).
            (Asked::Data, 354) if mail.is_hopeless() && self.mail == Mail::Lmtp => {
                return unexpected;
            }
            (Asked::Data, 354) => {
                // With nobody to get it, an empty message: a lone dot (RFC 2920 §3.1).
                self.step = if mail.is_hopeless() { Step::End } else { Step::Body };
                Asked::Message
            }
            (Asked::Data, 400..=599) => {
                note = (!mail.is_hopeless()).then_some(Note::MessageRefused(None));
                mail.stuck = true;
                settled = true;
                Asked::Quit
            }
            (Asked::Message, 200..=299) if !mail.sent => {
                return Err(Misbehaviour::Unsolicited.into());
            }
            (Asked::Message, 200..=299 | 400..=599) => {
                let index = match self.mail {
                    Mail::Lmtp => mail.next_accepted(),
                    Mail::Smtp => None,
                };
                if !mail.is_hopeless() {
                    note = Some(match positive {
                        true => Note::Delivered(index),
                        false => Note::MessageRefused(index),
                    });
                }
                mail.stuck |= !positive && mail.is_chunk();
                settled = index.is_none() || mail.peek_accepted().is_none();
                if settled { Asked::Quit } else { Asked::Message }
            }
            _ => return unexpected,
        };
        mail.answered |= settled;
        // LMTP: the other recipients' replies are still due.
        let owed = self.asked == Asked::Message && !settled;
        self.outstanding -= usize::from(!owed);
        self.asked = next;
        if let Some(note) = note {
            self.tell(note);
        }
        if settled {
            self.settle();
        }
        Ok(())
    }

    /// The last reply about the mail was read: what follows, once its last octet was sent.
    fn settle(&mut self) {
        let Some(mail) = &self.transaction else { return };
        if matches!(self.step, Step::Body | Step::End) {
            return;
        }
        if !mail.quit_rides {
            if mail.then_quit {
                self.step = Step::Quit;
            } else if mail.stuck && !mail.sender_refused {
                self.step = Step::Rset;
                return;
            } else {
                self.rest();
            }
        }
        self.done();
    }

    /// 421: the server closes (RFC 5321 §3.8), and refuses whatever was going on.
    fn hang_up(&mut self) {
        let due = (self.outstanding > 0).then_some(self.asked);
        if self.step == Step::Hello || matches!(due, Some(Asked::Greeting | Asked::Hello)) {
            self.tell(Note::HelloRefused);
        } else if self.sasl.is_some() {
            self.tell(Note::LoginRefused);
        } else if let Some(mail) = &mut self.transaction {
            let mut first = None;
            let over = mail.answered;
            if due == Some(Asked::Mail) {
                mail.sender_refused = true;
                first = Some(Note::SenderRefused);
            } else if due == Some(Asked::Rcpt) && !mail.sender_refused {
                let index = mail.judge(false);
                first = Some(Note::Recipient { index, refused: true });
            }
            let rest = !over && !mail.is_hopeless();
            if let Some(note) = first {
                self.tell(note);
            }
            if rest {
                self.tell(Note::MessageRefused(None));
            }
            self.tell(Note::MailDone);
        }
        self.transaction = None;
        self.sasl = None;
        self.outstanding = 0;
        self.step = Step::Over;
    }

    /// There is nothing more to be had: drops everything, and says QUIT.
    fn leave(&mut self, why: Note) {
        self.tell(why);
        self.sasl = None;
        self.transaction = None;
        self.step = Step::Quit;
    }

    fn rest(&mut self) {
        self.step = Step::Idle;
        self.announce = true;
    }

    fn done(&mut self) {
        self.transaction = None;
        self.tell(Note::MailDone);
    }

    /// A reply makes at most three notes, and they are reported before the next is read.
    fn tell(&mut self, note: Note) {
        let _ = self.notes.push_back(note);
    }
}
