//! Machines chosen at run time, by the row of the table.

use alloc::boxed::Box;

use super::{Implicit, MACHINES, Names, Scheme, TABLE};
use crate::error::{Error, Misuse};
use crate::inside::Inside;
use crate::negotiate::{Client, Negotiate, Server};

/// A client's machine for some protocol.
pub type ClientMachine<'a> = Box<dyn Negotiate<Side = Client> + Send + 'a>;

/// A server's machine for some protocol.
pub type ServerMachine<'a> = Box<dyn Negotiate<Side = Server> + Send + 'a>;

/// What a client of some protocol says first inside TLS.
pub type InsideClient<'a> = Box<dyn Inside<Side = Client> + Send + 'a>;

/// What a server of some protocol says first inside TLS.
pub type InsideServer<'a> = Box<dyn Inside<Side = Server> + Send + 'a>;

/// How a protocol's machines are made. Those for the inside are told whether TLS is implicit.
pub(crate) struct Machines {
    pub(super) client: for<'a> fn(Names<'a>) -> Result<ClientMachine<'a>, Error>,
    pub(super) server: for<'a> fn(Names<'a>) -> Result<ServerMachine<'a>, Error>,
    pub(super) inside_client: for<'a> fn(Names<'a>, bool) -> Result<InsideClient<'a>, Error>,
    pub(super) inside_server: for<'a> fn(Names<'a>, bool) -> Result<InsideServer<'a>, Error>,
}

impl Scheme {
    /// There are none for a [foreign](super::Row::foreign) protocol: whoever has them makes them.
    fn machines(&self) -> Result<&'static Machines, Error> {
        let mut rows = TABLE.iter().zip(MACHINES);
        let found = rows.find(|(row, _)| **row == self.row);
        found.map(|(_, machines)| *machines).ok_or(Misuse::Phase.into())
    }

    /// The client's machine.
    ///
    /// # Errors
    /// [`Error::Misuse`] for names the protocol cannot carry, and for the row of a
    /// [foreign](super::Row::foreign) protocol.
    pub fn client<'a>(&self, names: Names<'a>) -> Result<ClientMachine<'a>, Error> {
        match self.implicit {
            true => Ok(Box::new(Implicit::client(self.row))),
            false => (self.machines()?.client)(names),
        }
    }

    /// The server's machine.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn server<'a>(&self, names: Names<'a>) -> Result<ServerMachine<'a>, Error> {
        match self.implicit {
            true => Ok(Box::new(Implicit::server(self.row))),
            false => (self.machines()?.server)(names),
        }
    }

    /// What the client says first inside TLS, up to a known state of the channel.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn inside_client<'a>(&self, names: Names<'a>) -> Result<InsideClient<'a>, Error> {
        (self.machines()?.inside_client)(names, self.implicit)
    }

    /// What the server says first inside TLS, up to the first command for its application.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn inside_server<'a>(&self, names: Names<'a>) -> Result<InsideServer<'a>, Error> {
        (self.machines()?.inside_server)(names, self.implicit)
    }
}
