//! A certificate, and both configurations.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use starttls::tls::{ClientTls, ServerTls};

pub(crate) fn tls() -> (ClientTls, ServerTls) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let chain = vec![key.cert.der().clone()];
    let mut roots = RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (ClientTls::new(Arc::new(client)), ServerTls::new(Arc::new(server)).unwrap())
}
