//! Invalid settings: all are reported together by name, without secrets.

use std::fs;

use serde_json::{Value, json};

use super::program::{Ended, Server, run};

/// Names of the rejected variables, in order.
#[track_caller]
fn complaints(ended: &Ended) -> Vec<String> {
    assert_eq!(ended.status, Some(2), "{}", ended.errors);
    assert_eq!(ended.output, [""; 0]);
    let name = |line: &str| line.split_once(' ').unwrap_or_else(|| panic!("{line}")).0.to_owned();
    // In production, one line of JSON.
    if let Ok(entry) = serde_json::from_str::<Value>(&ended.errors) {
        assert_eq!((&entry["level"], &entry["message"]), (&json!("ERROR"), &json!("invalid settings")));
        return entry["errors"].as_array().unwrap().iter().map(|error| name(error.as_str().unwrap())).collect();
    }
    ended.errors.lines().filter_map(|line| line.strip_prefix("  ")).map(name).collect()
}

#[test]
fn all_invalid_settings_are_reported_together_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("PORT", "hunter0"),
        ("HOST", "nowhere at all"),
        ("JWT_SECRET", "hunter1"),
        ("JWT_SECRET_PREVIOUS", "hunter2"),
        ("ENCRYPTION_KEY", "hunter3"),
        ("ENCRYPTION_KEY_PREVIOUS", "hunter14"),
        ("DATABASE_URL", "mysql://user:hunter4@host/db"),
        ("BCRYPT_COST", "32"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "pocket_tasks=loud"),
        ("METRICS_ADDR", "hunter14:9464"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter15:4318"),
        ("REQUEST_TIMEOUT_SECONDS", "-1"),
        ("SHUTDOWN_DELAY_SECONDS", "301"),
        ("PUBLIC_URL", "example.com"),
        ("SMTP_URL", "http://user:hunter5@mail.example"),
        ("MAIL_FROM", "hunter6"),
        ("REQUIRE_EMAIL_VERIFICATION", "hunter7"),
        ("JOB_WORKERS", "65"),
        ("WEBHOOK_ALLOW_CIDRS", "10.0.0.0/8,hunter8"),
        ("WEBHOOK_DENY_CIDRS", "hunter11"),
        ("WEBHOOK_ALLOW_PORTS", "443,hunter12"),
        ("WEBHOOK_DELIVERIES_PER_HOST_PER_SECOND", "hunter13"),
        ("WEBHOOK_DELIVERIES_PER_USER_PER_MINUTE", "-1"),
        ("WEBHOOK_ALLOW_HTTP", "hunter9"),
        ("WEBHOOK_RETRY_SECONDS", "5,hunter10"),
    ];
    let retry = ["jobs", "retry", "0199d0a0-0000-7000-8000-000000000000"];
    for arguments in [
        &[][..],
        &["serve"],
        &["worker"],
        &["migrate"],
        &["migrate", "status"],
        &["seed"],
        &["jobs", "list"],
        &["audit"],
        &["doctor"],
        &retry,
        &["healthcheck"],
    ] {
        let ended = run(folder.path(), arguments, &variables);
        let mut names = complaints(&ended);
        names.sort_unstable();
        let mut expected = variables.map(|(name, _)| name);
        expected.sort_unstable();
        assert_eq!(names, expected, "{arguments:?}: {}", ended.errors);
        assert!(!ended.errors.contains("hunter"), "{}", ended.errors);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn production_requires_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &[], &[("APP_ENV", "production"), ("PORT", "0")]);
    assert_eq!(complaints(&ended), ["JWT_SECRET", "ENCRYPTION_KEY", "PUBLIC_URL", "SMTP_URL"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no secret was generated");
}

#[test]
fn production_ignores_settings_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join(".env"),
        "JWT_SECRET=0123456789abcdef0123456789abcdef\nPUBLIC_URL=https://a.example\n",
    )
    .unwrap();
    let ended = run(folder.path(), &[], &[("APP_ENV", "production"), ("PORT", "0")]);
    assert_eq!(complaints(&ended), ["JWT_SECRET", "ENCRYPTION_KEY", "PUBLIC_URL", "SMTP_URL"]);
}

#[test]
fn development_reads_a_settings_file_below_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "PORT=none\nHOST=none\nBCRYPT_COST=none\n").unwrap();
    let ended = run(folder.path(), &[], &[("HOST", "127.0.0.1"), ("BCRYPT_COST", "4")]);
    assert_eq!(complaints(&ended), ["PORT"]);
}

#[test]
fn unusable_certificates_are_invalid_settings() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &[], &[("TLS_CERT_PATH", "missing.crt"), ("TLS_KEY_PATH", "missing.key")]);
    assert_eq!(complaints(&ended), ["TLS_CERT_PATH"]);
    assert!(ended.errors.contains("missing.crt"), "{}", ended.errors);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn retries_that_exceed_the_retention_of_events_cause_a_warning() {
    let warning = "WEBHOOK_RETRY_SECONDS exceeds RETENTION_DAYS; the last delivery attempts will be skipped";
    for (retry, days, is_warned_of) in
        [(None, "3", true), (None, "4", false), (Some("0,86400"), "1", false), (Some("1,86400"), "1", true)]
    {
        let folder = tempfile::tempdir().unwrap();
        let variables: Vec<_> =
            [("RETENTION_DAYS", days)].into_iter().chain(retry.map(|retry| ("WEBHOOK_RETRY_SECONDS", retry))).collect();
        let log = Server::start(folder.path(), &variables).stop().log();
        assert_eq!(log.iter().any(|entry| entry["message"] == warning), is_warned_of, "{variables:?}: {log:#?}");
    }
}

#[test]
fn an_unreachable_database_is_reported_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens on port 1.
    let url = "postgres://ada:hunter2@127.0.0.1:1/tasks";
    let variables = [("DATABASE_URL", url), ("DATA_DIR", "data"), ("PORT", "0"), ("STARTUP_TIMEOUT_SECONDS", "0")];
    let ended = run(folder.path(), &[], &variables);
    assert_eq!(ended.status, Some(1));
    assert!(ended.errors.contains("database") && ended.errors.contains("Connection refused"), "{}", ended.errors);
    assert!(!format!("{}{:?}", ended.errors, ended.output).contains("hunter2"), "{}", ended.errors);
}
