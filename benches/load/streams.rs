//! Cost of event streams: memory of idle streams, latency of an event, and events a second.
//!
//! Latency is measured from before a request until its event has arrived on a stream, and compared with the time until the
//! response. The client reads all streams in one thread, which contributes to the times of many streams.

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

/// Numbers of open streams and of consecutive events.
const CASES: [(usize, usize); 3] = [(1, 500), (100, 200), (1_000, 50)];
/// Number of events written without waiting.
const IN_A_ROW: usize = 200;
/// Maximum memory of a thousand streams, in MB.
const MEMORY_GOAL: f64 = 40.0;
/// Time for a server to become idle.
const REST: Duration = Duration::from_secs(1);

/// Prints the header of the table.
pub(crate) fn head() {
    println!("{:<38} {:<10} {:>10} {:>10} {:>8}", "case, answer : stream", "engine", "answer", "stream", "ratio");
}

/// Open streams, closed when dropped.
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

    /// Opens streams up to this number.
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
                ensure!(stream.read_buf(&mut buffer).await? > 0, "the stream did not start");
            }
            self.reading.spawn(read(stream, self.tell.clone()));
        }
        Ok(())
    }

    /// Time at which the next event arrived on a stream.
    async fn next(&mut self) -> Result<Instant> {
        self.told.recv().await.context("nobody reads")
    }
}

/// Reports the time of each event.
async fn read(mut stream: TcpStream, tell: UnboundedSender<Instant>) -> Result<()> {
    const NAME: &[u8] = b"\nevent: ";
    let mut buffer = Vec::with_capacity(4_096);
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = Instant::now();
        for _ in buffer.windows(NAME.len()).filter(|bytes| *bytes == NAME) {
            tell.send(now)?;
        }
        // The name may be split between two reads.
        buffer.drain(..buffer.len().saturating_sub(NAME.len() - 1));
    }
    Ok(())
}

/// Prints the results of one engine.
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

/// Writes one event at a time, and waits until each stream has received it.
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

/// Writes as fast as one client can.
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

/// Percentile of the times, in microseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}
