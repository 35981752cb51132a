//! Cost of event streams: memory of idle streams, latency of an event, and events per second.
//!
//! The latency runs from before a request is sent until its event arrives on a stream, compared with the time to the
//! response. One thread reads all streams, so part of the latency of many streams is its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::check_goal;
use crate::client::{self, Connection};
use crate::databases::{self, Databases};
use crate::processes::Server;
use crate::stats::{microseconds, per_second, percentile};

/// Numbers of open streams, and of events that each receives.
const CASES: [(usize, usize); 3] = [(1, 500), (100, 200), (1_000, 50)];
/// Number of events that are written without waiting for the streams.
const BURST: usize = 200;
/// Maximum memory of a thousand streams, in MB.
const MEMORY_GOAL: f64 = 40.0;
/// Time until the memory of the server is stable.
const SETTLE_TIME: Duration = Duration::from_secs(1);

pub(crate) fn print_header() {
    println!("{:<38} {:<10} {:>10} {:>10} {:>8}", "case, response : stream", "engine", "response", "stream", "ratio");
}

/// Open streams; dropping them closes them.
struct Streams {
    address: SocketAddr,
    token: String,
    readers: JoinSet<Result<()>>,
    arrivals_tx: UnboundedSender<Instant>,
    arrivals: UnboundedReceiver<Instant>,
}

impl Streams {
    fn new(address: SocketAddr, token: String) -> Self {
        let (arrivals_tx, arrivals) = unbounded_channel();
        Self { address, token, readers: JoinSet::new(), arrivals_tx, arrivals }
    }

    /// Opens streams until there are `count`.
    async fn open(&mut self, count: usize) -> Result<()> {
        let request = format!(
            "GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        while self.readers.len() < count {
            let mut stream = TcpStream::connect(self.address).await.context("opening a stream")?;
            stream.write_all(request.as_bytes()).await?;
            let mut buffer = Vec::new();
            while !buffer.windows(5).any(|bytes| bytes == b"retry") {
                ensure!(stream.read_buf(&mut buffer).await? > 0, "a stream did not start");
            }
            self.readers.spawn(read(stream, self.arrivals_tx.clone()));
        }
        Ok(())
    }

    /// Returns the time at which the next event arrived on any stream.
    async fn next(&mut self) -> Result<Instant> {
        self.arrivals.recv().await.context("all streams ended")
    }
}

/// Reports the time of each event.
async fn read(mut stream: TcpStream, arrivals: UnboundedSender<Instant>) -> Result<()> {
    const NAME: &[u8] = b"\nevent: ";
    let mut buffer = Vec::with_capacity(4_096);
    while stream.read_buf(&mut buffer).await? > 0 {
        let now = Instant::now();
        for _ in buffer.windows(NAME.len()).filter(|bytes| *bytes == NAME) {
            arrivals.send(now)?;
        }
        // The name may span two reads.
        buffer.drain(..buffer.len().saturating_sub(NAME.len() - 1));
    }
    Ok(())
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    databases.create().await?;
    let server = Server::start(&databases.url, databases.folder.path()).await?;
    let mut connection = Connection::open(server.address).await?;
    let token = databases::register(&mut connection, "ada").await?.token;
    let project = databases::new_project(&mut connection, &token).await?;
    let path = format!("/v1/projects/{project}/tasks");
    let write = client::post(&path, &token, &json!({"title": "Published to all"}));
    for _ in 0..BURST {
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
    tokio::time::sleep(SETTLE_TIME).await;
    let before = server.resident_megabytes();
    let mut streams = Streams::new(server.address, token.to_owned());
    streams.open(count).await?;
    tokio::time::sleep(SETTLE_TIME).await;
    let (Some(before), Some(after)) = (before, server.resident_megabytes()) else { return Ok(()) };
    let more = after - before;
    let met = check_goal(more < MEMORY_GOAL);
    println!("{count} streams on {engine}: {more:.1} MB above {before:.1} MB, goal below {MEMORY_GOAL} MB: {met}");
    Ok(())
}

/// Measures one event at a time, until every stream has it.
async fn latency(
    engine: &str,
    connection: &mut Connection,
    write: &[u8],
    streams: &mut Streams,
    events: usize,
) -> Result<()> {
    let (mut responses, mut arrivals) = (Vec::new(), Vec::new());
    for _ in 0..events {
        let begin = Instant::now();
        connection.exchange(write).await?;
        responses.push(microseconds(begin.elapsed()));
        for _ in 0..streams.readers.len() {
            arrivals.push(microseconds(streams.next().await?.saturating_duration_since(begin)));
        }
    }
    for percent in [50, 99] {
        let (answer, stream) = (percentile(&responses, percent)?, percentile(&arrivals, percent)?);
        let (name, ratio) = (format!("p{percent} µs, {} streams", streams.readers.len()), stream / answer);
        println!("{name:<38} {engine:<10} {answer:>10.0} {stream:>10.0} {ratio:>6.1} x");
    }
    Ok(())
}

/// Measures a burst of events, written by one client.
async fn rate(engine: &str, connection: &mut Connection, write: &[u8], streams: &mut Streams) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..BURST {
        connection.exchange(write).await?;
    }
    let responses = per_second(BURST, begin.elapsed());
    let all = BURST * streams.readers.len();
    for _ in 0..all {
        streams.next().await?;
    }
    let events = per_second(all, begin.elapsed());
    let (name, ratio) = (format!("a second, {} streams", streams.readers.len()), events / responses);
    println!("{name:<38} {engine:<10} {responses:>10.0} {events:>10.0} {ratio:>6.1} x");
    Ok(())
}
