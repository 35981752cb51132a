//! Rate of webhook deliveries to a receiver that responds at once, from the queue to the recorded attempt, compared with
//! the same number of plain requests by the same client.
//!
//! With one webhook, and with ten that share the events: each webhook has a job of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use futures_util::{StreamExt as _, stream};
use pocket_tasks::app;
use pocket_tasks::config::Config;
use pocket_tasks::contract::ProjectId;
use pocket_tasks::database::{SeaStore, Settings};
use pocket_tasks::services::{Caller, Clock, RequestMetadata, Services, WriteContext};
use pocket_tasks::webhooks::Client;
use poem_openapi::types::ParseFromJSON;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::databases::Databases;
use crate::stats::{median, per_second};

/// Deliveries per round.
const DELIVERIES: usize = 2_000;
/// Changes per batch.
const BATCH: usize = 100;
/// Numbers of webhooks that share the deliveries.
const WEBHOOKS: [usize; 2] = [1, 10];
/// Concurrent requests, as many as the server sends for one webhook.
const MAX_CONCURRENT: usize = 8;
const ROUNDS: usize = 3;
/// Maximum time of a round.
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) fn print_header() {
    println!(
        "{:<38} {:<10} {:>10} {:>10} {:>8}",
        "per second, requests : deliveries", "engine", "requests", "deliveries", "ratio"
    );
}

pub(crate) async fn measure(engine: &str, databases: &Databases) -> Result<()> {
    databases.create().await?;
    let settings = Settings {
        url: databases.url.clone().into(),
        max_connections: 10,
        migrate: true,
        statement_timeout: Duration::from_secs(30),
    };
    let runtime = Runtime::new()?;
    let engine = engine.to_owned();
    let work = runtime.spawn(async move {
        let store = Arc::new(SeaStore::open(&settings).await?);
        work(engine, Arc::clone(&store)).await?;
        store.close().await;
        anyhow::Ok(())
    });
    let _threads = Threads(Some(runtime));
    work.await?
}

/// A multi-threaded runtime, as the server has. Dropping it does not wait for its tasks.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn work(engine: String, store: Arc<SeaStore>) -> Result<()> {
    let receiver = Receiver::start().await?;
    let fixture = Fixture::new(store).await?;
    for webhooks in WEBHOOKS {
        let project = fixture.project_with(webhooks, &receiver).await?;
        let (mut requests, mut deliveries, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let plain = receiver.rate_of_requests(&fixture.client).await?;
            let delivered = fixture.rate_of_deliveries(project, webhooks, &receiver).await?;
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

/// A server that accepts every request.
struct Receiver {
    url: String,
    received: Arc<AtomicUsize>,
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
        let received = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&received);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, Arc::clone(&counted)));
            }
        });
        Ok(Self { url, received, task })
    }

    /// Waits until the receiver has `count` requests.
    async fn until(&self, count: usize) -> Result<()> {
        let waiting = async {
            while self.received.load(Ordering::Relaxed) < count {
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

/// Answers the requests of one connection.
async fn receive(stream: TcpStream, received: Arc<AtomicUsize>) -> std::io::Result<()> {
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
        received.fetch_add(1, Ordering::Relaxed);
    }
}

/// A user with projects.
struct Fixture {
    config: Config,
    store: Arc<SeaStore>,
    services: Services,
    client: Client,
    caller: Caller,
}

impl Fixture {
    async fn new(store: Arc<SeaStore>) -> Result<Self> {
        let variables = [
            ("JWT_SECRET", "only for benchmarks: 32 bytes and more"),
            ("ENCRYPTION_KEY", "b25seSBmb3IgdGVzdHM6IDMyIGJ5dGVzIGV4YWN0bHk="),
            ("BCRYPT_COST", "4"),
            ("WEBHOOK_ALLOW_HTTP", "true"),
            ("WEBHOOK_ALLOW_CIDRS", "127.0.0.1"),
            ("WEBHOOK_ALLOW_PORTS", "*"),
            ("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", "0"),
            ("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", "0"),
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
        WriteContext { caller: self.caller, idempotency: None, if_match: None, request: RequestMetadata::default() }
    }

    /// Creates a project with this number of webhooks.
    async fn project_with(&self, webhooks: usize, receiver: &Receiver) -> Result<ProjectId> {
        let project = self.services.projects.create(&self.write(), parsed(json!({"name": "Benchmark"}))?).await?;
        let project: Value = serde_json::from_str(&project.body.context("a response with a body")?)?;
        let id = project["id"].as_str().context("an id")?;
        for _ in 0..webhooks {
            let new = json!({"url": receiver.url, "project_id": id, "events": ["*"]});
            self.services.webhooks.create(&self.write(), parsed(new)?).await?;
        }
        ProjectId::parse(id).context("an id")
    }

    /// Measures from the start of the runner until all queued deliveries have arrived.
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
        let expected = receiver.received.load(Ordering::Relaxed) + DELIVERIES;
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
