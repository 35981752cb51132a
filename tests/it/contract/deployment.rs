//! Files for containers, platforms and systemd.

use std::fs;
use std::path::Path;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// `SHUTDOWN_DELAY_SECONDS` in production, and the time in which requests and jobs end.
const MAX_STOP_SECONDS: u64 = 5 + 20;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Number after a text that occurs once.
fn number_after(file: &str, text: &str) -> u64 {
    let content = read(file);
    let [_, rest] = content.split(text).collect::<Vec<_>>()[..] else {
        panic!("{file} has {text} more or less than once")
    };
    rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn every_platform_lets_a_server_stop_in_order() {
    for (file, text) in [
        ("Dockerfile", "--stop-timeout "),
        ("docs/deploy/fly.toml", "kill_timeout = "),
        ("docs/deploy/pocket-tasks.service", "TimeoutStopSec="),
        ("railway.json", "\"drainingSeconds\": "),
    ] {
        assert!(number_after(file, text) > MAX_STOP_SECONDS, "{file}: {text}");
    }
}

#[test]
fn platforms_ask_for_the_readiness() {
    let railway: Value = serde_json::from_str(&read("railway.json")).unwrap();
    assert_eq!(railway["deploy"]["healthcheckPath"], "/health/ready");
    assert!(read("docs/deploy/fly.toml").contains("path = \"/health/ready\""));
}

#[test]
fn deployment_files_contain_no_secrets() {
    let files =
        [".env.example", "Dockerfile", "railway.json", "docs/deploy/fly.toml", "docs/deploy/pocket-tasks.service"];
    for file in files {
        let text = read(file);
        for name in ["JWT_SECRET", "JWT_SECRET_PREVIOUS", "ENCRYPTION_KEY", "ENCRYPTION_KEY_PREVIOUS", "SMTP_URL"] {
            for value in text.split(&format!("{name}=")).skip(1) {
                let value = value.lines().next().unwrap_or_default();
                // A command that generates one is no secret.
                assert!(value.is_empty() || value.starts_with("\"$(openssl rand"), "{file}: {name}={value}");
            }
        }
    }
    let ignored = read(".dockerignore");
    let first = ignored.lines().find(|line| !line.starts_with('#'));
    assert_eq!(first, Some("*"), "the image is built from listed files only");
}
