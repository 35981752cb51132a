//! Answers that are given before the body was read: neither they nor the next request are lost.

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::{GET, Server, TIMEOUT, generous};

/// Paths that do not read the body, and one that reads a part.
const PATHS: [&str; 2] = ["/refuse", "/first-byte"];

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[tokio::test]
async fn the_next_request_on_the_connection_is_answered() {
    let server = Server::start(generous()).await;
    for path in PATHS {
        for length in [1, 12, 900, 100_000, 900_000] {
            let mut client = server.connect().await;
            for _ in 0..3 {
                client.send(&head(path, length)).await;
                // In packets of their own.
                for part in "x".repeat(length).as_bytes().chunks(50_000) {
                    client.0.write_all(part).await.unwrap();
                    client.0.flush().await.unwrap();
                }
                let answer = client.read_until("\r\n\r\n").await;
                assert!(answer.starts_with("HTTP/1.1 4"), "{path} {length}: {answer}");
                assert!(!answer.contains("connection: close"), "{path} {length}: {answer}");
            }
            client.send(GET).await;
            client.read_until("hello").await;
        }
    }
}

#[tokio::test]
async fn the_answer_to_a_huge_body_arrives_and_says_that_the_connection_closes() {
    let server = Server::start(generous()).await;
    for path in PATHS {
        let mut client = server.connect().await;
        client.send(&head(path, 8 * 1024 * 1024)).await;
        // All of it is written before the answer is read, as simple clients do.
        let part = vec![b'x'; 64 * 1024];
        for _ in 0..128 {
            client.0.write_all(&part).await.unwrap();
        }
        let answer = client.read_to_close().await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_waits_to_be_told_to_send_gets_the_final_status() {
    let server = Server::start(generous()).await;
    let expecting = |path: &str| head(path, 5).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let mut client = server.connect().await;
    client.send(&expecting("/refuse")).await;
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    let mut client = server.connect().await;
    client.send(&expecting("/echo")).await;
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("hello").await;
    assert!(client.read_until("hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_never_comes_delays_its_answer_for_seconds_only() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send(&head("/refuse", 100)).await;
    client.send("half").await;
    let answer = timeout(TIMEOUT, client.read_until("\r\n\r\n")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}
