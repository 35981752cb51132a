//! Webhook receiver with configurable behaviour.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Received request.
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

/// Behaviour of the receiver.
#[derive(Clone)]
enum ReceiverBehaviour {
    /// Responds with this status line and further header lines.
    At(String),
    /// Responds likewise, once released.
    Held(String, Arc<Semaphore>),
    /// Responds with 200 and an endless body.
    Dripping,
    /// Never responds.
    Silent,
}

/// Server that responds to every request according to its current behaviour.
pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    behaviour: Arc<Mutex<ReceiverBehaviour>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that responds with this status line and further header lines.
    pub(crate) async fn new(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let behaviour = Arc::new(Mutex::new(ReceiverBehaviour::At(answer.to_owned())));
        let messages = Arc::<Mutex<Vec<_>>>::default();
        let serving = tokio::spawn({
            let (messages, behaviour) = (Arc::clone(&messages), Arc::clone(&behaviour));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&messages), Arc::clone(&behaviour)));
                }
            }
        });
        Self { url, messages, behaviour, serving }
    }

    /// Changes the response.
    pub(crate) fn answers(&self, answer: &str) {
        *self.behaviour.lock().unwrap() = ReceiverBehaviour::At(answer.to_owned());
    }

    /// Accepts requests without responding from now on.
    pub(crate) fn falls_silent(&self) {
        *self.behaviour.lock().unwrap() = ReceiverBehaviour::Silent;
    }

    /// Responds with 200 and an endless body from now on.
    pub(crate) fn drips(&self) {
        *self.behaviour.lock().unwrap() = ReceiverBehaviour::Dripping;
    }

    /// Holds responses back from now on until released, one permit each.
    pub(crate) fn holds(&self, answer: &str) -> Arc<Semaphore> {
        let door = Arc::new(Semaphore::new(0));
        *self.behaviour.lock().unwrap() = ReceiverBehaviour::Held(answer.to_owned(), Arc::clone(&door));
        door
    }

    /// Requests received so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, messages: Arc<Mutex<Vec<Message>>>, behaviour: Arc<Mutex<ReceiverBehaviour>>) {
    let Some(message) = read(&mut stream).await else { return };
    let behaviour = {
        // Under one lock, so that a visible message has its behaviour fixed.
        let mut messages = messages.lock().unwrap();
        messages.push(message);
        behaviour.lock().unwrap().clone()
    };
    let answer = match behaviour {
        ReceiverBehaviour::At(answer) => answer,
        ReceiverBehaviour::Held(answer, door) => {
            door.acquire().await.unwrap().forget();
            answer
        }
        ReceiverBehaviour::Dripping => return drip(stream).await,
        ReceiverBehaviour::Silent => return std::future::pending().await,
    };
    let body = "thank you";
    let whole = format!("HTTP/1.1 {answer}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    // A disconnected client does not read the response.
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
