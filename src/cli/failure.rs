//! Report of a failure that ends the program, on standard error.
//!
//! Programs read that of a server or a worker, so it has the format of the log. People read those of the other commands.

use serde_json::json;

use super::output::print_error;
use crate::config::ConfigErrors;
use crate::contract::Timestamp;
use crate::telemetry::LogFormat;

/// Returns the format of failures. It does not depend on other settings, which may be invalid.
pub(super) fn format(is_service: bool) -> LogFormat {
    let variable = |name: &str| std::env::var(name).unwrap_or_default().trim().to_owned();
    let default = || if variable("APP_ENV") == "production" { LogFormat::Json } else { LogFormat::Pretty };
    if is_service { variable("LOG_FORMAT").parse().unwrap_or_else(|_| default()) } else { LogFormat::Pretty }
}

/// Reports invalid settings.
pub(super) fn report_settings(format: LogFormat, errors: &ConfigErrors) {
    match format {
        LogFormat::Pretty => print_error(&format!("Invalid settings:\n{errors}")),
        LogFormat::Json => print_line("invalid settings", "errors", &json!(errors.0)),
    }
}

/// Reports an error.
pub(super) fn report(format: LogFormat, error: &anyhow::Error) {
    match format {
        LogFormat::Pretty => print_error(&format!("error: {error:#}\n")),
        LogFormat::Json => print_line("the program failed", "error", &json!(format!("{error:#}"))),
    }
}

fn print_line(message: &str, name: &str, value: &serde_json::Value) {
    let (timestamp, target) = (Timestamp::now().to_string(), module_path!());
    let line = json!({ "timestamp": timestamp, "level": "ERROR", "message": message, name: value, "target": target });
    print_error(&format!("{line}\n"));
}
