//! Reading and writing at once: neither half waits for the other.

mod common;

use std::future::poll_fn;
use std::task::Poll;

use common::{NAME, Tls, VERSIONS, client, pair, pattern};
use starttls::error::TlsError;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, duplex, split,
};
use tokio::join;
use tokio::net::TcpStream;

async fn send(mut half: impl AsyncWrite + Unpin, data: &[u8]) {
    half.write_all(data).await.unwrap();
    half.flush().await.unwrap();
}

async fn receive(mut half: impl AsyncRead + Unpin, n: usize) -> Vec<u8> {
    let mut data = vec![0; n];
    half.read_exact(&mut data).await.unwrap();
    data
}

#[tokio::test]
async fn both_sides_write_before_either_reads_enough() {
    for version in VERSIONS {
        let tls = Tls::new(version);
        for (width, n) in [(1, 20_000), (64, 200_000), (1024, 8 << 20)] {
            let (client, server) = pair(&tls, width).await;
            let ((client_in, client_out), (server_in, server_out)) = (split(client), split(server));
            let (up, down) = (pattern(n, 1), pattern(n, 2));
            let (_, _, got_up, got_down) = join!(
                send(client_out, &up),
                send(server_out, &down),
                receive(server_in, n),
                receive(client_in, n),
            );
            assert!(got_up == up && got_down == down, "width {width}");
        }
    }
}

#[tokio::test]
async fn copied_in_both_directions() {
    for version in VERSIONS {
        let (client, mut server) = pair(&Tls::new(version), 1000).await;
        let (mut inner, echo) = duplex(500);
        let data = pattern(300_000, 3);
        let echoing = async {
            let (mut echo_in, mut echo_out) = split(echo);
            tokio::io::copy(&mut echo_in, &mut echo_out).await.unwrap();
            echo_out.shutdown().await.unwrap();
        };
        let using = async {
            let (mut client_in, mut client_out) = split(client);
            let ((), got) = join!(send(&mut client_out, &data), receive(&mut client_in, 300_000));
            assert!(got == data);
            // Only now: TLS 1.2 has no half-close.
            client_out.shutdown().await.unwrap();
            assert_eq!(client_in.read(&mut [0]).await.unwrap(), 0);
        };
        let (copied, (), ()) = join!(copy_bidirectional(&mut server, &mut inner), echoing, using);
        assert_eq!(copied.unwrap(), (300_000, 300_000));
    }
}

const FORGED: &[u8] = b"\x17\x03\x03\x00\x20no such record, 32 octets long..";

/// A reader that fails offers the transport an alert, in the name of the writer that waits: the
/// writer learns of the failure although the peer takes nothing.
#[tokio::test]
async fn a_failed_read_wakes_the_writer() {
    let (client, mut server) = pair(&Tls::new(VERSIONS[1]), 4096).await;
    let (mut client_in, mut client_out) = split(client);
    // Tasks of their own: each is polled only when it is woken.
    let writer = tokio::spawn(async move { client_out.write_all(&[0; 40_000]).await });
    let reader = tokio::spawn(async move { client_in.read(&mut [0]).await });
    tokio::task::yield_now().await;
    server.get_mut().write_all(FORGED).await.unwrap();
    for error in [reader.await.unwrap().unwrap_err(), writer.await.unwrap().unwrap_err()] {
        assert_eq!(common::session_error(&error), starttls::Error::Tls(TlsError::Decrypt));
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

#[tokio::test]
async fn a_failed_read_tells_the_peer() {
    for version in VERSIONS {
        let (mut client, mut server) = pair(&Tls::new(version), 4096).await;
        server.get_mut().write_all(FORGED).await.unwrap();
        client.read(&mut [0]).await.unwrap_err();
        let error = server.read(&mut [0]).await.unwrap_err();
        // bad_record_mac (RFC 8446 §6.2)
        let alert = starttls::Error::Tls(TlsError::AlertReceived(20));
        assert_eq!(common::session_error(&error), alert);
    }
}

/// A read leaves the transport's writing half alone, even with octets waiting to be sent.
#[tokio::test]
async fn a_read_does_not_send() {
    let (mut client, mut server) = pair(&Tls::new(VERSIONS[1]), 64).await;
    // The server's tickets wait; more than the pipe holds.
    let waiting = server.session().transmit().len();
    assert_ne!(waiting, 0);
    client.write_all(b"to be read").await.unwrap();
    let mut ten = [0; 10];
    server.read_exact(&mut ten).await.unwrap();
    assert_eq!(&ten, b"to be read");
    assert_eq!(server.session().transmit().len(), waiting);
    // And a reader that waits does not either.
    let mut read = std::pin::pin!(client.read(&mut ten));
    assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
}

#[test]
fn futures_and_streams_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    let tls = Tls::new(VERSIONS[1]);
    let future = async {
        let transport = TcpStream::connect("127.0.0.1:9").await.unwrap();
        starttls_tokio::connect(transport, client(), &tls.client, NAME).await.unwrap()
    };
    sent(&future);
    fn stream<F: Future<Output: Send>>(_: &F) {}
    stream(&future);
}
