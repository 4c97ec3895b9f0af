//! LDAP with ldap3 over our stream: which directories does the server have?
//!
//! ```text
//! PASSWORD=secret cargo run -p starttls-tokio --example ldap -- \
//!     ldap.example.org 389 ca.pem cn=admin,dc=example,dc=org
//! ```
//!
//! ldap3 takes no stream but a socket: so it gets one end of a pair of sockets, and what it says
//! there is carried to our stream and back. That goes with every crate that wants a socket.

#[path = "../../std/examples/common/mod.rs"]
mod common;

use std::env;
use std::error::Error;
use std::os::unix::net::UnixStream;

use ldap3::{LdapConnAsync, LdapConnSettings, Scope, SearchEntry, StdStream};
use starttls::protocol::ldap;
use starttls::tls::ClientTls;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ([host, port, ca_file, name], Ok(password)) = (&arguments[..], env::var("PASSWORD")) else {
        return Err("usage: PASSWORD=… ldap HOST PORT CA-FILE BIND-NAME".into());
    };
    let tls = common::trusting(ca_file)?;
    for directory in directories(host, port.parse()?, &tls, name, &password).await? {
        println!("{directory}");
    }
    Ok(())
}

/// The naming contexts in the root DSE (RFC 4512 §5.1), as whoever bound sees them.
async fn directories(
    host: &str,
    port: u16,
    tls: &ClientTls,
    name: &str,
    password: &str,
) -> Result<Vec<String>, Box<dyn Error>> {
    let transport = TcpStream::connect((host, port)).await?;
    let mut stream = starttls_tokio::connect(transport, ldap::Client::new(), tls, host).await?;

    // The boundary. The server proved that it is `host`, and whatever goes into the pair goes
    // through TLS. ldap3 may count its messages from 1 again: StartTLS is answered.
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut ours = tokio::net::UnixStream::from_std(ours)?;
    let carried =
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut ours, &mut stream).await });

    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, "ldapi:///").await?;
    ldap3::drive!(connection);
    ldap.simple_bind(name, password).await?.success()?;
    let attributes = vec!["namingContexts"];
    let (entries, _) =
        ldap.search("", Scope::Base, "(objectClass=*)", attributes).await?.success()?;
    ldap.unbind().await?;
    // Here it comes out if the channel was cut: the pair of sockets just ends.
    carried.await??;

    let entries = entries.into_iter().map(SearchEntry::construct);
    Ok(entries.flat_map(|mut entry| entry.attrs.remove("namingContexts")).flatten().collect())
}
