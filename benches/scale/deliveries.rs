//! Rate of webhook deliveries to a receiver that responds at once, from the queue to the next queued delivery.
//!
//! With one webhook, and with ten that share the events: each webhook has a job of its own. The deliveries are enqueued by a
//! server without workers, so that only the delivery itself is measured.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::client::{self, Connection};
use crate::databases::{self, Databases};
use crate::processes::Server;
use crate::stats::{median, per_second};

/// Deliveries per round.
const DELIVERIES: usize = 2_000;
/// Changes per batch.
const BATCH: usize = 100;
/// Numbers of webhooks that share the deliveries.
const WEBHOOKS: [usize; 2] = [1, 10];
const ROUNDS: usize = 3;
/// Time until all attempts are recorded.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Maximum time between two deliveries.
const TIMEOUT: Duration = Duration::from_secs(20);

const SETTINGS: [(&str, &str); 5] = [
    ("WEBHOOK_ALLOW_HTTP", "true"),
    ("WEBHOOK_ALLOW_CIDRS", "127.0.0.1"),
    ("WEBHOOK_ALLOW_PORTS", "*"),
    ("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", "0"),
    ("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", "0"),
];

pub(crate) fn print_header() {
    println!("{:<38} {:<10} {:>10}", "deliveries", "engine", "a second");
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    databases.create().await?;
    let mut receiver = Receiver::start().await?;
    for webhooks in WEBHOOKS {
        let mut rates = Vec::new();
        for round in 0..ROUNDS {
            enqueue(databases, &format!("user-{webhooks}-{round}"), webhooks, &receiver.url).await?;
            let _server = Server::start_with(&databases.url, databases.folder.path(), &SETTINGS).await?;
            rates.push(receiver.rate().await?);
            // Otherwise the last attempts would not be recorded, and be repeated in the next round.
            tokio::time::sleep(SETTLE_TIME).await;
        }
        println!("{:<38} {engine:<10} {:>10.0}", format!("{webhooks} webhooks"), median(rates)?);
    }
    Ok(())
}

/// Creates a user with a project, its webhooks, and events for them.
async fn enqueue(databases: &Databases, user: &str, webhooks: usize, url: &str) -> Result<()> {
    let settings = [&SETTINGS[..], &[("JOB_WORKERS", "0")]].concat();
    let server = Server::start_with(&databases.url, databases.folder.path(), &settings).await?;
    let mut api = Connection::open(server.address).await?;
    let token = databases::register(&mut api, user).await?.token;
    let project = databases::new_project(&mut api, &token).await?;
    for number in 0..webhooks {
        // A project has one webhook for a URL.
        let webhook = json!({"url": format!("{url}?{number}"), "project_id": project, "events": ["task.created"]});
        api.exchange(&client::post("/v1/webhooks", &token, &webhook)).await?;
    }
    let operations: Vec<Value> =
        (0..BATCH).map(|number| json!({"op": "create", "title": format!("Task {number}")})).collect();
    let batch =
        client::post(&format!("/v1/projects/{project}/tasks/batch"), &token, &json!({ "operations": operations }));
    for _ in 0..DELIVERIES / webhooks / BATCH {
        api.exchange(&batch).await?;
    }
    Ok(())
}

/// A server that accepts every request.
struct Receiver {
    url: String,
    arrivals: UnboundedReceiver<Instant>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let (arrivals_tx, arrivals) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, arrivals_tx.clone()));
            }
        });
        Ok(Self { url, arrivals, task })
    }

    /// Returns the rate between the first and the last of the deliveries.
    async fn rate(&mut self) -> Result<f64> {
        let first = self.next().await?;
        let mut last = first;
        for _ in 1..DELIVERIES {
            last = self.next().await?;
        }
        Ok(per_second(DELIVERIES - 1, last - first))
    }

    async fn next(&mut self) -> Result<Instant> {
        let arrival = tokio::time::timeout(TIMEOUT, self.arrivals.recv()).await;
        arrival.context("the deliveries take too long")?.context("the receiver ended")
    }
}

/// Answers the requests of one connection.
async fn receive(stream: TcpStream, arrivals: UnboundedSender<Instant>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufStream::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        stream.flush().await?;
        arrivals.send(Instant::now())?;
    }
}
