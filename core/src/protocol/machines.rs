//! Machines chosen at run time, by the row of the table.

use alloc::boxed::Box;
use core::fmt;

use super::{Implicit, Names, Scheme};
use crate::error::{Error, Misuse};
use crate::negotiate::{Client, Negotiate, Server};

/// A client's machine for some protocol.
pub type ClientMachine<'a> = Box<dyn Negotiate<Side = Client> + Send + 'a>;

/// A server's machine for some protocol.
pub type ServerMachine<'a> = Box<dyn Negotiate<Side = Server> + Send + 'a>;

/// How a protocol's machines are made.
pub(crate) struct Machines {
    pub(super) client: for<'a> fn(Names<'a>) -> Result<ClientMachine<'a>, Error>,
    pub(super) server: for<'a> fn(Names<'a>) -> Result<ServerMachine<'a>, Error>,
}

impl Machines {
    /// There are none here: whoever has them makes them.
    pub(super) const NONE: Self =
        Self { client: |_| Err(Misuse::Phase.into()), server: |_| Err(Misuse::Phase.into()) };
}

impl fmt::Debug for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machines").finish_non_exhaustive()
    }
}

impl Scheme {
    /// The client's machine.
    ///
    /// # Errors
    /// [`Error::Misuse`] for names the protocol cannot carry, and for the row of a
    /// [foreign](super::Row::foreign) protocol.
    pub fn client<'a>(&self, names: Names<'a>) -> Result<ClientMachine<'a>, Error> {
        match self.implicit {
            true => Ok(Box::new(Implicit::client(self.row))),
            false => (self.row.machines.client)(names),
        }
    }

    /// The server's machine.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn server<'a>(&self, names: Names<'a>) -> Result<ServerMachine<'a>, Error> {
        match self.implicit {
            true => Ok(Box::new(Implicit::server(self.row))),
            false => (self.row.machines.server)(names),
        }
    }
}
