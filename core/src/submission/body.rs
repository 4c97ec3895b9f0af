//! The message on its way out: line ends made CR LF, dots stuffed, and all of it counted.
//!
//! CR LF, a bare CR and a bare LF each become CR LF, wherever the pieces were cut, so that no
//! server finds an end of the message that was not meant (SMTP smuggling). A message that does
//! not end in a line end is given one, for DATA and for BDAT alike: which of them a server
//! offers does not change what it is given. An empty message stays empty.

use crate::error::{Error, Misuse};
use crate::wire::Out;

/// The end of a line on the wire.
const LINE_END: &[u8] = b"\r\n";

/// Measures a message as BDAT and SIZE count it: after normalising, without stuffed dots and
/// without the final dot.
///
/// ```
/// use starttls::submission::measure;
/// let mut measure = measure();
/// measure.update(b"Subject: hi\n\n");
/// measure.update("Grüße".as_bytes());
/// measure.finish();
/// assert_eq!(measure.size(), 11 + 2 + 2 + 7 + 2);
/// assert!(measure.eight_bit());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Measure {
    size: u64,
    eight_bit: bool,
    place: Place,
}

/// Measures a message in pieces of any size.
pub fn measure() -> Measure {
    Measure::default()
}

impl Measure {
    /// Takes in the next piece of the message.
    pub fn update(&mut self, piece: &[u8]) {
        for &octet in piece {
            self.size += match (octet, self.place) {
                (b'\n', Place::AfterCr) => 0,
                (b'\r' | b'\n', _) => 2,
                _ => 1,
            };
            self.eight_bit |= !octet.is_ascii();
            self.place = self.place.after(octet);
        }
    }

    /// The message is complete.
    pub fn finish(&mut self) {
        if self.place == Place::Line {
            self.size += 2;
            self.place = Place::Start;
        }
    }

    /// The size in octets; of the whole message after [`finish`](Self::finish).
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether an octet above 127 was met.
    pub fn eight_bit(&self) -> bool {
        self.eight_bit
    }
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Place {
    /// At its start.
    #[default]
    Start,
    /// At its start, behind a CR whose LF may still follow.
    AfterCr,
    /// Not at its start.
    Line,
}

impl Place {
    fn after(self, octet: u8) -> Self {
        match octet {
            b'\r' => Self::AfterCr,
            b'\n' => Self::Start,
            _ => Self::Line,
        }
    }
}

/// How the message is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Dots are stuffed (RFC 5321 §4.5.2).
    Dots,
    /// Octets as they are, as many as were announced (RFC 3030). The last line end is held back
    /// until the message is known to be complete, since with it the server has all it waits for.
    Chunk,
}

/// One message on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    framing: Framing,
    /// The declared size.
    size: Option<u64>,
    seven_bit: bool,
    /// Octets of the message so far, as [`Measure`] counts them; some may be pending.
    count: u64,
    place: Place,
    /// Octets that go out before anything else.
    pending: &'static [u8],
    /// A line end goes out behind that.
    owed: bool,
    /// The message is complete.
    finished: bool,
}

