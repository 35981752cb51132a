//! Logs: one line per event on standard output, for people or for programs.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoUtc;

use crate::config::LogFormat;
use crate::{database, jobs};

/// Begins to write logs. `filter` is in the form of `RUST_LOG`.
///
/// A second call in a process does nothing, so that tests can call it too.
pub fn init(format: LogFormat, filter: &str) {
    // What libraries say of themselves is silenced first, so that a filter can bring it back.
    let quiet = [database::QUIET_LIBRARIES, jobs::QUIET_LIBRARIES].join(",");
    let filter = EnvFilter::try_new(format!("{quiet},{filter}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_timer(ChronoUtc::rfc_3339());
    let _already_begun = match format {
        LogFormat::Pretty => builder.with_target(false).with_ansi(std::io::stdout().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}
