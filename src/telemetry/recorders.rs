//! Recording of metrics: guards for what has a duration, and functions for single events.

use std::time::{Duration, Instant};

use prometheus_client::metrics::gauge::Gauge;

use super::metrics::{Label, Metrics, metrics};

const OPERATION: &str = "operation";
const STATUS: &str = "http_response_status_code";
const POOL: &str = "db_client_connection_pool_name";
const POOL_STATE: &str = "db_client_connection_state";

/// A metric that is increased until it is dropped.
struct Held(Gauge);

impl Held {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request in flight. Dropping it before it completes counts it as aborted.
pub(crate) struct ActiveRequest(Option<(&'static Metrics, Held, Instant)>);

impl ActiveRequest {
    pub(crate) fn begin() -> Self {
        Self(metrics().map(|metrics| (metrics, Held::new(metrics.active_requests.clone()), Instant::now())))
    }

    /// Records the response to a request to an operation.
    pub(crate) fn complete(mut self, operation: &'static str, status: u16) {
        if let Some((metrics, _held, begun)) = self.0.take() {
            let labels = ([(OPERATION, operation)], [(STATUS, status)]);
            metrics.requests.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        if let Some((metrics, ..)) = &self.0 {
            metrics.aborted_requests.inc();
        }
    }
}

/// Records a request beyond a rate limit.
pub(crate) fn record_rate_limited(limit: &'static str) {
    if let Some(metrics) = metrics() {
        metrics.rate_limited_requests.get_or_create(&[("limit", limit)]).inc();
    }
}

/// An open event stream.
pub(crate) struct OpenEventStream {
    _held: Option<Held>,
}

impl OpenEventStream {
    pub(crate) fn open() -> Self {
        Self { _held: metrics().map(|metrics| Held::new(metrics.event_streams.clone())) }
    }
}

/// A wait for a connection of a pool.
pub(crate) struct PendingConnection(Option<(&'static Metrics, Label, Held, Instant)>);

impl PendingConnection {
    pub(crate) fn begin(pool: &'static str) -> Self {
        Self(metrics().map(|metrics| {
            let label = (POOL, pool);
            let held = Held::new(metrics.pending_connections.get_or_create(&[label]).clone());
            (metrics, label, held, Instant::now())
        }))
    }

    /// Records the duration of the wait.
    pub(crate) fn acquired(self) {
        if let Some((metrics, label, _held, begun)) = self.0 {
            metrics.connection_wait.get_or_create(&[label]).observe(begun.elapsed().as_secs_f64());
        }
    }

    /// Records that the wait took too long.
    pub(crate) fn timed_out(self) {
        if let Some((metrics, label, ..)) = self.0 {
            metrics.connection_timeouts.get_or_create(&[label]).inc();
        }
    }
}

/// The use of a connection by a transaction, recorded on drop.
pub(crate) struct ConnectionUse(Option<(&'static Metrics, Label, Instant)>);

impl ConnectionUse {
    pub(crate) fn begin(pool: &'static str) -> Self {
        Self(metrics().map(|metrics| (metrics, (POOL, pool), Instant::now())))
    }
}

impl Drop for ConnectionUse {
    fn drop(&mut self) {
        if let Some((metrics, label, begun)) = self.0.take() {
            metrics.connection_use.get_or_create(&[label]).observe(begun.elapsed().as_secs_f64());
        }
    }
}

/// A password that waits for its turn.
pub(crate) struct PendingPassword(Option<(&'static Metrics, Held, Instant)>);

impl PendingPassword {
    pub(crate) fn begin() -> Self {
        Self(metrics().map(|metrics| (metrics, Held::new(metrics.pending_passwords.clone()), Instant::now())))
    }

    /// Records the duration of the wait.
    pub(crate) fn started(self) {
        if let Some((metrics, _held, begun)) = self.0 {
            metrics.password_wait.observe(begun.elapsed().as_secs_f64());
        }
    }

    /// Records that the password was not processed.
    pub(crate) fn refused(self) {
        if let Some((metrics, ..)) = self.0 {
            metrics.refused_passwords.inc();
        }
    }
}

/// Records a run of a job.
pub(crate) fn record_job(kind: &'static str, outcome: &'static str, duration: Duration) {
    if let Some(metrics) = metrics() {
        let labels = [("kind", kind), ("outcome", outcome)];
        metrics.job_runs.get_or_create(&labels).observe(duration.as_secs_f64());
    }
}

/// Records a delivery attempt.
pub(crate) fn record_delivery_attempt(outcome: &'static str, duration: Duration) {
    if let Some(metrics) = metrics() {
        metrics.deliveries.get_or_create(&[("outcome", outcome)]).observe(duration.as_secs_f64());
    }
}

/// Connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConnections {
    /// Name of the pool.
    pub pool: &'static str,
    /// Connections in use.
    pub used: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Maximum number of connections.
    pub max: usize,
}

/// Number of unfinished jobs of a kind, in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobCount {
    /// Kind of the jobs.
    pub kind: &'static str,
    /// State of the jobs.
    pub state: &'static str,
    /// Number of jobs.
    pub count: i64,
}

/// Sets the number of connections of a pool.
pub fn set_pool_connections(connections: PoolConnections) {
    let Some(metrics) = metrics() else { return };
    let PoolConnections { pool, used, idle, max } = connections;
    for (state, count) in [("used", used), ("idle", idle)] {
        metrics.connections.get_or_create(&[(POOL, pool), (POOL_STATE, state)]).set(signed(count as u64));
    }
    metrics.max_connections.get_or_create(&[(POOL, pool)]).set(signed(max as u64));
}

/// Sets the sizes of the embedded database and of its log.
pub fn set_sqlite_file_sizes(database: u64, log: u64) {
    let Some(metrics) = metrics() else { return };
    for (file, size) in [("database", database), ("wal", log)] {
        metrics.sqlite_files.get_or_create(&[("file", file)]).set(signed(size));
    }
}

/// Replaces the counts of unfinished jobs, and the age of the oldest due job of each queue.
pub fn set_jobs(counts: &[JobCount], oldest_due: &[(&'static str, Duration)]) {
    let Some(metrics) = metrics() else { return };
    metrics.jobs.clear();
    for JobCount { kind, state, count } in counts {
        metrics.jobs.get_or_create(&[("kind", kind), ("state", state)]).inc_by(*count);
    }
    metrics.oldest_due_jobs.clear();
    for (queue, age) in oldest_due {
        metrics.oldest_due_jobs.get_or_create(&[("queue", queue)]).set(age.as_secs_f64());
    }
}

/// Sets the version of the program and the name of its database engine.
pub fn set_build_info(version: &'static str, database: &'static str) {
    if let Some(metrics) = metrics() {
        metrics.build.get_or_create(&[("version", version), ("database", database)]).set(1);
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
