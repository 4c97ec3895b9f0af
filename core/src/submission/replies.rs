//! What is heard, and what it means.

use super::Submission;
use super::dialogue::Step;
use super::event::Note;
use crate::error::{Error, Misbehaviour};
use crate::protocol::Mail;
use crate::wire::{Code, Frame, ReplyLine, line};

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

impl Submission<'_> {
    /// Takes octets up to the end of a line.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<usize, Error> {
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

    /// With no reply due a server may say 421, or refuse a message on its way behind DATA, and
    /// nothing else; a greeting where EHLO is to be sent has its own name. Judged by the first
    /// octets, however few of them came.
    fn check_turn(&self) -> Result<(), Error> {
        let heard = self.line.get(..3).unwrap_or(&self.line);
        let greeting = self.step == Step::Hello && b"220".starts_with(heard);
        let refusal = self.is_sending_data() && matches!(heard, [b'4' | b'5', ..]);
        if self.outstanding > 0 || greeting || refusal || b"421".starts_with(heard) {
            Ok(())
        } else {
            Err(Misbehaviour::Unsolicited.into())
        }
    }

    /// Whether a message is on its way behind DATA, its final dot still to be sent.
    fn is_sending_data(&self) -> bool {
        let mail = self.transaction.as_ref();
        self.outstanding == 0
            && matches!(self.step, Step::Body | Step::End)
            && mail.is_some_and(|mail| !mail.is_chunk())
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
        // A refusal that does not wait for the end of the message, of which nothing says how much
        // the server still reads: only a message without an end is sure to be no message.
        if code == 421 || (self.is_sending_data() && matches!(code, 400..=599)) {
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
    pub(super) fn settle(&mut self) {
        let Some(mail) = &self.transaction else { return };
        if matches!(self.step, Step::Body | Step::End) {
            return;
        }
        if !mail.quit_follows {
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

    /// 421, or a refusal in the middle of DATA: the server closes (RFC 5321 §3.8), and refuses
    /// whatever was going on.
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
    pub(super) fn leave(&mut self, why: Note) {
        self.tell(why);
        self.sasl = None;
        self.transaction = None;
        self.step = Step::Quit;
    }

    pub(super) fn rest(&mut self) {
        self.step = Step::Idle;
        self.announce = true;
    }

    fn done(&mut self) {
        self.transaction = None;
        self.tell(Note::MailDone);
    }

    /// A reply makes at most three notes, and they are reported before the next is read.
    pub(super) fn tell(&mut self, note: Note) {
        let _ = self.notes.push_back(note);
    }
}
