//! Futures dropped at every point where they wait: nothing is lost, nothing is sent twice.

mod common;

use common::{Stutter, Tls, VERSIONS, once, pair_over, pattern};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::task::yield_now;

#[tokio::test]
async fn every_future_is_polled_once_and_dropped() {
    for version in VERSIONS {
        let tls = Tls::new(version);
        for (width, most, n) in [(16, 3, 40_000), (1000, 77, 60_000), (1 << 16, 1 << 16, 200_000)] {
            let (here, there) = duplex(width);
            let (here, there) = (Stutter::new(here, most), Stutter::new(there, most));
            let (mut client, mut server) = pair_over(&tls, here, there).await;
            let (data, mut dropped) = (pattern(n, 4), 0);
            let writing = async {
                let mut rest = &data[..];
                while !rest.is_empty() {
                    match once(client.write(rest)).await {
                        Some(taken) => rest = &rest[taken.unwrap()..],
                        None => dropped += 1,
                    }
                    yield_now().await;
                }
                while once(client.flush()).await.is_none() {
                    yield_now().await;
                }
                while once(client.shutdown()).await.is_none() {
                    yield_now().await;
                }
            };
            let reading = async {
                let (mut got, mut chunk) = (Vec::new(), [0; 500]);
                loop {
                    match once(server.read(&mut chunk)).await {
                        Some(Ok(0)) => break got,
                        Some(read) => got.extend_from_slice(&chunk[..read.unwrap()]),
                        None => yield_now().await,
                    }
                }
            };
            let (_, got) = tokio::join!(writing, reading);
            assert!(got == data, "width {width}, at most {most} octets at a time");
            assert_ne!(dropped, 0);
        }
    }
}

#[tokio::test]
async fn a_close_can_be_dropped_and_called_again() {
    let (here, there) = duplex(64);
    let tls = Tls::new(VERSIONS[1]);
    let (mut client, mut server) = pair_over(&tls, Stutter::new(here, 1), there).await;
    client.write_all(b"last words").await.unwrap();
    let closing = async {
        let mut polls = 1;
        while once(client.close_notify()).await.is_none() {
            polls += 1;
            yield_now().await;
        }
        assert!(polls > 10);
    };
    let mut words = Vec::new();
    let (_, read) = tokio::join!(closing, server.read_to_end(&mut words));
    assert_eq!((read.unwrap(), &words[..]), (10, &b"last words"[..]));
}
