//! PostgreSQL with tokio-postgres over our stream: what does the server know of the channel?
//!
//! ```text
//! cargo run -p starttls-tokio --example postgresql -- db.example.org 5432 ca.pem user
//! ```
//!
//! With `PASSWORD` in the environment it logs in by that.
//!
//! tokio-postgres does not know that there is TLS below it, so it logs in by SCRAM-SHA-256 and not
//! by SCRAM-SHA-256-PLUS, which binds the login to the server's certificate (RFC 5929 §4). That
//! certificate was verified already; the binding is a second proof, of use where an authority may
//! have erred. A server lets a client do without it. Who wants it (`channel_binding=require`) puts
//! the stream into a type that implements `tokio_postgres::tls::TlsStream`, with a hash of the
//! first of [`Session::peer_certificates`](starttls::session::Session::peer_certificates), and
//! gives it to tokio-postgres by a `TlsConnect` with `SslMode::Require` and
//! `SslNegotiation::Direct`, where tokio-postgres itself asks the server for nothing.

#[path = "../../std/examples/common/mod.rs"]
mod common;

use std::env;
use std::error::Error;

use starttls::protocol::postgresql;
use starttls::tls::ClientTls;
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, ca_file, user] = &arguments[..] else {
        return Err("usage: [PASSWORD=…] postgresql HOST PORT CA-FILE USER".into());
    };
    let mut login = Config::new();
    login.user(user);
    if let Ok(password) = env::var("PASSWORD") {
        login.password(password);
    }
    let tls = common::trusting(ca_file)?;
    println!("{}", channel(host, port.parse()?, &tls, login).await?);
    Ok(())
}

/// The version of TLS and the cipher suite, as the server sees them.
async fn channel(
    host: &str,
    port: u16,
    tls: &ClientTls,
    mut login: Config,
) -> Result<String, Box<dyn Error>> {
    let transport = TcpStream::connect((host, port)).await?;
    let machine = postgresql::Client::new();
    let stream = starttls_tokio::connect(transport, machine, tls, host).await?;

    // The boundary. SSLRequest is answered and the server proved that it is `host`; tokio-postgres
    // begins with its StartupMessage, inside TLS. (A `CancelToken` connects again: give it a stream
    // of its own, with `cancel_query_raw`.)
    login.ssl_mode(SslMode::Disable);
    let (client, connection) = login.connect_raw(stream, NoTls).await?;
    let connection = tokio::spawn(connection);
    let query =
        "SELECT version || ' ' || cipher FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()";
    let row = client.query_one(query, &[]).await?;
    drop(client);
    connection.await??;
    Ok(row.try_get(0)?)
}
