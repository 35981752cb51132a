//! A server that webhooks are sent to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    headers: HashMap<String, String>,
    pub(crate) text: String,
}

impl Message {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("there is no {name}: {:?}", self.headers))
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Answers every request in the way that is set at that moment.
pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    answer: Arc<Mutex<Option<String>>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Answers with this status line, and more lines of the head if there are any.
    pub(crate) async fn new(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (messages, answer) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Mutex::new(Some(answer.to_owned()))));
        let serving = tokio::spawn({
            let (messages, answer) = (Arc::clone(&messages), Arc::clone(&answer));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&messages), Arc::clone(&answer)));
                }
            }
        });
        Self { url, messages, answer, serving }
    }

    /// From now on it answers otherwise.
    pub(crate) fn answers(&self, answer: &str) {
        *self.answer.lock().unwrap() = Some(answer.to_owned());
    }

    /// From now on it takes requests and never answers.
    pub(crate) fn falls_silent(&self) {
        *self.answer.lock().unwrap() = None;
    }

    /// What has come so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, messages: Arc<Mutex<Vec<Message>>>, answer: Arc<Mutex<Option<String>>>) {
    let Some(message) = read(&mut stream).await else { return };
    messages.lock().unwrap().push(message);
    let answer = answer.lock().unwrap().clone();
    let Some(answer) = answer else { return std::future::pending().await };
    let body = "thank you";
    let whole = format!("HTTP/1.1 {answer}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // Whoever went away does not read it.
    let _ = stream.write_all(whole.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Message> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let headers: HashMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Message { headers, text: String::from_utf8(bytes[end + 4..].to_vec()).unwrap() })
}
