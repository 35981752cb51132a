//! The server over real sockets: slow clients are cut, a full house waits, a stop is graceful.
//!
//! No test sleeps to wait for something: each reads until the server acts, within `TIMEOUT`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod event_streams;
mod h2;
mod hostile;
mod shutdown;
mod slots;
mod tls;
mod unread_bodies;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::stream::{self, StreamExt as _};
use pocket_tasks::server::{Limits, Reserved, Shutdown, Tls, serve};
use poem::{Body, Endpoint, Request, Response, endpoint::make, http::StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};

/// Far longer than any limit below, so that a slow machine fails no test.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The limit that a test is about.
const SHORT: Duration = Duration::from_millis(300);
/// Time enough to see that something does not happen.
const MOMENT: Duration = Duration::from_millis(100);

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// All limits out of the way; a test shortens the one it is about.
fn generous() -> Limits {
    let long = Duration::from_mins(1);
    Limits {
        header_timeout: long,
        idle_timeout: long,
        read_timeout: long,
        write_timeout: long,
        shutdown_grace: long,
        goaway_grace: long,
        reserved_connections: 0,
        ..Limits::default()
    }
}

fn reject(status: StatusCode) -> hyper::Response<String> {
    hyper::Response::builder().status(status).header("x-rejected", "yes").body("rejected".to_owned()).unwrap()
}

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    stopped: JoinHandle<io::Result<()>>,
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, None).await
    }

    async fn start_with(limits: Limits, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let shutdown = Shutdown::default();
        let endpoint = endpoint(Arc::clone(&entered), Arc::clone(&release));
        let stopped = tokio::spawn(serve(listener, endpoint, reject, limits, tls, shutdown.clone()));
        Self { address, shutdown, stopped, entered, release }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A connection whose request has reached its handler.
    async fn connect_and_enter(&self, path: &str) -> Client {
        let mut client = self.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        timeout(TIMEOUT, self.entered.notified()).await.expect("the handler was not called");
        client
    }

    async fn stops(self) {
        timeout(TIMEOUT, self.stopped).await.expect("the server did not stop").unwrap().unwrap();
    }
}

fn endpoint(entered: Arc<Notify>, release: Arc<Notify>) -> impl Endpoint {
    make(move |mut request: Request| {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        async move {
            match request.uri().path() {
                "/echo" => {
                    let body = request.take_body().into_bytes().await;
                    body.map_or_else(|_| StatusCode::REQUEST_TIMEOUT.into(), Response::from)
                }
                "/refuse" => refused(StatusCode::UNAUTHORIZED),
                "/first-byte" => {
                    let mut body = request.take_body().into_bytes_stream();
                    assert!(body.next().await.is_some());
                    refused(StatusCode::PAYLOAD_TOO_LARGE)
                }
                "/address" => Response::from(request.remote_addr().to_string()),
                "/large" => Response::builder().body(Body::from_bytes_stream(large())),
                "/slot" => slots::respond(&request),
                "/wait" => {
                    entered.notify_one();
                    release.notified().await;
                    Response::from("done")
                }
                "/events" => event_streams::respond(release),
                "/wait/events" => {
                    entered.notify_one();
                    release.notified().await;
                    event_streams::respond(release)
                }
                "/endless" => event_streams::respond_endlessly(),
                "/failing" => event_streams::respond_and_fail(),
                "/scheme" => Response::from(request.scheme().to_string()),
                "/panic" => panic!("a handler that the endpoint does not guard"),
                _ => Response::from("hello"),
            }
        }
    })
}

/// An empty error of a handler, which has a request id, unlike those of hyper.
fn refused(status: StatusCode) -> Response {
    Response::builder().status(status).header("x-request-id", "1").finish()
}

/// A body of 64 MiB in parts, so that the request is in flight until the client has read most of it.
fn large() -> impl futures_util::Stream<Item = io::Result<Vec<u8>>> {
    stream::repeat_with(|| Ok(vec![b'x'; 64 * 1024])).take(1024)
}

