//! Spans of traces, apart from those of the log: they have a target of their own, which the log leaves out.
//!
//! Without a collector they are disabled. Names and attributes follow the semantic conventions of OpenTelemetry.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Target of all spans that are exported.
pub(super) const TARGET: &str = "otel";

/// Header and field with a trace context (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// A request to an operation.
pub(crate) struct RequestTrace<'a> {
    pub(crate) method: &'a str,
    pub(crate) route: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) request_id: &'a str,
    /// The header `traceparent` of the client.
    pub(crate) parent: Option<&'a str>,
}

impl RequestTrace<'_> {
    /// Begins the span of the request, in the trace of the client if it has one.
    pub(crate) fn begin(&self) -> Span {
        let Self { method, route, operation, request_id, parent } = self;
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            http.request.method = method,
            http.route = route,
            http.response.status_code = Empty,
            api.operation = operation,
            request.id = request_id,
        );
        continue_trace(&span, *parent);
        span
    }
}

/// Records the response to a request.
pub(crate) fn end_request_span(span: &Span, status: u16) {
    // Signed: others are exported as text.
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        fail_span(span);
    }
}

/// Begins the span of a run of a job that was enqueued in the trace `parent`.
///
/// The deliveries of a webhook are for many events: their job is linked to that trace instead of continuing it.
pub(crate) fn job_span(kind: &str, id: uuid::Uuid, attempt: u32, parent: Option<&str>, is_linked: bool) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "job",
        otel.name = format!("job {kind}"),
        otel.kind = "consumer",
        "messaging.operation.type" = "process",
        messaging.message.id = %id,
        job.kind = kind,
        job.attempt = i64::from(attempt),
    );
    if is_linked {
        if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
            span.add_link(extract(parent).span().span_context().clone());
        }
    } else {
        continue_trace(&span, parent);
    }
    span
}

/// Begins the span of a delivery attempt.
pub(crate) fn delivery_span(delivery: impl std::fmt::Display) -> Span {
    tracing::info_span!(target: TARGET, "deliver webhook", otel.kind = "client", delivery.id = %delivery)
}

/// Begins the span of a statement, whose text has placeholders for values; `None` outside of a trace.
pub(crate) fn query_span(sql: &str, engine: &'static str) -> Option<Span> {
    let is_traced = Context::map_current(|context| context.span().span_context().is_sampled());
    is_traced.then(|| {
        tracing::info_span!(
            target: TARGET,
            "query",
            otel.name = sql.split(' ').next().unwrap_or_default(),
            otel.kind = "client",
            db.system.name = engine,
            db.query.text = sql,
        )
    })
}

/// Marks a span as failed.
pub(crate) fn fail_span(span: &Span) {
    if !span.is_disabled() {
        span.set_status(Status::error(""));
    }
}

/// Returns the id of the trace of a span, for log lines.
pub(crate) fn trace_id(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let id = span.context().span().span_context().trace_id();
    (id != TraceId::INVALID).then(|| id.to_string())
}

/// Returns the current trace context, to be stored with a job.
pub(crate) fn current_traceparent() -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let current = span.span_context();
        current.is_valid().then(|| {
            let flags = current.trace_flags().to_u8();
            format!("00-{}-{}-{flags:02x}", current.trace_id(), current.span_id())
        })
    })
}

fn continue_trace(span: &Span, parent: Option<&str>) {
    if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
        // Fails only if the span has begun.
        let _ = span.set_parent(extract(parent));
    }
}

/// Parses a trace context. An invalid one is that of no trace.
fn extract(parent: &str) -> Context {
    let header = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &header)
}
