//! The player of the unit vectors: a machine, what its peer says, what it says and how it ends.

use crate::error::Error;
use crate::negotiate::{AllowPlaintext, Negotiate, Negotiation, Status};
use crate::wire::{Clear, MAX_LINE, Out, RecvBuf};

/// Feeds each of `input` once what it answers is awaited; what was sent, and the end.
fn play<M: Negotiate>(
    mut negotiation: Negotiation<M>,
    input: &[&str],
    sent: &mut [u8],
) -> (usize, Result<(), Error>) {
    let (mut storage, mut out) = ([0; MAX_LINE], Out::new(sent));
    let mut recv = RecvBuf::<Clear>::new(&mut storage);
    let mut input = input.iter();
    loop {
        match negotiation.process(&mut recv, &mut out) {
            Ok(Status::Progress) => {}
            Ok(Status::NeedInput) => match input.next() {
                Some(piece) => assert_eq!(recv.fill(piece.as_bytes()), piece.len()),
                None => return (out.len(), Err(negotiation.close_received())),
            },
            Ok(Status::Ready) => return (out.len(), negotiation.upgrade(recv).map(|_| ())),
            Err(error) => return (out.len(), Err(error)),
        }
    }
}

/// Plays the peer's `input` to `machine`, and compares what it sent and how it ended.
#[track_caller]
pub(crate) fn check<M: Negotiate>(
    machine: M,
    plaintext: bool,
    input: &[&str],
    sent: &str,
    end: Result<(), Error>,
) {
    let mut buffer = [0; 4096];
    let negotiation = match plaintext {
        true => Negotiation::or_plaintext(machine, AllowPlaintext),
        false => Negotiation::new(machine),
    };
    let (n, got) = play(negotiation, input, &mut buffer);
    assert_eq!((core::str::from_utf8(&buffer[..n]).unwrap(), got), (sent, end));
}