struct Client<S = TcpStream>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Everything until the server closes; being reset counts as closed.
    async fn read_to_close(&mut self) -> String {
        let mut bytes = Vec::new();
        let closed = timeout(TIMEOUT, self.0.read_to_end(&mut bytes)).await.expect("the connection is still open");
        assert!(!matches!(closed, Err(error) if error.kind() != io::ErrorKind::ConnectionReset));
        String::from_utf8(bytes).unwrap()
    }

    /// Reads on until `end` was read.
    async fn read_until(&mut self, end: &str) -> String {
        let mut read = String::new();
        while !read.ends_with(end) {
            let byte = timeout(TIMEOUT, self.0.read_u8()).await.expect("no answer").expect("closed before the answer");
            read.push(char::from(byte));
        }
        read
    }

    async fn is_silent(&mut self) -> bool {
        timeout(MOMENT, self.0.read_u8()).await.is_err()
    }

    /// Sends byte after byte, too slowly to be silent, until the server closes.
    async fn drip(&mut self, bytes: &[u8]) {
        let begin = Instant::now();
        for byte in bytes {
            if self.0.write_all(&[*byte]).await.is_err() {
                return;
            }
            match timeout(MOMENT, self.0.read_u8()).await {
                Err(_silence) => assert!(begin.elapsed() < TIMEOUT, "the dripping connection is still open"),
                Ok(Err(_closed)) => return,
                Ok(Ok(_)) => panic!("the server answered half a request"),
            }
        }
        panic!("all was dripped before the connection was closed");
    }

    async fn read_to_close_of_frames(&mut self) {
        let mut rest = Vec::new();
        let _ = timeout(TIMEOUT, self.0.read_to_end(&mut rest)).await.expect("the connection is still open");
    }
}

