//! Implicit TLS: TLS from the first octet (RFC 8314), as a machine that is ready at once.

use core::marker::PhantomData;

use super::{POSTGRESQL, Row};
use crate::error::{Error, Misuse};
use crate::negotiate::{Client, Negotiate, Next, Residue, Server, Side};
use crate::wire::{Frame, Out};

/// No negotiation at all, in the role `S`. What the peer sends is TLS.
#[derive(Debug)]
pub struct Implicit<S> {
    row: &'static Row,
    side: PhantomData<S>,
}

impl Implicit<Client> {
    /// The client's side of implicit TLS for the protocol of `row`.
    pub fn client(row: &'static Row) -> Self {
        Self { row, side: PhantomData }
    }
}

impl Implicit<Server> {
    /// The server's side of implicit TLS for the protocol of `row`.
    pub fn server(row: &'static Row) -> Self {
        Self { row, side: PhantomData }
    }
}

impl<S: Side> Negotiate for Implicit<S> {
    type Side = S;

    fn row(&self) -> &'static Row {
        self.row
    }

    fn max_frame(&self) -> usize {
        0
    }

    fn residue(&self) -> Residue {
        Residue::Tls
    }

    fn requires_alpn(&self) -> bool {
        // The port is also that of the upgrade: the name is what rules out an attack across the
        // two (PostgreSQL 17, "SSL Session Encryption").
        *self.row == POSTGRESQL
    }

    fn start(&mut self, _: &mut Out<'_>) -> Result<Next, Error> {
        Ok(Next::Tls)
    }

    fn frame(&self, _: &[u8], _: usize) -> Result<Frame, Error> {
        Err(Misuse::Phase.into())
    }

    fn process(&mut self, _: &[u8], _: &[u8], _: &mut Out<'_>) -> Result<Next, Error> {
        Err(Misuse::Phase.into())
    }
}
