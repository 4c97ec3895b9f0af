//! Plays a protocol's vectors: what the peer says, what our side answers, how it ends.

use alloc::string::{String, ToString};
use alloc::vec;

use crate::error::Error;
use crate::inside::{Inside, Opened, Opening};
use crate::negotiate::{AllowPlaintext, Negotiate, Negotiation, Status};
use crate::wire::{Clear, Decrypted, Out, RecvBuf};

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

/// Plays what the peer says inside TLS, `arrived` before we say anything and the rest a record
/// each. What was sent, and what is left for the application, or the error.
#[track_caller]
pub(super) fn check_inside<M: Inside>(
    machine: M,
    arrived: &str,
    input: &[&str],
    sent: &str,
    end: Result<&str, Error>,
) {
    let input: vec::Vec<_> = input.iter().map(|piece| piece.as_bytes()).collect();
    check_octets(machine, arrived.as_bytes(), &input, sent.as_bytes(), end.map(str::as_bytes));
}

/// The same for a protocol that is not text.
#[track_caller]
pub(super) fn check_octets<M: Inside>(
    machine: M,
    arrived: &[u8],
    input: &[&[u8]],
    sent: &[u8],
    end: Result<&[u8], Error>,
) {
    // An array, which is storage without an allocator too.
    let (mut opening, mut said) = (Opening::new(machine, [0; 8192]), vec![0; 4096]);
    let (mut out, mut input) = (Out::new(&mut said), input.iter());
    let mut record = Decrypted::new(arrived);
    let ended = loop {
        match opening.process(record, &mut out) {
            Ok((used, Opened::Progress)) => record = record.skip(used),
            Ok((_, Opened::NeedInput)) => match input.next() {
                Some(piece) => record = Decrypted::new(piece),
                None => break Err(opening.close_received()),
            },
            Ok((used, Opened::Ready)) => {
                break Ok([opening.application().octets(), record.skip(used).octets()].concat());
            }
            Err(error) => break Err(error),
        }
    };
    let text = |octets: &[u8]| octets.escape_ascii().to_string();
    let got = (text(out.octets()), ended.map(|left| text(&left)));
    assert_eq!(got, (text(sent), end.map(text)));
}
