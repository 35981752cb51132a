//! Event streams: what reaches the client, and what ends them.

use futures_util::StreamExt as _;
use poem::http::header;

use super::*;

const GET_EVENTS: &str = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n";
const FIRST: &str = "data: first\n\n";
const LAST: &str = "data: last\n\n";

/// An event at once, another and the end when `release` is notified.
pub(super) fn respond(release: Arc<Notify>) -> Response {
    let last = stream::once(async move {
        release.notified().await;
        LAST
    });
    streamed(stream::iter([FIRST, ""]).chain(last).map(Ok))
}

/// Endless events.
pub(super) fn respond_endlessly() -> Response {
    streamed(stream::repeat_with(|| Ok("data: and so on and so forth\n\n")))
}

/// An event, and then something goes wrong.
pub(super) fn respond_and_fail() -> Response {
    streamed(stream::iter([Ok(FIRST), Err(io::Error::other("for the test"))]))
}

fn streamed(events: impl futures_util::Stream<Item = io::Result<&'static str>> + Send + 'static) -> Response {
    Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(Body::from_bytes_stream(events))
}

/// The chunk of a text (RFC 9112, section 7.1).
fn chunk(text: &str) -> String {
    format!("{:X}\r\n{text}\r\n", text.len())
}

#[tokio::test]
async fn a_stream_of_events_comes_in_chunks_as_they_happen_and_closes_its_connection() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    let begin = client.read_until(&chunk(FIRST)).await;
    let (head, rest) = begin.split_once("\r\n\r\n").unwrap();
    assert_eq!(rest, chunk(FIRST));
    let lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    for line in ["content-type: text/event-stream", "transfer-encoding: chunked", "connection: close"] {
        assert!(lines.contains(&line), "{head}");
    }
    assert!(client.is_silent().await);
    server.release.notify_one();
    assert_eq!(client.read_to_close().await, format!("{}0\r\n\r\n", chunk(LAST)));
}

#[tokio::test]
async fn a_stream_of_events_may_follow_other_answers_on_its_connection() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    // In one packet, so that hyper has read all of it before it answers the first.
    client.send(&format!("{GET}{GET_EVENTS}{GET}")).await;
    client.read_until("\r\n\r\nhello").await;
    client.read_until(&format!("\r\n\r\n{}", chunk(FIRST))).await;
    server.release.notify_one();
    // The pipelined request is not answered: the head has announced that the connection closes.
    assert_eq!(client.read_to_close().await, format!("{}0\r\n\r\n", chunk(LAST)));
}

#[tokio::test]
async fn a_stream_of_events_ends_with_its_client() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    // The only slot becomes free exactly when the stream is dropped.
    drop(client);
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn a_stream_whose_client_never_reads_is_cut() {
    let server = Server::start(Limits { write_timeout: SHORT, max_connections: 1, ..generous() }).await;
    let mut greedy = server.connect().await;
    greedy.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
    greedy.read_until("\r\n\r\n").await;
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn a_client_that_keeps_sending_to_its_stream_is_not_read_and_holds_nothing_afterwards() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    client.send(GET).await;
    assert!(client.is_silent().await);
    let bytes = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while let Ok(count) = timeout(MOMENT, client.0.write(&bytes)).await {
        sent += count.unwrap();
        // Buffers of the system take some megabytes.
        assert!(sent < 64 * 1024 * 1024, "the server reads on");
    }
    server.release.notify_one();
    client.read_until(&format!("{}0\r\n\r\n", chunk(LAST))).await;
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn a_stream_that_begins_late_outlives_the_age_of_its_connection() {
    let age = SHORT * 4;
    let server = Server::start(Limits { max_connection_age: age, shutdown_grace: SHORT / 3, ..generous() }).await;
    let mut client = server.connect().await;
    let begin = Instant::now();
    while begin.elapsed() < age * 2 / 3 {
        client.send(GET).await;
        client.read_until("hello").await;
        assert!(client.is_silent().await);
    }
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    while begin.elapsed() < age + SHORT {
        assert!(client.is_silent().await);
    }
    server.release.notify_one();
    assert_eq!(client.read_to_close().await, format!("{}0\r\n\r\n", chunk(LAST)));
}

#[tokio::test]
async fn a_stream_of_events_that_fails_does_not_look_as_if_it_had_ended() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send("GET /failing HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // A complete response ends with an empty chunk.
    assert!(!client.read_to_close().await.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_stream_of_events_past_the_age_of_its_connection_is_cut_after_the_grace() {
    let limits = Limits { max_connection_age: SHORT, shutdown_grace: SHORT, ..generous() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    let begin = Instant::now();
    client.send(GET_EVENTS).await;
    assert!(client.read_to_close().await.ends_with(&chunk(FIRST)));
    assert!(begin.elapsed() >= SHORT * 2);
}

#[tokio::test]
async fn a_stream_of_events_may_end_by_itself_during_shutdown() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    server.shutdown.closing.cancel();
    assert!(client.is_silent().await);
    server.release.notify_one();
    assert_eq!(client.read_to_close().await, format!("{}0\r\n\r\n", chunk(LAST)));
    server.stops().await;
}

#[tokio::test]
async fn a_stream_of_events_that_begins_during_shutdown_is_written_too() {
    let server = Server::start(generous()).await;
    let mut client = server.connect_and_enter("/wait/events").await;
    server.shutdown.closing.cancel();
    assert!(client.is_silent().await);
    server.release.notify_one();
    client.read_until(&chunk(FIRST)).await;
    server.release.notify_one();
    assert_eq!(client.read_to_close().await, format!("{}0\r\n\r\n", chunk(LAST)));
    server.stops().await;
}

#[tokio::test]
async fn a_stream_of_events_that_does_not_end_is_dropped_after_the_grace() {
    let server = Server::start(Limits { shutdown_grace: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    server.shutdown.closing.cancel();
    assert_eq!(client.read_to_close().await, "");
    server.stops().await;
}

#[tokio::test]
async fn dropping_the_server_drops_its_streams_of_events() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send(GET_EVENTS).await;
    client.read_until(&chunk(FIRST)).await;
    server.stopped.abort();
    assert_eq!(client.read_to_close().await, "");
}

#[tokio::test]
async fn http_1_0_has_a_stream_of_events_without_chunks() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send("GET /events HTTP/1.0\r\nHost: a\r\n\r\n").await;
    client.read_until(&format!("\r\n\r\n{FIRST}")).await;
    server.release.notify_one();
    assert_eq!(client.read_to_close().await, LAST);
}

#[tokio::test]
async fn the_head_of_a_stream_of_events_is_all_that_head_asks_for() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send(&format!("HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await;
    let answers = client.read_until("hello").await;
    assert!(answers.contains("content-type: text/event-stream") && !answers.contains("data:"), "{answers}");
}

#[tokio::test]
async fn http2_has_streams_of_events_beside_other_requests() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/events").await;
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, FIRST.as_bytes());
    // An empty DATA frame is not the end here.
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"");
    server.release.notify_one();
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, LAST.as_bytes());
}
