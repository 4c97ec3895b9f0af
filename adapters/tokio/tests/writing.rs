//! What one write becomes.

mod common;

use std::io::{ErrorKind, IoSlice};

use common::{Stutter, Tls, VERSIONS, pair, pair_over};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};

#[tokio::test]
async fn small_slices_share_a_record() {
    let (mut client, mut server) = pair(&Tls::new(VERSIONS[1]), 1 << 16).await;
    assert!(client.is_write_vectored());
    let long = [b'x'; 3000];
    let slices = [&b""[..], b"EHLO ", b"", b"client", &long, b"\r\n"].map(IoSlice::new);
    assert_eq!(client.write_vectored(&slices).await.unwrap(), 3013);
    // One record (RFC 8446 §5.2): content, its type and a tag of 16 octets.
    let mut record = [0; 5 + 3013 + 1 + 16];
    server.get_mut().read_exact(&mut record).await.unwrap();
    assert_eq!(record[..5], [23, 3, 3, 0x0b, 0xd6]);
    drop(client);
    assert_eq!(server.get_mut().read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn slices_arrive_in_order() {
    let (mut client, mut server) = pair(&Tls::new(VERSIONS[1]), 1 << 16).await;
    let (long, longer) = (vec![b'x'; 10_000], vec![b'y'; 40_000]);
    // Short ones are joined up to a full record; a long one goes by itself, a record at a time.
    for (slices, taken) in [
        ([&b"a"[..], &long, b"b", &longer], 16_384),
        ([&long[..], b"a", b"b", b"c"], 10_000),
        ([&longer[..], b"a", b"b", b"c"], 16_384),
        ([&b""[..], b"", b"", b""], 0),
    ] {
        let n = client.write_vectored(&slices.map(IoSlice::new)).await.unwrap();
        assert_eq!(n, taken);
        let mut got = vec![0; n];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, slices.concat()[..n]);
    }
}

#[tokio::test]
async fn a_failure_behind_a_write_comes_with_the_next_call() {
    let (here, there) = duplex(1 << 16);
    let tls = Tls::new(VERSIONS[1]);
    let (mut client, mut server) = pair_over(&tls, Stutter::new(here, 1 << 16), there).await;
    client.get_mut().fail = true;
    // It was sealed: to report it as not written would have it sent twice.
    assert_eq!(client.write(b"once").await.unwrap(), 4);
    assert_eq!(client.flush().await.unwrap_err().kind(), ErrorKind::HostUnreachable);
    // This transport has recovered.
    client.shutdown().await.unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"once");
}
