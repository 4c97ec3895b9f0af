//! What the examples that use rustls share.

use std::error::Error;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use starttls::tls::ClientTls;

/// TLS that takes a server for the one meant only if an authority in this file says so.
pub(crate) fn trusting(ca_file: &str) -> Result<ClientTls, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(ClientTls::new(Arc::new(config)))
}
