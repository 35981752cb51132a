//! Webhook receiver whose behaviour the test controls.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

/// Runtime of all receivers, which also serves tests that have none.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// Received request.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Message {
    /// Reads a request; `None` if it is incomplete.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let mut text = bytes.split_off(end + 4);
        bytes.truncate(end);
        let mut message = Self { head: String::from_utf8(bytes).unwrap(), text: String::new() };
        let length = message.find_header("content-length").map_or(0, |length| length.parse().unwrap());
        while text.len() < length {
            if stream.read_buf(&mut text).await.ok()? == 0 {
                return None;
            }
        }
        message.text = String::from_utf8(text).unwrap();
        Some(message)
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().filter_map(|line| line.split_once(": "))
    }

    fn find_header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find_header(name).unwrap_or_else(|| panic!("there is no {name}: {}", self.head))
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// Reads until the client closes the connection.
pub(crate) async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) {
    let _ = tokio::io::copy(stream, &mut tokio::io::sink()).await;
}

/// Reaction to a complete request.
type Behaviour = Arc<dyn Fn(TcpStream) -> BoxFuture<'static, ()> + Send + Sync>;

fn behaviour<F, A>(act: F) -> Behaviour
where
    F: Fn(TcpStream) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |stream| act(stream).boxed())
}

/// Sends these bytes, and waits until the client disconnects or closes the connection.
fn sending(bytes: Vec<u8>, waits: bool) -> Behaviour {
    let bytes = Arc::new(bytes);
    behaviour(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            // A disconnected client does not read the response.
            let _ = stream.write_all(&bytes).await;
            if waits {
                until_closed(&mut stream).await;
            }
        }
    })
}

/// Response with this status line and further header lines.
fn response(status: &str) -> Vec<u8> {
    let body = "thank you";
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into()
}

async fn drip(mut stream: TcpStream) {
    let mut drops = tokio::time::interval(Duration::from_millis(100));
    let mut next = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    while stream.write_all(next.as_bytes()).await.is_ok() {
        next = "x";
        drops.tick().await;
    }
}

struct State {
    messages: Mutex<Vec<Message>>,
    has_arrived: Condvar,
    behaviour: Mutex<Behaviour>,
}

impl State {
    async fn serve(&self, mut stream: TcpStream) {
        let Some(message) = Message::read(&mut stream).await else { return };
        let behaviour = {
            // Under one lock, so that a visible message has its behaviour fixed.
            let mut messages = self.messages.lock().unwrap();
            messages.push(message);
            Arc::clone(&self.behaviour.lock().unwrap())
        };
        self.has_arrived.notify_all();
        behaviour(stream).await;
    }
}

/// Server that reacts to every request according to its current behaviour, until it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    state: Arc<State>,
    /// Number of messages that `next` has returned.
    taken: AtomicUsize,
    serving: AbortHandle,
}

impl Receiver {
    /// Starts a receiver that responds with this status line and further header lines.
    pub(crate) fn new(answer: &str) -> Self {
        Self::with(sending(response(answer), false))
    }

    /// Starts a receiver that sends these bytes and waits until the client disconnects.
    pub(crate) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        Self::with(sending(answer.into(), true))
    }

    /// Starts a receiver that sends these bytes and closes the connection.
    pub(crate) fn saying_and_leaving(answer: impl Into<Vec<u8>>) -> Self {
        Self::with(sending(answer.into(), false))
    }

    /// Starts a receiver that calls `act` for each connection after a complete request.
    pub(crate) fn start<F, A>(act: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::with(behaviour(act))
    }

    fn with(behaviour: Behaviour) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { messages: Mutex::default(), has_arrived: Condvar::new(), behaviour: Mutex::new(behaviour) };
        let state = Arc::new(state);
        let serving = RUNTIME.spawn({
            let state = Arc::clone(&state);
            async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let state = Arc::clone(&state);
                    connections.spawn(async move { state.serve(stream).await });
                }
            }
        });
        let (url, taken) = (format!("http://{address}/hook"), AtomicUsize::default());
        Self { address, url, state, taken, serving: serving.abort_handle() }
    }

    fn set(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().unwrap() = behaviour;
    }

    /// Changes the response.
    pub(crate) fn answers(&self, answer: &str) {
        self.set(sending(response(answer), false));
    }

    /// Accepts requests without responding from now on.
    pub(crate) fn falls_silent(&self) {
        self.set(behaviour(async |stream| {
            let _open = stream;
            pending::<()>().await;
        }));
    }

    /// Responds with 200 and an endless body from now on.
    pub(crate) fn drips(&self) {
        self.set(behaviour(drip));
    }

    /// Holds responses back from now on until released, one permit each.
    pub(crate) fn holds(&self, answer: &str) -> Arc<Semaphore> {
        let door = Arc::new(Semaphore::new(0));
        let (held, respond) = (Arc::clone(&door), sending(response(answer), false));
        self.set(behaviour(move |stream| {
            let (held, respond) = (Arc::clone(&held), Arc::clone(&respond));
            async move {
                held.acquire().await.unwrap().forget();
                respond(stream).await;
            }
        }));
        door
    }

    /// Requests received so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.state.messages.lock().unwrap().clone()
    }

    /// Waits for the next request; `None` after the timeout.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Message> {
        let (messages, taken) = (self.state.messages.lock().unwrap(), self.taken.load(Ordering::SeqCst));
        let is_missing = |messages: &mut Vec<Message>| messages.len() <= taken;
        let (messages, _) = self.state.has_arrived.wait_timeout_while(messages, timeout, is_missing).unwrap();
        let message = messages.get(taken).cloned()?;
        self.taken.store(taken + 1, Ordering::SeqCst);
        Some(message)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