impl Body {
    pub(super) fn new(framing: Framing, size: Option<u64>, seven_bit: bool) -> Self {
        Self {
            framing,
            size,
            seven_bit,
            count: 0,
            place: Place::Start,
            pending: &[],
            owed: false,
            finished: false,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// Takes some of `piece` and says how many octets that was; fewer than all of them means that
    /// `out` is full.
    ///
    /// # Errors
    /// [`Misuse::DeclaredSize`] or [`Misuse::DeclaredSevenBit`] at the octet that proves it.
    pub(super) fn take(&mut self, piece: &[u8], out: &mut Out<'_>) -> Result<usize, Error> {
        let mut taken = 0;
        while let Some((&octet, _)) = piece.get(taken..).unwrap_or_default().split_first() {
            match (octet, self.place) {
                (b'\n', Place::AfterCr) => self.place = Place::Start,
                _ if !self.drain(out) => break,
                (b'\r' | b'\n', _) => {
                    self.end_line()?;
                    self.place = self.place.after(octet);
                }
                (b'.', Place::Start | Place::AfterCr) if self.framing == Framing::Dots => {
                    self.room_for_text()?;
                    self.count += 1;
                    self.pending = b"..";
                    self.place = Place::Line;
                }
                _ => {
                    let n = self.text(piece.get(taken..).unwrap_or_default(), out)?;
                    if n == 0 {
                        break;
                    }
                    taken += n;
                    continue;
                }
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// The message is complete: [`drain`](Self::drain) what is left.
    ///
    /// # Errors
    /// [`Misuse::DeclaredSize`].
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.owed = self.place == Place::Line;
        self.count += if self.owed { 2 } else { 0 };
        if self.size.is_some_and(|size| size != self.count) {
            return Err(Misuse::DeclaredSize.into());
        }
        self.finished = true;
        Ok(())
    }

    /// Puts out what is pending; whether that was all that may go out now.
    pub(super) fn drain(&mut self, out: &mut Out<'_>) -> bool {
        if self.framing == Framing::Chunk && self.size == Some(self.count) && !self.finished {
            return true;
        }
        loop {
            let n = out.put_some(self.pending);
            self.pending = self.pending.get(n..).unwrap_or_default();
            if !self.pending.is_empty() || !self.owed {
                return self.pending.is_empty();
            }
            self.owed = false;
            self.pending = LINE_END;
        }
    }

    /// Text up to the next line end, as much as `out` has room for.
    fn text(&mut self, piece: &[u8], out: &mut Out<'_>) -> Result<usize, Error> {
        // Look no further than there is room: a line may be longer than memory.
        let piece = piece.get(..out.spare_mut().len()).unwrap_or(piece);
        let line = piece.iter().position(|octet| matches!(octet, b'\r' | b'\n'));
        let mut text = piece.get(..line.unwrap_or(piece.len())).unwrap_or_default();
        if self.seven_bit {
            match text.iter().position(|octet| !octet.is_ascii()) {
                Some(0) => return Err(Misuse::DeclaredSevenBit.into()),
                Some(at) => text = text.get(..at).unwrap_or_default(),
                None => {}
            }
        }
        let room = usize::try_from(self.room_for_text()?).unwrap_or(usize::MAX);
        let n = out.put_some(text.get(..room).unwrap_or(text));
        self.count += n as u64;
        if n > 0 {
            self.place = Place::Line;
        }
        Ok(n)
    }

    /// How many octets of text the declared size leaves: a line end has to follow.
    fn room_for_text(&self) -> Result<u64, Error> {
        let Some(size) = self.size else { return Ok(u64::MAX) };
        match size.saturating_sub(self.count) {
            0..=2 => Err(Misuse::DeclaredSize.into()),
            left => Ok(left - 2),
        }
    }

    fn end_line(&mut self) -> Result<(), Error> {
        self.count += 2;
        self.pending = LINE_END;
        match self.size {
            Some(size) if self.count > size => Err(Misuse::DeclaredSize.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Sends `message` cut at `cut` through outputs of `room` octets.
    fn send(mut body: Body, message: &[u8], cut: usize, room: usize) -> Result<Vec<u8>, Error> {
        let mut sent = Vec::new();
        let mut storage = [0; 64];
        for mut piece in [&message[..cut], &message[cut..]] {
            while !piece.is_empty() {
                let mut out = Out::new(&mut storage[..room]);
                let n = body.take(piece, &mut out)?;
                assert!(n > 0 || !out.is_empty(), "no progress");
                sent.extend_from_slice(out.octets());
                piece = &piece[n..];
            }
        }
        body.finish()?;
        loop {
            let mut out = Out::new(&mut storage[..room]);
            let done = body.drain(&mut out);
            sent.extend_from_slice(out.octets());
            if done {
                return Ok(sent);
            }
        }
    }

    fn size(message: &[u8]) -> u64 {
        let mut measure = measure();
        message.chunks(1).for_each(|piece| measure.update(piece));
        measure.finish();
        measure.size()
    }

    /// Every cut and every output size; DATA without its final dot, then BDAT.
    #[track_caller]
    fn check(message: &[u8], dots: &[u8], chunk: &[u8]) {
        assert_eq!(size(message), chunk.len() as u64);
        for cut in 0..=message.len() {
            for room in 1..=5 {
                let size = Some(size(message));
                let body = Body::new(Framing::Dots, None, false);
                assert_eq!(send(body, message, cut, room).as_deref(), Ok(dots), "{cut} {room}");
                let body = Body::new(Framing::Dots, size, false);
                assert_eq!(send(body, message, cut, room).as_deref(), Ok(dots), "{cut} {room}");
                let body = Body::new(Framing::Chunk, size, false);
                assert_eq!(send(body, message, cut, room).as_deref(), Ok(chunk), "{cut} {room}");
            }
        }
    }

    #[test]
    fn line_ends_become_cr_lf() {
        check(b"", b"", b"");
        check(b"a", b"a\r\n", b"a\r\n");
        check(b"a\r\n", b"a\r\n", b"a\r\n");
        check(b"a\n", b"a\r\n", b"a\r\n");
        check(b"a\r", b"a\r\n", b"a\r\n");
        check(b"\r\r\n\n\r", b"\r\n\r\n\r\n\r\n", b"\r\n\r\n\r\n\r\n");
        check(b"a\rb\nc\n\rd", b"a\r\nb\r\nc\r\n\r\nd\r\n", b"a\r\nb\r\nc\r\n\r\nd\r\n");
    }

    #[test]
    fn dots_are_stuffed() {
        check(b".", b"..\r\n", b".\r\n");
        check(b"..", b"...\r\n", b"..\r\n");
        check(b"a.\r\n.b", b"a.\r\n..b\r\n", b"a.\r\n.b\r\n");
        for smuggled in [&b"a\r\n.\r\nb"[..], b"a\n.\nb", b"a\r.\rb", b"a\r\n.\nb", b"a\n.\rb"] {
            check(smuggled, b"a\r\n..\r\nb\r\n", b"a\r\n.\r\nb\r\n");
        }
    }

    #[test]
    fn a_wrong_size_is_found_and_the_chunk_stays_open() {
        let wrong = Err(Misuse::DeclaredSize.into());
        for message in [&b""[..], b"a", b"a\r\n", b".\n", b"a\r", b"ab\ncd\n", b"\n\n"] {
            let size = size(message);
            for declared in (0..=size + 3).filter(|&declared| declared != size) {
                for cut in 0..=message.len() {
                    for framing in [Framing::Dots, Framing::Chunk] {
                        let body = Body::new(framing, Some(declared), false);
                        assert_eq!(send(body, message, cut, 3), wrong, "{message:?} as {declared}");
                    }
                    let mut body = Body::new(Framing::Chunk, Some(declared), false);
                    let mut storage = [0; 64];
                    let mut out = Out::new(&mut storage);
                    let _ = body.take(message, &mut out);
                    assert!((out.len() as u64) < declared.max(1), "{message:?} as {declared}");
                }
            }
        }
    }

    #[test]
    fn eight_bits_are_found() {
        let message = "ab\nü\n".as_bytes();
        for cut in 0..=message.len() {
            let body = Body::new(Framing::Dots, None, true);
            let wrong = Err(Misuse::DeclaredSevenBit.into());
            assert_eq!(send(body, message, cut, 3), wrong, "cut at {cut}");
        }
        assert!(send(Body::new(Framing::Dots, None, true), b"ab\n", 1, 3).is_ok());
    }
}
