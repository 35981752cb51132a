//! Logs: one line per event on standard output, for people or for programs.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::config::LogFormat;

/// Begins to write logs. `filter` is in the form of `RUST_LOG`.
///
/// A second call in a process does nothing, so that tests can call it too.
pub fn init(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(ChronoUtc::rfc_3339());
    let _already_begun = match format {
        LogFormat::Pretty => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}
