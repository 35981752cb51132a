//! The listener for Prometheus, apart from the API: `METRICS_ADDR`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::api;
use crate::contract::ids::new_uuid;
use crate::database::SeaStore;
use crate::server::{self, Limits, Shutdown};
use crate::services::Clock;
use crate::telemetry;

/// Path of the metrics.
const PATH: &str = "/metrics";

/// Minimum time between two queries for metrics. Scrapes in between return the values of the first.
const QUERY_INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of the queries of a scrape.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections of all scrapers.
const MAX_CONNECTIONS: usize = 16;

/// A listener that is not served yet. Metrics are recorded from now on.
pub struct MetricsListener(TcpListener);

impl MetricsListener {
    /// Listens at the address, if there is one.
    ///
    /// # Errors
    ///
    /// Fails if the address is not available.
    pub async fn bind(address: Option<SocketAddr>) -> anyhow::Result<Option<Self>> {
        let Some(address) = address else { return Ok(None) };
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("listening on {address} for metrics"))?;
        telemetry::enable_metrics();
        Ok(Some(Self(listener)))
    }

    /// Returns the address.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does not know the address.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves the metrics of the process and of a store.
    #[must_use]
    pub fn serve(self, store: Arc<SeaStore>, clock: Clock) -> MetricsServer {
        telemetry::set_build_info(env!("CARGO_PKG_VERSION"), store.engine_name());
        let stopping = Shutdown::default();
        let limits = Limits {
            max_connections: MAX_CONNECTIONS,
            max_connections_per_address: None,
            shutdown_grace: QUERY_TIMEOUT,
            ..Limits::default()
        };
        let endpoint = MetricsEndpoint { store, clock, queried: Mutex::default() };
        let serving = server::serve(self.0, endpoint, api::reject, limits, None, stopping.clone());
        // The span distinguishes the log lines of this listener from those of the API.
        let task = tokio::spawn(
            async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "failed to serve metrics");
                }
            }
            .instrument(tracing::error_span!("metrics")),
        );
        MetricsServer { stopping, task }
    }
}

/// A running metrics listener.
pub struct MetricsServer {
    stopping: Shutdown,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Finishes the running scrapes and closes the listener.
    pub async fn stop(self) {
        self.stopping.closing.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "failed to stop serving metrics");
        }
    }
}

struct MetricsEndpoint {
    store: Arc<SeaStore>,
    clock: Clock,
    queried: Mutex<Option<Instant>>,
}

impl MetricsEndpoint {
    /// Reads the metrics that are not recorded as they change.
    async fn read_gauges(&self) {
        self.store.record_connections();
        self.store.record_file_sizes();
        if !self.is_query_due() {
            return;
        }
        let read = tokio::time::timeout(QUERY_TIMEOUT, self.store.record_jobs(self.clock.now()));
        let error = match read.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        // Absent values are better than old ones.
        telemetry::set_jobs(&[], &[]);
        tracing::debug!(error, "failed to count jobs for metrics");
    }

    fn is_query_due(&self) -> bool {
        let mut queried = self.queried.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = queried.is_none_or(|at| at.elapsed() >= QUERY_INTERVAL);
        if is_due {
            *queried = Some(Instant::now());
        }
        is_due
    }
}

impl Endpoint for MetricsEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let response = Response::builder().header("x-request-id", new_uuid().to_string());
        if request.uri().path() != PATH {
            return Ok(response.status(StatusCode::NOT_FOUND).body(format!("Metrics are at {PATH}.\n")));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = (header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response.status(StatusCode::METHOD_NOT_ALLOWED).header(allow.0, allow.1).finish());
        }
        self.read_gauges().await;
        let (media_type, text) = telemetry::render_metrics();
        let body = if *request.method() == Method::HEAD { String::new() } else { text };
        Ok(response.content_type(media_type).body(body))
    }
}
