//! One of two machines.

use crate::error::Error;
use crate::inside::Inside;
use crate::negotiate::{Negotiate, Next, Residue};
use crate::protocol::Row;
use crate::wire::{Frame, Out};

/// One of two machines of a side, chosen when the program runs, without an allocator. What both can
/// do without is not linked, as it is with a `Box<dyn Negotiate>`.
///
/// ```
/// use starttls::negotiate::Either;
/// use starttls::protocol::{Implicit, SMTP, smtp};
///
/// # fn example(implicit: bool) -> Result<(), starttls::Error> {
/// let machine = match implicit {
///     true => Either::One(Implicit::client(&SMTP)),
///     false => Either::Other(smtp::Client::new("client.example.org")?),
/// };
/// # drop(machine);
/// # Ok(())
/// # }
/// # example(true).and(example(false)).unwrap();
/// ```
#[derive(Debug)]
pub enum Either<A, B> {
    /// The one.
    One(A),
    /// The other.
    Other(B),
}

macro_rules! either {
    ($either:expr, $machine:ident => $work:expr) => {
        match $either {
            Self::One($machine) => $work,
            Self::Other($machine) => $work,
        }
    };
}

impl<A: Negotiate, B: Negotiate<Side = A::Side>> Negotiate for Either<A, B> {
    type Side = A::Side;

    fn row(&self) -> &'static Row {
        either!(self, machine => machine.row())
    }

    fn max_frame(&self) -> usize {
        either!(self, machine => machine.max_frame())
    }

    fn residue(&self) -> Residue {
        either!(self, machine => machine.residue())
    }

    fn requires_alpn(&self) -> bool {
        either!(self, machine => machine.requires_alpn())
    }

    fn inside(&mut self) -> Option<&mut (dyn Inside<Side = Self::Side> + '_)> {
        either!(self, machine => machine.inside())
    }

    fn allow_plaintext(&mut self) {
        either!(self, machine => machine.allow_plaintext());
    }

    fn start(&mut self, out: &mut Out<'_>) -> Result<Next, Error> {
        either!(self, machine => machine.start(out))
    }

    fn frame(&self, input: &[u8], scanned: usize) -> Result<Frame, Error> {
        either!(self, machine => machine.frame(input, scanned))
    }

    fn process(&mut self, frame: &[u8], behind: &[u8], out: &mut Out<'_>) -> Result<Next, Error> {
        either!(self, machine => machine.process(frame, behind, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::negotiate::{Client, Negotiation, Status};
    use crate::protocol::{IMAP, Implicit, POSTGRESQL, SMTP, imap, smtp};
    use crate::wire::{MAX_LINE, RecvBuf};

    fn either(implicit: bool) -> Either<Implicit<Client>, smtp::Client<'static>> {
        match implicit {
            true => Either::One(Implicit::client(&SMTP)),
            false => Either::Other(smtp::Client::new("client.example.org").unwrap()),
        }
    }

    fn negotiate(machine: impl Negotiate, replies: &[u8]) -> (Result<Status, Error>, usize) {
        let mut storage = [0; 2 * MAX_LINE];
        let mut recv = RecvBuf::new(&mut storage);
        recv.spare_mut()[..replies.len()].copy_from_slice(replies);
        recv.received(replies.len()).unwrap();
        let mut negotiation = Negotiation::new(machine);
        let (mut room, mut sent) = ([0; 64], 0);
        loop {
            let mut out = Out::new(&mut room);
            let status = negotiation.process(&mut recv, &mut out);
            sent += out.len();
            if status != Ok(Status::Progress) {
                return (status, sent);
            }
        }
    }

    #[test]
    fn it_is_the_machine_that_it_is() {
        const GREETING: &[u8] = b"220 mail\r\n";
        assert_eq!(negotiate(either(true), b""), (Ok(Status::Ready), 0));
        assert_eq!(negotiate(either(false), b""), (Ok(Status::NeedInput), 0));
        let hello = "EHLO client.example.org\r\n".len();
        assert_eq!(negotiate(either(false), GREETING), (Ok(Status::NeedInput), hello));
        assert_eq!(either(true).max_frame(), 0);
        assert_eq!(either(false).max_frame(), MAX_LINE);
        assert_eq!(either(true).residue(), Residue::Tls);
        assert_eq!(either(false).residue(), Residue::Forbid);
        assert_eq!(*either(true).row(), SMTP);
        assert!(either(true).inside().is_none() && !either(true).requires_alpn());
        let postgresql: Either<_, smtp::Client<'_>> = Either::One(Implicit::client(&POSTGRESQL));
        assert!(postgresql.requires_alpn() && *postgresql.row() == POSTGRESQL);
    }

    #[test]
    fn what_is_said_inside_is_that_of_the_machine() {
        let inside = || Implicit::client(&IMAP).then(imap::InsideClient::new([7; 16]));
        let mut one: Either<_, imap::Client> = Either::One(inside());
        assert!(one.inside().is_some());
        let mut other: Either<imap::Client, _> = Either::Other(inside());
        assert!(other.inside().is_some());
    }
}
