//! Machines chosen at run time, by the row of the table.

use alloc::boxed::Box;

use super::{Implicit, Mail, Scheme, smtp};
use crate::error::{Error, Misuse};
use crate::negotiate::{Client, Negotiate, Server};

/// A client's machine for some protocol.
pub type ClientMachine<'a> = Box<dyn Negotiate<Side = Client> + Send + 'a>;

/// A server's machine for some protocol.
pub type ServerMachine<'a> = Box<dyn Negotiate<Side = Server> + Send + 'a>;

/// The names that protocols exchange before TLS.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// What this side calls itself: the domain of EHLO, or of a server's greeting.
    pub own: &'a str,
    /// A server's extension lines, where its protocol has them.
    pub extensions: &'a [&'a str],
}

impl Scheme {
    /// The client's machine.
    ///
    /// # Errors
    /// [`Error::Misuse`] for names the protocol cannot carry.
    pub fn client<'a>(&self, names: Names<'a>) -> Result<ClientMachine<'a>, Error> {
        Ok(match self.row.mail {
            _ if self.implicit => Box::new(Implicit::client(self.row)),
            Some(Mail::Smtp) => Box::new(smtp::Client::new(names.own)?),
            Some(Mail::Lmtp) => Box::new(smtp::Client::lmtp(names.own)?),
            None => return Err(Misuse::Phase.into()),
        })
    }

    /// The server's machine.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub fn server<'a>(&self, names: Names<'a>) -> Result<ServerMachine<'a>, Error> {
        Ok(match self.row.mail {
            _ if self.implicit => Box::new(Implicit::server(self.row)),
            Some(Mail::Smtp) => Box::new(smtp::Server::new(names.own, names.extensions)?),
            Some(Mail::Lmtp) => Box::new(smtp::Server::lmtp(names.own, names.extensions)?),
            None => return Err(Misuse::Phase.into()),
        })
    }
}
