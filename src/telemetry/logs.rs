//! Logs: one line per event, human-readable or JSON.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use strum::EnumString;
use tracing::Subscriber;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::ChronoUtc;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

use super::json_lines::{JsonFields, JsonLines};
use super::otlp::Traces;
use super::spans::TARGET;

/// Filter for libraries that log every migration, cancelled statement, start and stop, and each client that violates HTTP/2.
const QUIET_LIBRARIES: &str = "h2=error,sea_orm_migration=warn,sqlx_core::pool=error,tokio_cron_scheduler=warn";

/// Log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LogFormat {
    /// Human-readable.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Initializes the log of an administrative command on standard error, because standard output is for its result.
pub fn init_on_stderr(format: LogFormat, filter: &str) {
    let writer = BoxMakeWriter::new(std::io::stderr);
    let _already_initialized = log_to(writer, std::io::stderr().is_terminal(), format, filter, None).try_init();
}

/// Initializes logs and traces. `filter` has the format of `RUST_LOG`.
///
/// A second call in the same process has no effect, so that tests can call it too.
pub fn init(format: LogFormat, filter: &str, traces: Option<&Traces>) {
    let _already_initialized = subscriber(format, filter, traces).try_init();
}

/// Creates a subscriber that writes logs, and exports traces if there are any.
pub fn subscriber(format: LogFormat, filter: &str, traces: Option<&Traces>) -> Box<dyn Subscriber + Send + Sync> {
    let writer = BoxMakeWriter::new(std::io::stdout);
    log_to(writer, std::io::stdout().is_terminal(), format, filter, traces)
}

fn log_to(
    writer: BoxMakeWriter,
    is_terminal: bool,
    format: LogFormat,
    filter: &str,
    traces: Option<&Traces>,
) -> Box<dyn Subscriber + Send + Sync> {
    // The directives that silence libraries come first, so that the filter can override them.
    let spans_of_traces = if traces.is_some() { "info" } else { "off" };
    let filter = EnvFilter::try_new(format!("{QUIET_LIBRARIES},{filter},{TARGET}={spans_of_traces}"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer::<Registry>().with_timer(ChronoUtc::rfc_3339()).with_writer(writer);
    let lines = match format {
        LogFormat::Pretty => lines.with_target(false).with_ansi(is_terminal).boxed(),
        LogFormat::Json => lines.fmt_fields(JsonFields).event_format(JsonLines).boxed(),
    };
    let registry = tracing_subscriber::registry();
    // The filter is that of all layers. As the filter of one layer, it would lose the line after one that a library asks
    // about and does not write.
    match traces {
        // Spans of traces repeat what the spans of the log have.
        Some(traces) => {
            let lines = lines.with_filter(filter_fn(|metadata| metadata.target() != TARGET));
            Box::new(registry.with(lines).with(traces.layer()).with(filter))
        }
        None => Box::new(registry.with(lines).with(filter)),
    }
}

/// Logs panics, with their span, instead of printing them to standard error.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(panic.location = location, panic.message = panic.payload_as_str(), "a thread panicked");
    }));
}
