//! Clients that abuse the protocol: their connection ends, and others are served.

use super::*;

/// Sends parts until the server closes the connection.
async fn flood(client: &mut Client, mut part: impl FnMut() -> Vec<u8>) {
    let mut sent = 0;
    let flooding = async {
        loop {
            let bytes = part();
            match client.0.write_all(&bytes).await {
                Ok(()) => sent += bytes.len(),
                Err(_closed) => break,
            }
            assert!(sent < 16 * 1024 * 1024, "the server reads on");
        }
    };
    timeout(TIMEOUT, flooding).await.expect("the server neither reads nor closes");
}

/// Checks that the only slot is free.
async fn serves(server: &Server) {
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn http2_streams_that_are_reset_at_once_end_their_connection() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut client = server.connect().await;
    client.0.write_all(&h2::begin()).await.unwrap();
    let mut stream = 1;
    flood(&mut client, || {
        let mut burst = Vec::new();
        for _ in 0..100 {
            burst.extend(h2::frame(h2::HEADERS, h2::END_STREAM_AND_HEADERS, stream, &h2::fields(b"/wait")));
            burst.extend(h2::frame(h2::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            stream += 2;
        }
        burst
    })
    .await;
    serves(&server).await;
}

#[tokio::test]
async fn an_endless_http2_head_ends_its_connection() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    // A header that is indexed, one of an empty name and value each, and an empty frame.
    for part in [vec![0x82; 16_000], [0x00, 0x01, b'a', 0x00].repeat(4_000), Vec::new()] {
        let mut client = server.connect().await;
        client.0.write_all(&h2::begin()).await.unwrap();
        client.0.write_all(&h2::frame(h2::HEADERS, 0, 1, &h2::fields(b"/"))).await.unwrap();
        flood(&mut client, || h2::frame(h2::CONTINUATION, 0, 1, &part).repeat(if part.is_empty() { 1_000 } else { 1 }))
            .await;
    }
    serves(&server).await;
}

#[tokio::test]
async fn a_request_has_at_most_100_headers() {
    let server = Server::start(generous()).await;
    for (repeated, status) in [(99, "200"), (100, "431"), (1_000, "431")] {
        let mut client = server.connect().await;
        client.send(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(repeated))).await;
        let answer = client.read_until(if status == "200" { "hello" } else { "rejected" }).await;
        assert_eq!(answer.get(9..12), Some(status), "{repeated}: {answer}");
    }
}

#[tokio::test]
async fn a_half_closed_connection_holds_nothing() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let body = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    for request in ["", "GET / HT", GET, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n", body] {
        let mut client = server.connect().await;
        client.send(request).await;
        client.0.shutdown().await.unwrap();
        // The end of the input counts as that of the client, unless the response is faster.
        let answer = client.read_to_close().await;
        let is_error = answer.starts_with("HTTP/1.1 4");
        assert!(answer.is_empty() || is_error || answer.ends_with("hello"), "{request}: {answer}");
    }
    serves(&server).await;
}
