//! Plays a protocol's vectors: what the peer says, what our side answers, how it ends.

use alloc::string::String;
use alloc::vec;

use crate::error::Error;
use crate::negotiate::{AllowPlaintext, Negotiate, Negotiation, Status};
use crate::wire::{Clear, Out, RecvBuf};

/// Feeds each of `input` once what it answers is awaited; what was sent, and the end.
pub(super) fn play<M: Negotiate>(
    mut negotiation: Negotiation<M>,
    input: &[&str],
) -> (String, Result<(), Error>) {
    let (mut storage, mut sent) = (vec![0; negotiation.machine().max_frame()], vec![0; 4096]);
    let mut recv = RecvBuf::<Clear>::new(&mut storage);
    let (mut out, mut input) = (Out::new(&mut sent), input.iter());
    let end = loop {
        match negotiation.process(&mut recv, &mut out) {
            Ok(Status::Progress) => {}
            Ok(Status::NeedInput) => match input.next() {
                Some(piece) => assert_eq!(recv.fill(piece.as_bytes()), piece.len()),
                None => break Err(negotiation.close_received()),
            },
            Ok(Status::Ready) => break negotiation.upgrade(recv).map(|_| ()),
            Err(error) => break Err(error),
        }
    };
    (String::from_utf8(out.octets().to_vec()).unwrap(), end)
}

/// Plays the peer's `input` to `machine`, and compares what it sent and how it ended.
#[track_caller]
pub(super) fn check<M: Negotiate>(
    machine: M,
    plaintext: bool,
    input: &[&str],
    sent: &str,
    end: Result<(), Error>,
) {
    let negotiation = match plaintext {
        true => Negotiation::or_plaintext(machine, AllowPlaintext),
        false => Negotiation::new(machine),
    };
    let (got, ended) = play(negotiation, input);
    assert_eq!((&*got, ended), (sent, end));
}
