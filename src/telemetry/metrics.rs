//! The metrics of the process, and their values in the text format of Prometheus.
//!
//! Names follow the conventions of Prometheus, and the semantic conventions of OpenTelemetry where these define a metric.
//! Every label has a bounded number of values. `docs/operations.md` has a table of the metrics, which a test checks.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::process::{self, ProcessCollector};

/// Buckets of durations that a user or a receiver notices, in seconds.
const LATENCY_BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Buckets of waits for something that is usually free, in seconds.
const WAIT_BUCKETS: [f64; 10] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// Label with its value.
pub(super) type Label = (&'static str, &'static str);
/// Operation and status of a response.
pub(super) type ResponseLabels = ([Label; 1], [(&'static str, u16); 1]);
/// Histogram with labels.
pub(super) type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// All metrics.
pub(super) struct Metrics {
    registry: Registry,
    /// Names of all metrics, including those without a value so far.
    names: Vec<String>,
    pub(super) requests: Histograms<ResponseLabels>,
    pub(super) active_requests: Gauge,
    pub(super) aborted_requests: Counter,
    pub(super) rate_limited_requests: Family<[Label; 1], Counter>,
    pub(super) event_streams: Gauge,
    pub(super) connections: Family<[Label; 2], Gauge>,
    pub(super) max_connections: Family<[Label; 1], Gauge>,
    pub(super) pending_connections: Family<[Label; 1], Gauge>,
    pub(super) connection_wait: Histograms<[Label; 1]>,
    pub(super) connection_use: Histograms<[Label; 1]>,
    pub(super) connection_timeouts: Family<[Label; 1], Counter>,
    pub(super) sqlite_files: Family<[Label; 1], Gauge>,
    pub(super) pending_passwords: Gauge,
    pub(super) password_wait: Histogram,
    pub(super) refused_passwords: Counter,
    pub(super) jobs: Family<[Label; 2], Gauge>,
    pub(super) oldest_due_jobs: Family<[Label; 1], Gauge<f64, AtomicU64>>,
    pub(super) job_runs: Histograms<[Label; 2]>,
    pub(super) deliveries: Histograms<[Label; 1]>,
    pub(super) build: Family<[Label; 2], Gauge>,
}

fn latencies() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

fn waits() -> Histogram {
    Histogram::new(WAIT_BUCKETS)
}

impl Metrics {
    fn new() -> Self {
        let mut new = Registration::default();
        let seconds = || Some(Unit::Seconds);
        let latencies = || Family::new_with_constructor(latencies as fn() -> Histogram);
        let families = || Family::new_with_constructor(waits as fn() -> Histogram);
        let requests = Family::new_with_constructor(self::latencies as fn() -> Histogram);
        let job_runs = Family::new_with_constructor(self::latencies as fn() -> Histogram);
        Self {
            requests: new.add("http_server_request_duration", seconds(), "Duration of requests", requests),
            active_requests: new.add("http_server_active_requests", None, "Requests in flight", Gauge::default()),
            aborted_requests: new.add(
                "pocket_tasks_aborted_requests",
                None,
                "Requests whose client disconnected before the response",
                Counter::default(),
            ),
            rate_limited_requests: new.add(
                "pocket_tasks_rate_limited_requests",
                None,
                "Requests beyond a rate limit",
                Family::default(),
            ),
            event_streams: new.add("pocket_tasks_event_streams", None, "Open event streams", Gauge::default()),
            connections: new.add("db_client_connections", None, "Open database connections", Family::default()),
            max_connections: new.add(
                "db_client_connection_max",
                None,
                "Maximum number of database connections",
                Family::default(),
            ),
            pending_connections: new.add(
                "db_client_connection_pending_requests",
                None,
                "Statements and transactions that wait for a connection",
                Family::default(),
            ),
            connection_wait: new.add(
                "db_client_connection_wait_time",
                seconds(),
                "Wait for a database connection",
                families(),
            ),
            connection_use: new.add(
                "db_client_connection_use_time",
                seconds(),
                "Duration of transactions, from BEGIN to the end of COMMIT",
                latencies(),
            ),
            connection_timeouts: new.add(
                "db_client_connection_timeouts",
                None,
                "Waits for a database connection that took too long",
                Family::default(),
            ),
            sqlite_files: new.add(
                "pocket_tasks_sqlite_file_size",
                Some(Unit::Bytes),
                "Size of the files of the embedded database",
                Family::default(),
            ),
            pending_passwords: new.add(
                "pocket_tasks_password_queue_length",
                None,
                "Passwords that wait to be hashed",
                Gauge::default(),
            ),
            password_wait: new.add(
                "pocket_tasks_password_queue_wait",
                seconds(),
                "Wait of passwords to be hashed",
                waits(),
            ),
            refused_passwords: new.add(
                "pocket_tasks_password_queue_refusals",
                None,
                "Passwords that were refused because the queue was too long",
                Counter::default(),
            ),
            jobs: new.add("pocket_tasks_jobs", None, "Unfinished jobs", Family::default()),
            oldest_due_jobs: new.add(
                "pocket_tasks_jobs_oldest_due",
                seconds(),
                "Time for which the oldest due job has been waiting",
                Family::default(),
            ),
            job_runs: new.add("pocket_tasks_job_duration", seconds(), "Duration of runs of jobs", job_runs),
            deliveries: new.add(
                "pocket_tasks_webhook_delivery_duration",
                seconds(),
                "Duration of delivery attempts",
                latencies(),
            ),
            build: new.add("pocket_tasks_build_info", None, "Version and database engine", Family::default()),
            names: new.names,
            registry: {
                new.registry.register_collector(Box::new(ProcessCollector::new()));
                new.registry
            },
        }
    }
}

/// A registry, and the names in it.
#[derive(Default)]
struct Registration {
    registry: Registry,
    names: Vec<String>,
}

impl Registration {
    fn add<M: Metric + Clone>(&mut self, name: &str, unit: Option<Unit>, help: &str, metric: M) -> M {
        let suffix = if metric.metric_type() == MetricType::Counter { "_total" } else { "" };
        if let Some(unit) = unit {
            self.names.push(format!("{name}_{}{suffix}", unit.as_str()));
            self.registry.register_with_unit(name, help, unit, metric.clone());
        } else {
            self.names.push(format!("{name}{suffix}"));
            self.registry.register(name, help, metric.clone());
        }
        metric
    }
}

/// Begins to record metrics. Further calls have no effect.
pub fn enable_metrics() {
    METRICS.get_or_init(Metrics::new);
}

/// Returns the metrics, if they are recorded.
pub(super) fn metrics() -> Option<&'static Metrics> {
    METRICS.get()
}

/// Returns the names of all metrics.
#[must_use]
pub fn metric_names() -> Vec<String> {
    let own = Metrics::new().names;
    own.into_iter().chain(process::NAMES.map(str::to_owned)).collect()
}

/// Returns the current values in the text format of Prometheus, and its media type.
#[must_use]
pub fn render_metrics() -> (&'static str, String) {
    let mut text = String::new();
    if let Some(metrics) = metrics() {
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &metrics.registry);
    }
    (prometheus_text::CONTENT_TYPE, text)
}
