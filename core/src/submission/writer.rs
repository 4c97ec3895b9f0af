//! Writes a command through outputs of any size.

use base64ct::{Base64, Encoding};
use zeroize::Zeroize;

use crate::wire::Out;

/// Renders a command from its beginning on every call, leaves out what was written before, and
/// stops where the output is full: nothing of the command is kept but a count.
#[derive(Debug)]
pub(super) struct Writer<'w, 'b> {
    out: &'w mut Out<'b>,
    /// Octets of the command that were put out, in this call and before.
    written: usize,
    /// Octets of the command that were rendered in this call.
    rendered: usize,
    full: bool,
}

impl<'w, 'b> Writer<'w, 'b> {
    pub(super) fn new(out: &'w mut Out<'b>, written: usize) -> Self {
        Self { out, written, rendered: 0, full: false }
    }

    /// How long the command is, in octets.
    pub(super) fn length(render: impl FnOnce(&mut Writer<'_, '_>)) -> usize {
        let mut nothing = Out::new(&mut []);
        let mut writer = Writer::new(&mut nothing, usize::MAX);
        render(&mut writer);
        writer.rendered
    }

    pub(super) fn put(&mut self, octets: &[u8]) {
        let skip = self.written.saturating_sub(self.rendered);
        self.rendered += octets.len();
        let new = octets.get(skip..).unwrap_or_default();
        if !self.full && !new.is_empty() {
            let n = self.out.put_some(new);
            self.written += n;
            self.full = n < new.len();
        }
    }

    pub(super) fn decimal(&mut self, number: u64) {
        let mut divisor = 1;
        while number / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            // A digit fits an octet.
            self.put(&[b'0' + (number / divisor % 10) as u8]);
            divisor /= 10;
        }
    }

    /// Two hexadecimal digits.
    pub(super) fn hex(&mut self, octet: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for digit in [octet >> 4, octet & 15] {
            self.put(DIGITS.get(usize::from(digit)..=usize::from(digit)).unwrap_or_default());
        }
    }

    /// The base64 (RFC 4648 §4) of all that `render` puts.
    pub(super) fn base64(&mut self, render: impl FnOnce(&mut Encoder<'_, 'w, 'b>)) {
        let mut encoder = Encoder { writer: self, held: [0; 3], count: 0 };
        render(&mut encoder);
        encoder.flush();
    }

    /// Octets put out so far, and whether that is all of the command.
    pub(super) fn finish(self) -> (usize, bool) {
        (self.written, !self.full)
    }
}

/// What passes through [`Writer::base64`].
pub(super) struct Encoder<'e, 'w, 'b> {
    writer: &'e mut Writer<'w, 'b>,
    held: [u8; 3],
    count: usize,
}

impl Encoder<'_, '_, '_> {
    pub(super) fn put(&mut self, octets: &[u8]) {
        for &octet in octets {
            if let Some(place) = self.held.get_mut(self.count) {
                *place = octet;
                self.count += 1;
            }
            if self.count == self.held.len() {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let mut text = [0; 4];
        let held = self.held.get(..self.count).unwrap_or_default();
        if let Ok(text) = Base64::encode(held, &mut text) {
            self.writer.put(text.as_bytes());
        }
        text.zeroize();
        self.count = 0;
    }
}

impl Drop for Encoder<'_, '_, '_> {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn render(writer: &mut Writer<'_, '_>) {
        writer.put(b"AUTH ");
        writer.base64(|encoder| {
            for piece in [&b"\0us"[..], b"e", b"r\0", b"pass"] {
                encoder.put(piece);
            }
        });
        writer.put(b" ");
        writer.decimal(0);
        writer.decimal(u64::MAX);
        writer.put(b"\r\n");
    }

    #[test]
    fn any_output_gives_the_same_command() {
        let whole = b"AUTH AHVzZXIAcGFzcw== 018446744073709551615\r\n";
        assert_eq!(Writer::length(render), whole.len());
        for room in 1..=whole.len() {
            let (mut sent, mut written) = (Vec::new(), 0);
            loop {
                let (mut storage, done);
                storage = [0; 64];
                let mut out = Out::new(&mut storage[..room]);
                let mut writer = Writer::new(&mut out, written);
                render(&mut writer);
                (written, done) = writer.finish();
                sent.extend_from_slice(out.octets());
                if done {
                    break;
                }
            }
            assert_eq!(sent, whole, "room for {room}");
        }
    }
}
