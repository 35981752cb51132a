//! A minimal HTTP/1.1 client that sends prepared requests.
//!
//! The client shares the machine with the server, so it does little: it finds the end of a response by its
//! `Content-Length` and looks at the status only.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A kept-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(32 * 1024) })
    }

    /// Sends a request and returns the body of the response, whose status must be 200 or 201.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        let (status, body) = self.send(request).await?;
        ensure!(matches!(status, 200 | 201), "status {status}: {}", String::from_utf8_lossy(body));
        Ok(body)
    }

    /// Sends a request and returns the status and the body of the response.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
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
        ensure!(body.len() == length, "the response is longer than its Content-Length");
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
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).context("a response without a status")?.parse()?;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            return Ok((status, value.trim().parse()?));
        }
    }
    bail!("status {status}, and no Content-Length")
}

/// Builds a request without a body.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{}\r\n", headers(token)).into_bytes()
}

/// Builds a request with a JSON body.
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