#[tokio::test]
async fn a_silent_connection_is_cut() {
    let server = Server::start(Limits { idle_timeout: SHORT, ..generous() }).await;
    let begin = Instant::now();
    assert_eq!(server.connect().await.read_to_close().await, "");
    assert!(begin.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_slowly_sent_header_is_cut() {
    let server = Server::start(Limits { header_timeout: SHORT, ..generous() }).await;
    let head = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(1000));
    server.connect().await.drip(head.as_bytes()).await;
}

#[tokio::test]
async fn a_slowly_sent_http2_preface_is_cut() {
    let server = Server::start(Limits { header_timeout: SHORT, ..generous() }).await;
    server.connect().await.drip(h2::PREFACE).await;
}

#[tokio::test]
async fn an_idle_keep_alive_connection_is_cut() {
    let server = Server::start(Limits { idle_timeout: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    assert!(client.read_to_close().await.ends_with("hello"));
}

#[tokio::test]
async fn half_a_body_is_cut() {
    let server = Server::start(Limits { read_timeout: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(client.read_to_close().await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn a_slow_body_that_keeps_coming_is_read() {
    let server = Server::start(Limits { read_timeout: SHORT * 2, ..generous() }).await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
    for part in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        assert!(client.is_silent().await);
        client.send(part).await;
    }
    client.read_until("\r\n\r\n123456789").await;
}

#[tokio::test]
async fn a_handler_may_take_longer_than_the_silence_of_its_client() {
    let limits = Limits { header_timeout: SHORT, idle_timeout: SHORT, read_timeout: SHORT, ..generous() };
    let server = Server::start(limits).await;
    let mut client = server.connect_and_enter("/wait").await;
    for _ in 0..5 {
        assert!(client.is_silent().await);
    }
    server.release.notify_one();
    client.read_until("done").await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let server = Server::start(Limits { write_timeout: SHORT, max_connections: 1, ..generous() }).await;
    let mut greedy = server.connect().await;
    greedy.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // The only slot comes free when, and only when, the first connection is gone.
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn a_connection_past_its_age_closes_after_its_answer() {
    let server = Server::start(Limits { max_connection_age: SHORT * 2, ..generous() }).await;
    let mut client = server.connect_and_enter("/wait").await;
    for _ in 0..8 {
        assert!(client.is_silent().await);
    }
    server.release.notify_one();
    let answer = client.read_to_close().await;
    assert!(answer.contains("connection: close") && answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_connection_beyond_the_cap_waits_for_its_turn() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let first = server.connect_and_enter("/wait").await;
    let mut second = server.connect().await;
    second.send(GET).await;
    assert!(second.is_silent().await);
    drop(first);
    second.read_until("hello").await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    client.send(&format!("{post}one{GET}{post}two")).await;
    client.read_until("\r\n\r\none").await;
    client.read_until("\r\n\r\nhello").await;
    client.read_until("\r\n\r\ntwo").await;
}

#[tokio::test]
async fn a_request_knows_its_client_and_the_response_no_server() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    let address = client.0.local_addr().unwrap();
    client.send("GET /address HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.read_until(&format!("\r\n\r\nsocket://{address}")).await;
    assert!(!answer.to_lowercase().contains("server:"), "{answer}");
}

#[tokio::test]
async fn non_http_input_gets_400_and_the_connection_is_closed() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    client.send("no HTTP at all\r\n\r\n").await;
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("\r\n\r\nrejected"), "{answer}");
    assert!(answer.contains("x-rejected: yes") && answer.contains("content-length: 8"), "{answer}");
}

#[tokio::test]
async fn non_http_input_behind_a_request_gets_400_after_its_answer() {
    let server = Server::start(generous()).await;
    for first in [GET, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"] {
        let mut client = server.connect().await;
        client.send(&format!("{first}no HTTP at all\r\n\r\n{}", "x".repeat(100_000))).await;
        let answer = client.read_to_close().await;
        let (first, second) = answer.split_once("\r\n\r\nhello").expect("the first request is answered");
        assert!(first.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(second.starts_with("HTTP/1.1 400") && second.ends_with("\r\n\r\nrejected"), "{answer}");
    }
}

#[tokio::test]
async fn a_request_needs_exactly_one_host() {
    let server = Server::start(generous()).await;
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a b/c\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", "200"),
        ("GET / HTTP/1.0\r\n\r\n", "200"),
    ] {
        let mut client = server.connect().await;
        client.send(head).await;
        let answer = client.read_until(if status == "400" { "rejected" } else { "hello" }).await;
        assert_eq!(answer.get(9..12), Some(status), "{head}");
    }
}

#[tokio::test]
async fn an_idle_connection_lives_longer_than_a_head() {
    let server = Server::start(Limits { header_timeout: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    let mut unused = server.connect().await;
    client.send(GET).await;
    client.read_until("hello").await;
    for _ in 0..5 {
        assert!(client.is_silent().await);
    }
    for client in [&mut client, &mut unused] {
        client.send(GET).await;
        client.read_until("hello").await;
    }
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_answered_with_431_and_closed() {
    let server = Server::start(Limits { max_header_bytes: 8192, ..generous() }).await;
    let mut client = server.connect().await;
    let head = format!("GET / HTTP/1.1\r\nX-Long: {}", "x".repeat(8192));
    client.send(&head[..8192]).await;
    let answer = client.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 431") && answer.ends_with("rejected"), "{answer}");
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_nothing_else() {
    let server = Server::start(Limits { max_connections: 1, ..generous() }).await;
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.read_to_close().await, "");
    let mut next = server.connect().await;
    next.send(GET).await;
    next.read_until("hello").await;
}

#[tokio::test]
async fn half_an_http2_preface_is_half_a_head() {
    let server = Server::start(Limits { header_timeout: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    client.send("PRI * HTT").await;
    assert_eq!(client.read_to_close().await, "");
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let server = Server::start(generous()).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/").await;
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"hello");
}

#[tokio::test]
async fn an_idle_http2_connection_is_cut_although_it_answers_pings() {
    let server = Server::start(Limits { idle_timeout: SHORT, ..generous() }).await;
    let mut client = server.connect().await;
    h2::get(&mut client, b"/").await;
    assert_eq!(h2::read_frame(&mut client, h2::DATA).await, b"hello");
    let ping = h2::read_frame(&mut client, h2::PING).await;
    h2::answer_ping(&mut client, &ping).await;
    client.read_to_close_of_frames().await;
}
