//! Endless and slow response bodies: the result is decided by the status, and little of the body is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{SHORT_TIMEOUT, TIMEOUT, local_client};
use crate::support::Receiver;
use crate::support::receiver::until_closed;

/// Maximum length of an excerpt in bytes.
const MAX_EXCERPT: usize = 8_192;

/// Upper bound of the bytes that a server can send: the buffers of the operating system, which belong to neither side.
const BUFFERED: usize = 32 * 1_048_576;

/// Sends the head and then pieces of a body until the client is gone or the size is reached. Returns the number of bytes
/// that were sent.
async fn pour(mut stream: TcpStream, head: &str, piece: &[u8], size: usize) -> usize {
    let mut sent = 0;
    stream.write_all(head.as_bytes()).await.unwrap();
    while sent < size && stream.write_all(piece).await.is_ok() {
        sent += piece.len();
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_beginning_of_a_huge_or_endless_body_is_read() {
    let plain = vec![b'x'; 65_536];
    let chunk = [b"10000\r\n", &plain[..], b"\r\n"].concat();
    for (head, piece, size) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", plain.clone(), 104_857_600),
        ("HTTP/1.1 200 OK\r\n\r\n", plain.clone(), usize::MAX),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, usize::MAX),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551610\r\n\r\n", plain.clone(), usize::MAX),
    ] {
        let (done, mut sent) = mpsc::unbounded_channel();
        let piece = Arc::new(piece);
        let receiver = Receiver::start(move |stream| {
            let (done, piece) = (done.clone(), Arc::clone(&piece));
            async move { done.send(pour(stream, head, &piece, size).await).unwrap() }
        });
        let outcome = local_client(TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
        assert!(outcome.is_success() && outcome.duration < TIMEOUT, "{head}: {outcome:?}");
        assert_eq!(outcome.excerpt.unwrap(), "x".repeat(MAX_EXCERPT), "{head}");
        let sent = tokio::time::timeout(TIMEOUT, sent.recv()).await.expect("the connection is closed").unwrap();
        assert!((MAX_EXCERPT..BUFFERED).contains(&sent), "{head}: {sent}");
    }
}

#[tokio::test]
async fn a_slow_body_is_truncated_at_the_timeout() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let receiver = Receiver::start(move |mut stream| {
        let sent = Arc::clone(&counted);
        async move {
            stream.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\nRetry-After: 7\r\n\r\n").await.unwrap();
            let mut drops = tokio::time::interval(SHORT_TIMEOUT / 30);
            while stream.write_all(b"x").await.is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
                drops.tick().await;
            }
        }
    });
    let outcome = local_client(SHORT_TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
    assert_eq!((outcome.status_code, &outcome.error), (Some(500), &None), "{outcome:?}");
    assert!(outcome.retry_after.is_some());
    assert!(outcome.duration >= SHORT_TIMEOUT && outcome.duration < TIMEOUT, "{outcome:?}");
    let excerpt = outcome.excerpt.unwrap();
    assert!(excerpt.bytes().all(|byte| byte == b'x'), "{excerpt}");
    assert!(excerpt.len() <= sent.load(Ordering::Relaxed), "{excerpt}");
}

#[tokio::test]
async fn a_slow_body_does_not_delay_the_result() {
    for status in [200, 500] {
        let receiver = Receiver::start(move |mut stream| async move {
            let head = format!("HTTP/1.1 {status} So\r\nContent-Length: 100000\r\n\r\nx");
            stream.write_all(head.as_bytes()).await.unwrap();
            until_closed(&mut stream).await;
        });
        let outcome = local_client(TIMEOUT).post(&receiver.url, &[], "{}".to_owned()).await;
        assert_eq!((outcome.status_code, outcome.excerpt.as_deref()), (Some(status), Some("x")), "{outcome:?}");
        assert!(outcome.duration < TIMEOUT / 3, "{outcome:?}");
    }
}

#[tokio::test]
async fn an_incomplete_or_binary_body_is_kept_as_received() {
    let client = local_client(TIMEOUT);
    for (answer, excerpt) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"[..], Some("half")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", Some("half")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na\0b\xff\xc3\xbc!", Some("a\u{fffd}b\u{fffd}ü!")),
        // The body is not unpacked.
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b", Some("\u{fffd}\u{fffd}")),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Some("until the end")),
    ] {
        let receiver = Receiver::saying_and_leaving(answer);
        let outcome = client.post(&receiver.url, &[], "{}".to_owned()).await;
        assert!(outcome.is_success(), "{outcome:?}");
        assert_eq!(outcome.excerpt.as_deref(), excerpt);
    }
}
