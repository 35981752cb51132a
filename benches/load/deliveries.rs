//! Webhook deliveries a second to a fast receiver, from the queue through signature and request to the log, compared with
//! the same requests by the same client alone, at the concurrency of one webhook.
//!
//! Measured with one webhook, and with several that share the events, each with its own job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{StreamExt as _, stream};
use pocket_tasks::app;
use pocket_tasks::config::Config;
use pocket_tasks::contract::ProjectId;
use pocket_tasks::database::SeaStore;
use pocket_tasks::services::{Caller, Clock, RequestMetadata, Services, WriteContext};
use pocket_tasks::webhooks::Client;
use poem_openapi::types::ParseFromJSON;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::compare::median;
use crate::data::Databases;
use crate::library::{on_threads, per_second};

/// Deliveries per round.
const DELIVERIES: usize = 2_000;
/// Changes per request.
const BATCH: usize = 100;
/// Numbers of webhooks that share the deliveries.
const WEBHOOKS: [usize; 2] = [1, 10];
/// Concurrent requests of one webhook.
const MAX_CONCURRENT: usize = 8;
const ROUNDS: usize = 3;
/// Timeout of a round.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Prints the header of the table.
pub(crate) fn head() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>8}",
        "a second, requests : deliveries", "engine", "requests", "deliveries", "ratio"
    );
}

/// Prints the results of one engine.
pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    on_threads(databases, engine, work).await
}

async fn work(engine: String, store: Arc<SeaStore>) -> Result<()> {
    let receiver = Receiver::start().await?;
    let world = World::new(store).await?;
    for webhooks in WEBHOOKS {
        let project = world.listened_to(webhooks, &receiver).await?;
        let (mut requests, mut deliveries, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let plain = receiver.rate_of_requests(&world.client).await?;
            let delivered = world.rate_of_deliveries(project, webhooks, &receiver).await?;
            ratios.push(delivered / plain);
            requests.push(plain);
            deliveries.push(delivered);
        }
        let (requests, deliveries, ratio) = (median(requests)?, median(deliveries)?, median(ratios)?);
        let name = format!("{webhooks} webhooks");
        println!("{name:<38} {engine:<10} {requests:>10.0} {deliveries:>10.0} {ratio:>6.2} x");
    }
    Ok(())
}

/// Server that accepts every request.
struct Receiver {
    url: String,
    taken: Arc<AtomicUsize>,
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
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&counted)));
            }
        });
        Ok(Self { url, taken, task })
    }

    /// Waits for this many requests.
    async fn until(&self, count: usize) -> Result<()> {
        let waiting = async {
            while self.taken.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.context("the deliveries take too long")
    }

    async fn rate_of_requests(&self, client: &Client) -> Result<f64> {
        let begin = Instant::now();
        let requests = stream::iter(0..DELIVERIES).map(|_| client.post(&self.url, &[], "{}".to_owned()));
        let failed =
            requests.buffer_unordered(MAX_CONCURRENT).filter(|outcome| std::future::ready(!outcome.is_success()));
        match failed.count().await {
            0 => Ok(per_second(DELIVERIES, begin.elapsed())),
            failed => bail!("{failed} requests failed"),
        }
    }
}

/// Serves one connection.
async fn take(stream: TcpStream, taken: Arc<AtomicUsize>) -> std::io::Result<()> {
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
        taken.fetch_add(1, Ordering::Relaxed);
    }
}

/// User with projects.
struct World {
    config: Config,
    store: Arc<SeaStore>,
    services: Services,
    client: Client,
    caller: Caller,
}

impl World {
    async fn new(store: Arc<SeaStore>) -> Result<Self> {
        let variables = [
            ("JWT_SECRET", "only for benchmarks: 32 bytes and more"),
            ("ENCRYPTION_KEY", "b25seSBmb3IgdGVzdHM6IDMyIGJ5dGVzIGV4YWN0bHk="),
            ("BCRYPT_COST", "4"),
            ("WEBHOOK_ALLOW_HTTP", "true"),
            ("WEBHOOK_ALLOW_CIDRS", "127.0.0.1"),
        ];
        let config = Config::from_variables(variables)?;
        let services =
            app::services(&config, Arc::clone(&store) as _, Clock::system(), Client::new(config.webhooks.clone()))?;
        let new = json!({"email": "ada@example.com", "name": "Ada", "password": "correct horse"});
        let session = services.accounts.register(parsed(new)?, RequestMetadata::default()).await?;
        let caller = services.authenticate(&session.access_token).await?;
        Ok(Self { client: Client::new(config.webhooks.clone()), config, store, services, caller })
    }

    fn write(&self) -> WriteContext {
        WriteContext { caller: self.caller, idempotency: None, if_match: None, request_id: None }
    }

    /// Creates a project with this many webhooks.
    async fn listened_to(&self, webhooks: usize, receiver: &Receiver) -> Result<ProjectId> {
        let made = self.services.projects.create(&self.write(), parsed(json!({"name": "Benchmark"}))?).await?;
        let made: Value = serde_json::from_str(&made.body.context("an answer with a body")?)?;
        let id = made["id"].as_str().context("an id")?;
        for _ in 0..webhooks {
            let new = json!({"url": receiver.url, "project_id": id, "events": ["*"]});
            self.services.webhooks.create(&self.write(), parsed(new)?).await?;
        }
        ProjectId::parse(id).context("an id")
    }

    /// Rate of pending deliveries, from the start of the runner until all have arrived.
    async fn rate_of_deliveries(&self, project: ProjectId, webhooks: usize, receiver: &Receiver) -> Result<f64> {
        let operations: Vec<_> =
            (0..BATCH).map(|number| json!({"op": "create", "title": format!("Task {number}")})).collect();
        for _ in 0..DELIVERIES / webhooks / BATCH {
            let batch = parsed(json!({ "operations": operations }))?;
            self.services.tasks.batch(&self.write(), project, batch).await?;
        }
        let store = Arc::clone(&self.store);
        let runner =
            app::runner(&self.config, store as _, self.services.clone(), Clock::system(), "http://127.0.0.1:3000")?;
        let expected = receiver.taken.load(Ordering::Relaxed) + DELIVERIES;
        let shutdown = CancellationToken::new();
        let begin = Instant::now();
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { runner.run(shutdown).await }
        });
        receiver.until(expected).await?;
        let time = begin.elapsed();
        shutdown.cancel();
        running.await?;
        Ok(per_second(DELIVERIES, time))
    }
}

fn parsed<T: ParseFromJSON>(json: Value) -> Result<T> {
    T::parse_from_json(Some(json)).map_err(|error| anyhow!("{}", error.into_message()))
}
