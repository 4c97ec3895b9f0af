//! Octets: the buffers a caller owns, and how messages are found in them.
//!
//! Octets that came before TLS, TLS records, and what TLS decrypted are three types
//! ([`RecvBuf<Clear>`], [`RecvBuf<Cipher>`], [`Decrypted`]); nothing turns one into another but
//! the hand-over and the TLS layer.

pub(crate) mod ber;
mod buffer;
pub(crate) mod head;
mod line;
mod literal;
mod multiline;
pub(crate) mod packet;
mod reply;
mod scan;
mod tagged;
pub(crate) mod telnet;
pub(crate) mod xml;

#[cfg(feature = "rustls")]
pub(crate) use buffer::Stretch;
pub use buffer::{Cipher, Clear, Decrypted, Out, Phase, RecvBuf};
pub(crate) use line::{line, lines};
pub(crate) use literal::{Carries, Literals};
pub(crate) use multiline::{DotLines, FtpReplies};
pub use reply::Reply;
pub(crate) use reply::{Code, Replies, ReplyLine};
pub(crate) use tagged::{Tagged, Tags, has_code, is_text, only_untagged};

/// The longest line accepted in either direction, its CR LF included, in octets. RFC 5321
/// §4.5.3.1 asks for 512 and lets extensions add to it.
pub const MAX_LINE: usize = 2048;

/// A frame at the front of the input, or the want of more octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frame {
    /// The first octets, this many, are one whole frame.
    Whole(usize),
    /// No frame is complete yet.
    Partial,
}
