//! The composition root: builds the components and runs them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use poem::{Endpoint, EndpointExt as _, Request, Response};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiSettings, Draining, Overloaded, PublishedDocument, StreamLimits};
use crate::config::Config;
use crate::database::{self, FileLock, SeaStore, Settings};
use crate::jobs::{JobHandlers, Runner, RunnerTimings, Schedule};
use crate::mail::{Links, Mailer};
use crate::metrics_server::{MetricsListener, MetricsServer};
use crate::repositories::Store;
use crate::security::{AccessTokens, Passwords, Sealer, Signer};
use crate::server::{self, Limits, Reserved, Shutdown, Tls};
use crate::services::{Clock, Policy, Secrets, Services, WebhookDeps};
use crate::webhooks::Client;

/// Interval at which a process loads the sessions that other processes ended, in case an announcement was lost.
const REVOCATION_SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of such a load.
const REVOCATION_SYNC_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for closing the database at shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the settings of the configured database.
#[must_use]
pub fn database_settings(config: &Config) -> Settings {
    Settings {
        url: config.database_url.clone(),
        max_connections: config.database_max_connections,
        migrate: config.auto_migrate,
        statement_timeout: config.request_timeout,
    }
}

/// Builds the services over a store.
pub fn services(config: &Config, store: Arc<dyn Store>, clock: Clock, client: Client) -> anyhow::Result<Services> {
    let secret = config.jwt_secret.as_ref().context("JWT_SECRET is missing")?;
    let key = config.encryption_key.as_ref().context("ENCRYPTION_KEY is missing")?;
    let previous = config.encryption_key_previous.as_ref();
    let secrets = Secrets {
        tokens: AccessTokens::new(secret, config.jwt_secret_previous.as_ref(), config.access_token_ttl),
        sealer: Sealer::new(key, previous, "stored answers")?,
        signer: Signer::new(key, previous, "cursors")?,
        key_hasher: Signer::new(key, previous, "counters")?,
    };
    let policy = Policy {
        refresh_token: config.refresh_token_ttl,
        refresh_grace: config.refresh_grace,
        retention: config.retention,
        require_verification: config.require_email_verification,
        // Disabled together with the rate limit of API requests.
        has_stream_limit: config.rate_limits.api_per_minute > 0,
        quotas: config.quotas,
        // Half of the connections serve lists without an index; a user may occupy half of those.
        list_reads_per_user: (config.database_max_connections as usize / 4).max(1),
        limits: config.account_limits,
    };
    let webhooks = WebhookDeps {
        client,
        sealer: Sealer::new(key, previous, "webhook secrets")?,
        rates: config.webhook_rates,
        retry_delays: config.webhook_retry.clone(),
    };
    // Leaves time for the request itself.
    let passwords = Passwords::new(config.bcrypt_cost, config.request_timeout / 3);
    Ok(Services::new(store, clock, passwords, secrets, policy, webhooks))
}

/// Builds the HTTP endpoint over the services.
pub fn endpoint(
    config: &Config,
    published: PublishedDocument,
    services: Services,
    draining: Draining,
) -> impl Endpoint<Output = Response> + 'static {
    let settings = ApiSettings {
        cors: config.cors.clone(),
        trusted_proxy_hops: config.trusted_proxy_hops,
        // Half of the connections stay free for requests.
        streams: StreamLimits {
            total: config.max_connections / 2,
            per_address: config.max_connections_per_address.map(|connections| (connections / 2).max(1)),
        },
        is_https: config.tls.is_some() || config.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
        rate_limits: config.rate_limits,
        request_timeout: config.request_timeout,
        body_limit: config.body_limit,
    };
    api::endpoint(published, services, settings, draining)
}

/// Builds the job runner of a store.
pub fn runner(
    config: &Config,
    store: Arc<dyn Store>,
    services: Services,
    clock: Clock,
    public_url: &str,
) -> anyhow::Result<Runner> {
    let handlers = JobHandlers::new(services, Mailer::new(&config.mail)?, Links::new(public_url));
    Ok(Runner::new(store, clock, Arc::new(handlers), config.job_workers, RunnerTimings::default()))
}

/// Waits until the database can be reached. Returns false if `shutdown` comes first.
async fn wait_for_database(config: &Config, shutdown: &CancellationToken) -> anyhow::Result<bool> {
    tokio::select! {
        waited = database::wait_for_server(&config.database_url, config.startup_timeout) => {
            waited.context("waiting for the database")?;
            Ok(true)
        }
        () = shutdown.cancelled() => Ok(false),
    }
}

