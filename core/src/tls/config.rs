//! The caller's configuration, checked once.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;

use super::connection::Connection;
use super::failure;
use super::opportunistic::Recorder;
use crate::error::{Error, Misuse};
use crate::protocol::Row;

/// How a client does TLS.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    opportunistic: Option<Arc<dyn ServerCertVerifier>>,
    alpn: bool,
}

impl ClientTls {
    /// Requires what `config` requires; its verifier has the last word.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, opportunistic: None, alpn: true }
    }

    /// Accepts any certificate (RFC 7435). `verifier` is asked as ever, in place of the one in
    /// `config`, and [`Session::security`](crate::session::Session::security) tells what it said.
    /// Every handshake is a full one, because a resumed one verifies nothing.
    pub fn opportunistic(config: Arc<ClientConfig>, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self { config, opportunistic: Some(verifier), alpn: true }
    }

    /// Sends no application protocol name unless `config` holds one.
    #[must_use]
    pub fn without_alpn(mut self) -> Self {
        self.alpn = false;
        self
    }

    /// Whether the protocol of `row` will be named.
    pub(crate) fn names(&self, row: &Row) -> bool {
        match &self.config.alpn_protocols {
            none if none.is_empty() => self.alpn && row.alpn.is_some(),
            own => is_named(own, row),
        }
    }

    pub(crate) fn connect(
        &self,
        row: &Row,
        name: ServerName<'static>,
    ) -> Result<Connection, Error> {
        let (config, recorder) = match &self.opportunistic {
            None => (self.config.clone(), None),
            Some(verifier) => {
                let recorder = Arc::new(Recorder::new(verifier.clone()));
                let mut config = ClientConfig::clone(&self.config);
                config.dangerous().set_certificate_verifier(recorder.clone());
                (Arc::new(config), Some(recorder))
            }
        };
        let client = match row.alpn {
            Some(alpn) if self.alpn && config.alpn_protocols.is_empty() => {
                let alpn = vec![alpn.as_bytes().to_vec()];
                UnbufferedClientConnection::new_with_alpn(config, name, alpn)
            }
            _ => UnbufferedClientConnection::new(config, name),
        };
        client
            .map(|client| Connection::client(client, recorder))
            .map_err(|error| Error::Tls(failure::classify(&error)))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opportunistic = self.opportunistic.is_some();
        f.debug_struct("ClientTls").field("opportunistic", &opportunistic).finish_non_exhaustive()
    }
}

fn is_named(names: &[Vec<u8>], row: &Row) -> bool {
    names.iter().any(|name| Some(name.as_slice()) == row.alpn.map(str::as_bytes))
}

/// A server name as TLS knows it: a DNS name or an IP address.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, Error> {
    match ServerName::try_from(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(Misuse::Name.into()),
    }
}

/// How a server does TLS.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Serves as `config` says.
    ///
    /// # Errors
    /// [`Misuse::TlsConfig`] if it accepts early data, which can be replayed (RFC 8446 §8) and is
    /// never application data here.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        if config.max_early_data_size > 0 {
            return Err(Misuse::TlsConfig.into());
        }
        Ok(Self { config })
    }

    /// Whether the protocol of `row` will be named, if it has to be.
    pub(crate) fn names(&self, row: &Row) -> bool {
        let own = &self.config.alpn_protocols;
        own.is_empty() && row.alpn.is_some() || is_named(own, row)
    }

    /// `required` is a name that has to be agreed on; otherwise the configuration's are offered.
    pub(crate) fn accept(&self, required: Option<&str>) -> Result<Connection, Error> {
        let config = match required {
            Some(alpn) if self.config.alpn_protocols.is_empty() => {
                let mut config = ServerConfig::clone(&self.config);
                config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
                Arc::new(config)
            }
            _ => self.config.clone(),
        };
        UnbufferedServerConnection::new(config)
            .map(Connection::server)
            .map_err(|error| Error::Tls(failure::classify(&error)))
    }
}
