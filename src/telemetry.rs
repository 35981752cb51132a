//! Logs: one line per event on standard output, human-readable or JSON.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::config::LogFormat;
use crate::{database, jobs, server};

/// Initializes logging. `filter` has the format of `RUST_LOG`.
///
/// A second call in the same process has no effect, so that tests can call it too.
pub fn init(format: LogFormat, filter: &str) {
    // The directives that silence libraries come first, so that the filter can override them.
    let quiet = [database::QUIET_LIBRARIES, jobs::QUIET_LIBRARIES, server::QUIET_LIBRARIES].join(",");
    let filter = EnvFilter::try_new(format!("{quiet},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(ChronoUtc::rfc_3339());
    let _already_initialized = match format {
        LogFormat::Pretty => builder.with_target(false).with_ansi(std::io::stdout().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}