/// Opens the database and builds the services over it.
pub async fn open(config: &Config) -> anyhow::Result<(Arc<SeaStore>, Services)> {
    let store = Arc::new(SeaStore::open(&database_settings(config)).await.context("opening the database")?);
    // Not the full readiness check: a server with a full disk can still serve reads.
    for name in store.check_schema().await.context("checking the database schema")? {
        tracing::warn!(migration.name = name, "a newer version has applied a migration");
    }
    store.renew_feed_epoch_of_copy().await.context("comparing the database file with the last one")?;
    let services = services(config, Arc::clone(&store) as _, Clock::system(), Client::new(config.webhooks.clone()))?;
    Ok((store, services))
}

/// Requests to stop a process.
#[derive(Debug, Clone, Default)]
pub struct StopRequests {
    /// Cancelled by the first request.
    pub first: CancellationToken,
    /// Cancelled by the second request, which ends `SHUTDOWN_DELAY_SECONDS`.
    pub second: CancellationToken,
}

/// Serves until a stop is requested, then drains running requests and jobs. Serves HTTPS with `tls`.
pub async fn serve(config: Config, tls: Option<Tls>, stop: StopRequests) -> anyhow::Result<()> {
    let published = compile_document(config.public_url.clone());
    if !wait_for_database(&config, &stop.first).await? {
        return Ok(());
    }
    let metrics = MetricsListener::bind(config.metrics_addr).await?;
    // Held until the end of the process.
    let _locks = (lock_database_file(&config)?, lock_as_server(&config));
    let Some(opened) = stop.first.run_until_cancelled(open(&config)).await else { return Ok(()) };
    let (store, services) = opened?;
    services.accounts.sync_revocations().await.context("loading ended sessions")?;

    let listener = TcpListener::bind((config.host, config.port))
        .await
        .with_context(|| format!("listening on {}:{}", config.host, config.port))?;
    let local = listener.local_addr().context("reading the address of the listener")?;
    let public_url = config.link_url(local);
    let metrics = metrics.map(|listener| listener.serve(Arc::clone(&store), Clock::system()));
    let draining = Draining::default();
    let streaming = services.clone();
    let published = published.await.context("generating the document")??;
    let endpoint = endpoint(&config, published, services.clone(), draining.clone());
    tracing::info!(url = %format!("{public_url}/docs"), "API ready; documentation at this URL");
    if config.public_url.is_none() {
        tracing::info!(url = public_url, "links in mails begin with this URL; set PUBLIC_URL to change it");
    }
    let revocations =
        [tokio::spawn(poll_revocations(services.clone())), tokio::spawn(receive_revocations(services.clone()))];
    let job_runner = if config.job_workers == 0 {
        tracing::info!("running no jobs in this process because JOB_WORKERS is 0");
        None
    } else {
        // Jobs need no load balancer, so they have the delay of the shutdown as additional time to finish.
        Some(spawn_job_runner(&config, Arc::clone(&store), services, &public_url, stop.first.clone())?)
    };
    let shutdown = Shutdown::default();
    tokio::spawn(shut_down(stop, config.shutdown_delay, draining, shutdown.clone(), streaming));

    // Twice the request timeout, so that the endpoint can respond to a slow upload with an error body.
    let limits = Limits {
        max_connections: config.max_connections,
        // All clients of a proxy share its address.
        max_connections_per_address: config.max_connections_per_address.filter(|_| config.trusted_proxy_hops == 0),
        idle_timeout: config.keep_alive,
        read_timeout: config.request_timeout * 2,
        ..Limits::default()
    };
    server::serve(listener, endpoint.before(mark_overloaded), api::reject, limits, tls, shutdown)
        .await
        .context("serving")?;
    if let Some(job_runner) = job_runner {
        job_runner.await.context("running jobs")?;
    }
    stop_metrics(metrics).await;
    revocations.iter().for_each(JoinHandle::abort);
    close_store(&store).await;
    Ok(())
}

/// Compiles the document while the database is opened, which takes as long.
///
/// The thread that does so ends, which frees all of its memory: several times as much as the server keeps.
fn compile_document(public_url: Option<String>) -> JoinHandle<anyhow::Result<PublishedDocument>> {
    let compiling = thread::spawn(move || PublishedDocument::compile(public_url.as_deref()));
    spawn_blocking(|| compiling.join().unwrap_or_else(|_| bail!("the generation of the document panicked")))
}

/// Takes the lock of a process that uses a SQLite file. Fails during a restore.
///
/// It is taken before the file is opened: a restore could replace the file afterwards, and lose what is written to it.
fn lock_database_file(config: &Config) -> anyhow::Result<Option<FileLock>> {
    let Some(file) = database::sqlite_path(&config.database_url) else { return Ok(None) };
    match FileLock::try_share(&file) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => bail!("a restore of the database {} is running; start again when it has ended", file.display()),
        // Some network file systems have no locks.
        Err(error) => {
            tracing::debug!(%error, file = %file.display(), "failed to lock the database file");
            Ok(None)
        }
    }
}

