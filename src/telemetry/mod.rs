//! Logs, metrics and traces. Imports nothing of the program, so that every layer can record what it does.
//!
//! Metrics are recorded after `enable_metrics`, and traces if the subscriber has `Traces`. Otherwise a call costs one atomic
//! load.

mod json_lines;
mod logs;
mod metrics;
mod otlp;
mod process;
mod recorders;
mod spans;

pub use logs::{LogFormat, init, init_on_stderr, log_panics, subscriber};
pub use metrics::{enable_metrics, metric_names, render_metrics};
pub use otlp::{Traces, shutdown_traces};
pub(crate) use recorders::{
    ActiveRequest, ConnectionUse, OpenEventStream, PendingConnection, PendingPassword, record_delivery_attempt,
    record_job, record_rate_limited,
};
pub use recorders::{JobCount, PoolConnections, set_build_info, set_jobs, set_pool_connections, set_sqlite_file_sizes};
pub(crate) use spans::{
    RequestTrace, current_traceparent, delivery_span, end_request_span, fail_span, job_span, query_span, trace_id,
};
