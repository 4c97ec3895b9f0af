//! A mail that is written while it is sent.

use core::ops::Range;

use embedded_io::ErrorType;
use starttls::submission::mime::{Composer, Status};
use starttls::wire::Out;

/// A message that comes out of a [`Composer`] as it is read, for `submit` and `submit_async`: no
/// more of it is held than `B`, `[u8; 64]` or a slice, has room for.
///
/// `attached` is asked for an attachment, counted from 0, in pieces of 57 octets at most; 0 is its
/// end. Flash is read in no time, so it does not wait.
///
/// ```
/// use starttls::submission::mime::{Attachment, Composer, Date, Mailbox, Message};
/// use starttls_embedded_io::Composed;
/// # use core::convert::Infallible;
///
/// let message = Message {
///     date: Date::new(1_795_887_062, 0)?,
///     id: "1795887062.7@device.example.org",
///     from: Mailbox { name: "", address: "device@example.org" },
///     to: &[Mailbox { name: "", address: "owner@example.org" }],
///     subject: "Still warm",
///     fields: &[],
///     text: "The log is attached.\n",
///     attachments: &[Attachment { name: "log", media_type: "application/octet-stream" }],
/// };
/// let mut log = &[0_u8; 1000][..]; // in flash
/// let attached = |_, piece: &mut [u8]| embedded_io::Read::read(&mut log, piece);
/// let mail = Composed::new(Composer::new(&message)?, attached, [0; 128]);
/// // `mail` goes to `submit`.
/// # let mut mail = mail;
/// # let (mut all, mut piece) = (Vec::new(), [0; 7]);
/// # while let Ok(n @ 1..) = embedded_io::Read::read(&mut mail, &mut piece) {
/// #     all.extend_from_slice(&piece[..n]);
/// # }
/// # assert!(all.ends_with(b"\r\n--=_part--\r\n"));
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Debug)]
pub struct Composed<'a, F, B> {
    composer: Composer<'a>,
    attached: F,
    buffer: B,
    filled: Range<usize>,
}

impl<'a, F, B: AsMut<[u8]>> Composed<'a, F, B> {
    /// A message whose attachments come from `attached`. An empty buffer is a message without end.
    pub fn new(composer: Composer<'a>, attached: F, buffer: B) -> Self {
        Self { composer, attached, buffer, filled: 0..0 }
    }

    fn fill<E>(&mut self) -> Result<&[u8], E>
    where
        F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
    {
        while self.filled.is_empty() {
            let mut out = Out::new(self.buffer.as_mut());
            let status = self.composer.process(&mut out);
            self.filled = 0..out.len();
            match status {
                Status::Attachment(index) if self.filled.is_empty() => {
                    let n = (self.attached)(index, self.composer.spare_mut())?;
                    // More than it had room for is cut there.
                    let n = n.min(self.composer.spare_mut().len());
                    let _ = self.composer.received(n);
                }
                Status::Done => break,
                Status::Attachment(_) | Status::Full => {}
            }
        }
        Ok(self.buffer.as_mut().get(self.filled.clone()).unwrap_or_default())
    }

    fn read<E>(&mut self, buf: &mut [u8]) -> Result<usize, E>
    where
        F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
    {
        let filled = self.fill()?;
        let n = filled.len().min(buf.len());
        buf[..n].copy_from_slice(&filled[..n]);
        self.consume(n);
        Ok(n)
    }

    fn consume(&mut self, n: usize) {
        self.filled.start = self.filled.end.min(self.filled.start + n);
    }
}

impl<F, B, E: embedded_io::Error> ErrorType for Composed<'_, F, B>
where
    F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
{
    type Error = E;
}

impl<F, B: AsMut<[u8]>, E: embedded_io::Error> embedded_io::Read for Composed<'_, F, B>
where
    F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
{
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, E> {
        self.read(buf)
    }
}

impl<F, B: AsMut<[u8]>, E: embedded_io::Error> embedded_io::BufRead for Composed<'_, F, B>
where
    F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
{
    fn fill_buf(&mut self) -> Result<&[u8], E> {
        self.fill()
    }

    fn consume(&mut self, n: usize) {
        self.consume(n);
    }
}

impl<F, B: AsMut<[u8]>, E: embedded_io::Error> embedded_io_async::Read for Composed<'_, F, B>
where
    F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, E> {
        self.read(buf)
    }
}

impl<F, B: AsMut<[u8]>, E: embedded_io::Error> embedded_io_async::BufRead for Composed<'_, F, B>
where
    F: FnMut(usize, &mut [u8]) -> Result<usize, E>,
{
    async fn fill_buf(&mut self) -> Result<&[u8], E> {
        self.fill()
    }

    fn consume(&mut self, n: usize) {
        self.consume(n);
    }
}
