//! Load generator: HTTP/1.1 over plain sockets, with prepared requests.
//!
//! It shares the machine with the servers, so it does as little as possible: it finds the end of a response by its
//! `Content-Length` and checks only the status. Any status other than 200 or 201 ends the measurement.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Number of connections, each with one request in flight.
const CONNECTIONS: usize = 16;

/// Persistent connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(32 * 1024) })
    }

    /// Sends a request and returns the body of a successful response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        let (status, body) = self.answer(request).await?;
        ensure!(matches!(status, 200 | 201), "status {status}: {}", String::from_utf8_lossy(body));
        Ok(body)
    }

    /// Sends a request and returns the status and the body.
    pub(crate) async fn answer(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, length) = read_head(&self.buffer[..head])?;
        while self.buffer.len() < head + length {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        }
        let body = &self.buffer[head..];
        ensure!(body.len() == length, "the answer is longer than its Content-Length");
        Ok((status, body))
    }

    /// Sends a request and parses the response as JSON.
    pub(crate) async fn json(&mut self, request: &[u8]) -> Result<Value> {
        let first_line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let context = || String::from_utf8_lossy(first_line).into_owned();
        let body = self.exchange(request).await.with_context(context)?;
        serde_json::from_slice(body).with_context(context)
    }
}

fn read_head(head: &[u8]) -> Result<(u16, usize)> {
    let mut lines = std::str::from_utf8(head)?.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("an answer without a status")?.parse()?;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            return Ok((status, value.trim().parse()?));
        }
    }
    bail!("status {status}, and no Content-Length")
}

/// Request without a body. It does not ask for compression, which the baseline does not support.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{}\r\n", headers(token)).into_bytes()
}

/// Request with a JSON body.
pub(crate) fn post(path: &str, token: &str, body: &Value) -> Vec<u8> {
    let (headers, body) = (headers(token), body.to_string());
    let length = body.len();
    let kind = "Content-Type: application/json";
    format!("POST {path} HTTP/1.1\r\n{headers}{kind}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn headers(token: &str) -> String {
    let host = "Host: 127.0.0.1\r\nUser-Agent: load\r\nAccept: application/json\r\n";
    if token.is_empty() { host.to_owned() } else { format!("{host}Authorization: Bearer {token}\r\n") }
}

/// Keeps all connections busy for a while, cycling through the requests. Returns the number of responses and the time until
/// the last one.
pub(crate) async fn load(
    address: SocketAddr,
    requests: &Arc<[Vec<u8>]>,
    duration: Duration,
) -> Result<(u32, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let requests = Arc::clone(requests);
        clients.spawn(async move {
            let mut answers = 0_u32;
            let mine = requests.iter().cycle().skip(number * requests.len() / CONNECTIONS);
            for request in mine {
                if start.elapsed() >= duration {
                    break;
                }
                connection.exchange(request).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(client) = clients.join_next().await {
        answers += client??;
    }
    Ok((answers, start.elapsed()))
}
