//! From the first octet to a secured channel and a clean close, over pipes of any width.

mod common;

use common::{NAME, SMALL_TO_LARGE, Tls, VERSIONS, pair};
use starttls::protocol::{Implicit, SMTP};
use starttls::tls::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

#[tokio::test]
async fn every_pipe_and_version() {
    for (versions, version) in VERSIONS.into_iter().zip([Version::Tls12, Version::Tls13]) {
        let tls = Tls::new(versions);
        for width in SMALL_TO_LARGE {
            let (mut client, mut server) = pair(&tls, width).await;
            assert_eq!(client.session().version(), Some(version));
            assert_eq!(server.session().version(), Some(version));
            // The client's Finished is sent, and the server's tickets where there is room.
            assert_eq!(client.session().transmit(), b"");
            let tickets_wait = version == Version::Tls13 && width < 1024;
            assert_eq!(!server.session().transmit().is_empty(), tickets_wait);

            let (sent, received) = tokio::join!(
                async {
                    client.write_all(b"EHLO client.example.org\r\n").await.unwrap();
                    client.shutdown().await.unwrap();
                    client.shutdown().await.unwrap();
                    let mut all = Vec::new();
                    client.read_to_end(&mut all).await.map(|_| all).unwrap()
                },
                async {
                    let mut all = Vec::new();
                    server.read_to_end(&mut all).await.unwrap();
                    // The client has closed; what the server has to say still arrives in TLS 1.3.
                    if version == Version::Tls13 {
                        server.write_all(b"250 hello\r\n").await.unwrap();
                    }
                    server.shutdown().await.unwrap();
                    all
                },
            );
            assert_eq!(received, b"EHLO client.example.org\r\n");
            let said: &[u8] = if version == Version::Tls13 { b"250 hello\r\n" } else { b"" };
            assert_eq!(sent, said);
        }
    }
}

#[tokio::test]
async fn implicit_tls() {
    let tls = Tls::new(VERSIONS[1]);
    let (here, there) = duplex(64);
    let (client, server) = tokio::join!(
        starttls_tokio::connect(here, Implicit::client(&SMTP), &tls.client, NAME),
        starttls_tokio::accept(there, Implicit::server(&SMTP), &tls.server),
    );
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let mut greeting = [0; 7];
    tokio::join!(
        async {
            server.write_all(b"220 x\r\n").await.unwrap();
            server.flush().await.unwrap();
        },
        async { client.read_exact(&mut greeting).await.unwrap() },
    );
    assert_eq!(&greeting, b"220 x\r\n");
}
