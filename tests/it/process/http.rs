//! Minimal HTTP/1.1 client over a plain socket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::program::TIMEOUT;

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    /// Body as JSON; null if it is absent or something else.
    pub(super) body: Value,
    /// Raw body.
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self.body
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// Connects with timeouts.
pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Request head, ending with `extra`: lines that each end with CRLF.
pub(super) fn head(method: &str, path: &str, token: Option<&str>, extra: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}{extra}\r\n")
}

/// Headers of a JSON body.
pub(super) fn json_headers(body: &str) -> String {
    format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
}

/// Reads the response to the end of the connection.
pub(super) fn read(stream: &mut TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    answer(head, body)
}

fn answer(head: &str, text: &str) -> Answer {
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap_or_default() };
    Answer { status, head: head.to_owned(), body, text: text.to_owned() }
}

/// Sends a request to a server that may be killed; `None` unless the response is complete.
pub(super) fn attempt(address: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    (length == Some(body.len())).then(|| answer(head, body))
}

/// Sends a raw request and reads its response.
pub(super) fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    read(&mut stream)
}

pub(super) fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Answer {
    send(address, &head("GET", path, token, ""))
}

pub(super) fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let body = body.to_string();
    send(address, &(head("POST", path, token, &json_headers(&body)) + &body))
}
