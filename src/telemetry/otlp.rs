//! Export of traces by OTLP over HTTP, in the background.
//!
//! A bounded queue lies between the program and the exporter: while a collector is unreachable, spans are dropped.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::spans::TARGET;

/// Time limit for one request to the collector.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the last export at shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// Minimum time between two log messages about failed exports.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Path of traces below the endpoint of a collector.
const TRACES_PATH: &str = "/v1/traces";
const SERVICE_NAME: Key = Key::from_static_str("service.name");

/// Traces of the process, for `shutdown_traces`.
static TRACES: OnceLock<Traces> = OnceLock::new();

/// Export of traces to a collector.
#[derive(Debug, Clone)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Creates an export to a collector, such as `http://127.0.0.1:4318`. The `OTEL_*` variables of the process apply.
    ///
    /// # Errors
    ///
    /// Fails if the endpoint or a variable is invalid, or if the machine has no CA certificates.
    pub fn new(endpoint: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(REQUEST_TIMEOUT).build().context("creating an HTTP client")?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient { client, runtime: Handle::current() })
            .with_endpoint(format!("{}{TRACES_PATH}", endpoint.trim_end_matches('/')))
            .build()?;
        let exporter = ReportingExporter { exporter, reported: Mutex::default() };
        Ok(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build()))
    }

    /// Exports the traces of the process at its end (see `shutdown_traces`).
    pub fn flush_at_shutdown(&self) {
        TRACES.get_or_init(|| self.clone());
    }

    /// Creates the layer of a subscriber that exports the spans of this module.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("pocket-tasks"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false);
        layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
    }

    /// Exports the remaining spans, for at most two seconds.
    pub async fn shutdown(self) {
        // Waits for the thread of the exporter.
        let flush = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT));
        match flush.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "failed to export the last traces"),
            Err(error) => tracing::warn!(%error, "failed to export the last traces"),
        }
    }
}

/// Exports the remaining spans of the process, for at most two seconds.
pub async fn shutdown_traces() {
    if let Some(traces) = TRACES.get() {
        traces.clone().shutdown().await;
    }
}

/// Describes the process: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, over the defaults.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let given = Resource::builder().with_attribute(version);
    let has_name = Resource::builder()
        .build()
        .get(&SERVICE_NAME)
        .is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    if has_name { given.build() } else { given.with_service_name("pocket-tasks").build() }
}

/// HTTP client of the exporter, which has a thread without an async runtime.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let response = client.execute(reqwest::Request::try_from(request)?).await?;
            let (status, body) = (response.status(), response.bytes().await?);
            Ok::<_, HttpError>(Response::builder().status(status).body(body)?)
        });
        sent.await?
    }
}

/// Exporter that logs failures, but not each of them.
#[derive(Debug)]
struct ReportingExporter {
    exporter: opentelemetry_otlp::SpanExporter,
    reported: Mutex<Option<Instant>>,
}

impl SpanExporter for ReportingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        if let Err(error) = &result
            && is_due(&mut self.reported.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
        {
            tracing::warn!(%error, spans = count, "failed to export traces; further failures are logged once a minute");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Returns whether to report a failure now, and notes it.
fn is_due(reported: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = reported.is_none_or(|at| now.duration_since(at) >= REPORT_INTERVAL);
    if is_due {
        *reported = Some(now);
    }
    is_due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_exports_are_reported_once_a_minute() {
        let (mut reported, begun) = (None, Instant::now());
        let due = [0, 5, 59, 60, 61, 120].map(|seconds| is_due(&mut reported, begun + Duration::from_secs(seconds)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