/// Takes the lock of a server on a SQLite file. Logs a warning and returns `None` if another server has it.
///
/// Several servers on one file lose nothing, but they wait for each other's writes, and see events and jobs late. A
/// worker beside a server is meant for that, and does not take this lock.
fn lock_as_server(config: &Config) -> Option<FileLock> {
    let file = database::sqlite_path(&config.database_url)?;
    match FileLock::try_hold_as_server(&file) {
        Ok(Some(lock)) => return Some(lock),
        Ok(None) => tracing::warn!(
            file = %file.display(),
            "another server uses this SQLite database; use PostgreSQL to run several servers"
        ),
        // As above.
        Err(error) => tracing::debug!(%error, file = %file.display(), "failed to lock the database file as a server"),
    }
    None
}

/// Takes the steps of a shutdown once a stop is requested.
///
/// The readiness check fails at once. The server goes on serving for the delay, until load balancers have noticed.
/// Event streams end afterwards: earlier, their clients could be sent to this server again.
async fn shut_down(stop: StopRequests, delay: Duration, draining: Draining, shutdown: Shutdown, streaming: Services) {
    stop.first.cancelled().await;
    draining.begin();
    shutdown.draining.cancel();
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs(), "not ready; serving until load balancers have noticed");
        // The second request ends the delay.
        let _ = timeout(delay, stop.second.cancelled()).await;
    }
    shutdown.closing.cancel();
    streaming.events.close_streams();
}

/// Translates the mark of the server into that of the API.
async fn mark_overloaded(mut request: Request) -> poem::Result<Request> {
    if request.extensions().get::<Reserved>().is_some() {
        request.extensions_mut().insert(Overloaded);
    }
    Ok(request)
}

/// Runs jobs without serving until `shutdown`, then drains running jobs.
pub async fn run_worker(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    if !wait_for_database(&config, &shutdown).await? {
        return Ok(());
    }
    let metrics = MetricsListener::bind(config.metrics_addr).await?;
    let _lock = lock_database_file(&config)?;
    let Some(opened) = shutdown.run_until_cancelled(open(&config)).await else { return Ok(()) };
    let (store, services) = opened?;
    let metrics = metrics.map(|listener| listener.serve(Arc::clone(&store), Clock::system()));
    let public_url = config.link_url(config.address());
    let job_runner = spawn_job_runner(&config, Arc::clone(&store), services, &public_url, shutdown)?;
    tracing::info!("running jobs");
    job_runner.await.context("running jobs")?;
    stop_metrics(metrics).await;
    close_store(&store).await;
    Ok(())
}

/// Spawns a task that runs jobs until `shutdown`.
fn spawn_job_runner(
    config: &Config,
    store: Arc<SeaStore>,
    services: Services,
    public_url: &str,
    shutdown: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let key_rotation = services.key_rotation.clone();
    let runner = runner(config, Arc::clone(&store) as Arc<dyn Store>, services, Clock::system(), public_url)?;
    Ok(tokio::spawn(async move {
        if let Err(error) = key_rotation.enqueue().await {
            tracing::warn!(%error, "failed to enqueue the re-encryption of secrets; the next pruning will");
        }
        let schedule = match Schedule::new(store, Clock::system()).start().await {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                tracing::error!(%error, "scheduler failed to start; scheduled jobs will not run");
                None
            }
        };
        runner.run(shutdown).await;
        if let Some(mut schedule) = schedule
            && let Err(error) = schedule.shutdown().await
        {
            tracing::warn!(%error, "scheduler failed to stop");
        }
    }))
}

/// Stops serving metrics, the last of what is served.
async fn stop_metrics(server: Option<MetricsServer>) {
    if let Some(server) = server {
        server.stop().await;
    }
}

/// Closes the store. A query that is still running must not delay the shutdown.
async fn close_store(store: &SeaStore) {
    if timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!("database still busy; exiting without closing it");
    }
    tracing::info!("stopped");
}

/// Polls for sessions that other processes ended. Usually there are none, which costs one index look-up.
async fn poll_revocations(services: Services) {
    let mut ticks = tokio::time::interval(REVOCATION_SYNC_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sync_revocations(&services).await;
    }
}

/// Applies the revocations that other processes announce.
async fn receive_revocations(services: Services) {
    loop {
        if !services.accounts.apply_announced_revocation().await {
            sync_revocations(&services).await;
        }
    }
}

async fn sync_revocations(services: &Services) {
    match timeout(REVOCATION_SYNC_TIMEOUT, services.accounts.sync_revocations()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "failed to load sessions ended by other processes"),
        Err(_) => tracing::warn!("timed out loading sessions ended by other processes"),
    }
}
