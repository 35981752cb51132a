//! What it costs to follow the feed: the memory of streams on which nothing happens, how soon an event is told, and how
//! many are told in a second.
//!
//! A time is that from before a request is sent until its event has come by a stream, beside the time until the request
//! is answered. The client is one thread that reads all streams, so the times of many are in part its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::client::{self, Connection};
use crate::data::Databases;
use crate::processes::Server;
use crate::verdict;

/// How many streams are open, and how many events are told to each one after the other.
const CASES: [(usize, usize); 3] = [(1, 500), (100, 200), (1_000, 50)];
/// As many events are written without waiting for them.
const IN_A_ROW: usize = 200;
/// What a thousand streams may take, in MB.
const MEMORY_GOAL: f64 = 20.0;
/// Time for a server to come to rest.
const REST: Duration = Duration::from_secs(1);

/// Prints the head of the table.
pub(crate) fn head() {
    println!("{:<38} {:<10} {:>10} {:>10} {:>8}", "case, answer : stream", "engine", "answer", "stream", "ratio");
}

/// The streams that are open; dropping them closes them.
struct Streams {
    address: SocketAddr,
    token: String,
    reading: JoinSet<Result<()>>,
    tell: UnboundedSender<Instant>,
    told: UnboundedReceiver<Instant>,
}

impl Streams {
    fn new(address: SocketAddr, token: String) -> Self {
        let (tell, told) = unbounded_channel();
        Self { address, token, reading: JoinSet::new(), tell, told }
    }

    /// Opens more, until there are so many.
    async fn open(&mut self, count: usize) -> Result<()> {
        let request = format!(
            "GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        while self.reading.len() < count {
            let mut stream = TcpStream::connect(self.address).await.context("opening a stream")?;
            stream.write_all(request.as_bytes()).await?;
            let mut buffer = Vec::new();
            while !buffer.windows(5).any(|bytes| bytes == b"retry") {
                ensure!(stream.read_buf(&mut buffer).await? > 0, "a stream does not begin");
            }
            self.reading.spawn(read(stream, self.tell.clone()));
        }
        Ok(())
    }

    /// When the next event has come by one of them.
    async fn next(&mut self) -> Result<Instant> {
        self.told.recv().await.context("nobody reads")
    }
}

/// Tells when each event has come.
async fn read(mut stream: TcpStream, tell: UnboundedSender<Instant>) -> Result<()> {
    const NAME: &[u8] = b"\nevent: ";
    let mut buffer = Vec::with_capacity(4_096);
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = Instant::now();
        for _ in buffer.windows(NAME.len()).filter(|bytes| *bytes == NAME) {
            tell.send(now)?;
        }
        // The name may be cut in two.
        buffer.drain(..buffer.len().saturating_sub(NAME.len() - 1));
    }
    Ok(())
}

/// Prints what one engine adds to the table.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    databases.create().await?;
    let server = Server::product(&databases.original, databases.folder.path()).await?;
    let mut connection = Connection::open(server.address).await?;
    let account = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
    let session = connection.json(&client::post("/v1/auth/register", "", &account)).await?;
    let token = text(&session, "access_token")?;
    let project = connection.json(&client::post("/v1/projects", &token, &json!({"name": "Streams"}))).await?;
    let path = format!("/v1/projects/{}/tasks", text(&project, "id")?);
    let write = client::post(&path, &token, &json!({"title": "Told to all"}));
    for _ in 0..IN_A_ROW {
        connection.exchange(&write).await?;
    }

    memory(engine, &server, &token).await?;
    let mut streams = Streams::new(server.address, token);
    for (count, events) in CASES {
        streams.open(count).await?;
        latency(engine, &mut connection, &write, &mut streams, events).await?;
    }
    rate(engine, &mut connection, &write, &mut streams).await
}

async fn memory(engine: &str, server: &Server, token: &str) -> Result<()> {
    let (count, _) = CASES[CASES.len() - 1];
    tokio::time::sleep(REST).await;
    let before = server.resident_megabytes();
    let mut streams = Streams::new(server.address, token.to_owned());
    streams.open(count).await?;
    tokio::time::sleep(REST).await;
    let (Some(before), Some(after)) = (before, server.resident_megabytes()) else { return Ok(()) };
    let more = after - before;
    let met = verdict(more < MEMORY_GOAL);
    println!("{count} streams on {engine}: {more:.1} MB more than {before:.1}, goal below {MEMORY_GOAL} MB: {met}");
    Ok(())
}

/// One event at a time, until each stream has it.
async fn latency(
    engine: &str,
    connection: &mut Connection,
    write: &[u8],
    streams: &mut Streams,
    events: usize,
) -> Result<()> {
    let (mut answered, mut told) = (Vec::new(), Vec::new());
    for _ in 0..events {
        let begin = Instant::now();
        connection.exchange(write).await?;
        answered.push(begin.elapsed());
        for _ in 0..streams.reading.len() {
            told.push(streams.next().await?.saturating_duration_since(begin));
        }
    }
    for percent in [50, 99] {
        let [answer, stream] = [&mut answered, &mut told].map(|times| percentile(times, percent));
        let (name, ratio) = (format!("p{percent} µs, {} streams", streams.reading.len()), stream / answer);
        println!("{name:<38} {engine:<10} {answer:>10.0} {stream:>10.0} {ratio:>6.1} x");
    }
    Ok(())
}

/// As fast as one client writes.
async fn rate(engine: &str, connection: &mut Connection, write: &[u8], streams: &mut Streams) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..IN_A_ROW {
        connection.exchange(write).await?;
    }
    let answered = per_second(IN_A_ROW, begin.elapsed());
    let all = IN_A_ROW * streams.reading.len();
    for _ in 0..all {
        streams.next().await?;
    }
    let told = per_second(all, begin.elapsed());
    let (name, ratio) = (format!("a second, {} streams", streams.reading.len()), told / answered);
    println!("{name:<38} {engine:<10} {answered:>10.0} {told:>10.0} {ratio:>6.1} x");
    Ok(())
}

fn text(value: &Value, name: &str) -> Result<String> {
    Ok(value[name].as_str().with_context(|| format!("an answer without {name}"))?.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The microseconds that so many per cent stay below.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}
