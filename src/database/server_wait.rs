//! Wait for a PostgreSQL server that is starting.

use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::{Instant, sleep, timeout};

use super::connect::Engine;
use crate::repositories::StoreError;

/// Maximum time for one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Minimum time between two log messages.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Reason why PostgreSQL cannot be used.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The server is away, starting, or has too many connections.
    #[error("PostgreSQL did not accept a connection within {seconds} s: {cause}")]
    NotReached { seconds: u64, cause: String },
    /// The settings are wrong, so waiting would not help.
    #[error("PostgreSQL refused the connection: {0}")]
    Rejected(String),
}

/// Waits until PostgreSQL accepts a connection, and fails after `limit` with the cause. SQLite needs no server.
///
/// Fails at once if the server rejects the credentials or does not have the database.
pub async fn wait_for_server(url: &SecretString, limit: Duration) -> Result<(), StoreError> {
    if Engine::from_url(url.expose_secret()) != Some(Engine::Postgres) {
        return Ok(());
    }
    let begun = Instant::now();
    let mut reported: Option<Instant> = None;
    loop {
        let cause = match attempt(url).await {
            Ok(()) => return Ok(()),
            Err(error) if is_temporary(&error) => error.to_string(),
            Err(error) => return Err(StoreError::Unavailable(Box::new(Refused::Rejected(error.to_string())))),
        };
        if begun.elapsed() + RETRY_DELAY > limit {
            let seconds = limit.as_secs();
            return Err(StoreError::Unavailable(Box::new(Refused::NotReached { seconds, cause })));
        }
        if reported.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL) {
            reported = Some(Instant::now());
            tracing::warn!(cause, timeout_seconds = limit.as_secs(), "waiting for PostgreSQL");
        }
        sleep(RETRY_DELAY).await;
    }
}

async fn attempt(url: &SecretString) -> Result<(), sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose_secret())?;
    match timeout(ATTEMPT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected?.close().await,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer"))),
    }
}

/// Returns whether the server may accept a connection later.
fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // too_many_connections, and a server that starts, stops or recovers.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "53300" || code.starts_with("57P0")),
        _ => false,
    }
}
