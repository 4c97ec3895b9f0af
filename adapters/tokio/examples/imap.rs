//! IMAP with async-imap over our stream: how many messages are in the inbox?
//!
//! ```text
//! PASSWORD=secret cargo run -p starttls-tokio --example imap -- mail.example.org 143 ca.pem user
//! ```
//!
//! async-imap takes any stream that has TLS behind it, and after STARTTLS there is no greeting for
//! it to wait for (RFC 9051 §6.2.1).

#[path = "../../std/examples/common/mod.rs"]
mod common;

use std::env;
use std::error::Error;

use async_imap::Client;
use starttls::protocol::imap;
use starttls::tls::ClientTls;
use tokio::net::TcpStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ([host, port, ca_file, user], Ok(password)) = (&arguments[..], env::var("PASSWORD")) else {
        return Err("usage: PASSWORD=… imap HOST PORT CA-FILE USER".into());
    };
    let tls = common::trusting(ca_file)?;
    let count = count(host, port.parse()?, &tls, user, &password).await?;
    println!("{count} messages");
    Ok(())
}

/// The messages in a user's inbox.
async fn count(
    host: &str,
    port: u16,
    tls: &ClientTls,
    user: &str,
    password: &str,
) -> Result<u32, Box<dyn Error>> {
    // Octets nobody can guess, so that nobody answers our commands before we send them.
    let mut random = [0; 16];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(rustls::Error::from)?;
    let transport = TcpStream::connect((host, port)).await?;
    let stream = starttls_tokio::connect(transport, imap::Client::new(random), tls, host).await?;

    // The boundary. The server proved by its certificate that it is `host`, and what async-imap
    // reads from here on it said inside TLS; what was said before is gone.
    let mut session =
        Client::new(stream).login(user, password).await.map_err(|(error, _)| error)?;
    let inbox = session.select("INBOX").await?;
    session.logout().await?;
    Ok(inbox.exists)
}
