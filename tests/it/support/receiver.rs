//! A server that webhooks are sent to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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

/// How a request is answered.
#[derive(Clone)]
enum Manner {
    /// With this status line, and more lines of the head if there are any.
    At(String),
    /// The same, when it is let go.
    Held(String, Arc<Semaphore>),
    /// With 200, and a body that does not end.
    Dripping,
    /// Not at all.
    Silent,
}

/// Answers every request in the way that is set at that moment.
pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    manner: Arc<Mutex<Manner>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Answers with this status line, and more lines of the head if there are any.
    pub(crate) async fn new(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let manner = Arc::new(Mutex::new(Manner::At(answer.to_owned())));
        let messages = Arc::<Mutex<Vec<_>>>::default();
        let serving = tokio::spawn({
            let (messages, manner) = (Arc::clone(&messages), Arc::clone(&manner));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&messages), Arc::clone(&manner)));
                }
            }
        });
        Self { url, messages, manner, serving }
    }

    /// From now on it answers otherwise.
    pub(crate) fn answers(&self, answer: &str) {
        *self.manner.lock().unwrap() = Manner::At(answer.to_owned());
    }

    /// From now on it takes requests and never answers.
    pub(crate) fn falls_silent(&self) {
        *self.manner.lock().unwrap() = Manner::Silent;
    }

    /// From now on it says at once that all is well, and then goes on talking.
    pub(crate) fn drips(&self) {
        *self.manner.lock().unwrap() = Manner::Dripping;
    }

    /// From now on it keeps answers back until the door is opened: by a permit for each.
    pub(crate) fn holds(&self, answer: &str) -> Arc<Semaphore> {
        let door = Arc::new(Semaphore::new(0));
        *self.manner.lock().unwrap() = Manner::Held(answer.to_owned(), Arc::clone(&door));
        door
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

async fn serve(mut stream: TcpStream, messages: Arc<Mutex<Vec<Message>>>, manner: Arc<Mutex<Manner>>) {
    let Some(message) = read(&mut stream).await else { return };
    let manner = {
        // Under one lock, so that who has seen the message knows how it is answered.
        let mut messages = messages.lock().unwrap();
        messages.push(message);
        manner.lock().unwrap().clone()
    };
    let answer = match manner {
        Manner::At(answer) => answer,
        Manner::Held(answer, door) => {
            door.acquire().await.unwrap().forget();
            answer
        }
        Manner::Dripping => return drip(stream).await,
        Manner::Silent => return std::future::pending().await,
    };
    let body = "thank you";
    let whole = format!("HTTP/1.1 {answer}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // Whoever went away does not read it.
    let _ = stream.write_all(whole.as_bytes()).await;
}

async fn drip(mut stream: TcpStream) {
    let mut drops = tokio::time::interval(Duration::from_millis(100));
    let mut next = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    while stream.write_all(next.as_bytes()).await.is_ok() {
        next = "x";
        drops.tick().await;
    }
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
