//! The ends of a stream, told apart.

mod common;

use std::io::ErrorKind;

use common::{Tls, VERSIONS, pair, session_error};
use starttls::error::{Error, Misuse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn half_close_leaves_the_transport_open() {
    let (mut client, mut server) = pair(&Tls::new(VERSIONS[1]), 1 << 16).await;
    client.write_all(b"all").await.unwrap();
    client.close_notify().await.unwrap();
    client.close_notify().await.unwrap();

    let mut all = Vec::new();
    server.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"all");
    // The peer has closed, and goes on reading.
    server.write_all(b"thanks").await.unwrap();
    server.flush().await.unwrap();
    let mut thanks = [0; 6];
    client.read_exact(&mut thanks).await.unwrap();
    assert_eq!(&thanks, b"thanks");

    let late = client.write(b"more").await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::BrokenPipe);
    assert_eq!(session_error(&late), Error::Misuse(Misuse::Phase));

    // The transport is open in that direction too.
    client.get_mut().write_all(b"!").await.unwrap();
    assert_eq!(server.get_mut().read_u8().await.unwrap(), b'!');

    server.shutdown().await.unwrap();
    assert_eq!(client.read(&mut thanks).await.unwrap(), 0);
    assert_eq!(client.read(&mut thanks).await.unwrap(), 0);
}

#[tokio::test]
async fn truncation_is_no_end_of_file() {
    for version in VERSIONS {
        let (mut client, mut server) = pair(&Tls::new(version), 1 << 16).await;
        server.write_all(b"cut sh").await.unwrap();
        server.flush().await.unwrap();
        // The transport ends, without close_notify.
        server.get_mut().shutdown().await.unwrap();

        let mut read = Vec::new();
        for _ in 0..2 {
            let error = client.read_to_end(&mut read).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            assert_eq!(session_error(&error), Error::Truncated);
            assert_eq!(read, b"cut sh");
        }
        // What ended is the peer's writing half.
        client.write_all(b"still here").await.unwrap();
        client.flush().await.unwrap();
        let mut here = [0; 10];
        server.read_exact(&mut here).await.unwrap();
        assert_eq!(&here, b"still here");
    }
}

#[tokio::test]
async fn a_dropped_stream_is_a_truncation() {
    let (mut client, server) = pair(&Tls::new(VERSIONS[1]), 1 << 16).await;
    drop(server);
    let error = client.read(&mut [0]).await.unwrap_err();
    assert_eq!(session_error(&error), Error::Truncated);
}
