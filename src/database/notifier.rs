//! Notification of commits, across processes by LISTEN/NOTIFY of PostgreSQL.
//!
//! Notifications only save time. A lost one, such as that of a process killed right after a commit, delays the receiver
//! until its next poll.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Func, Query};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Executor as _;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use super::health::StorageHealth;
use crate::contract::ids::new_uuid;

/// Time limit for a connection that listens. Shorter than the default, whose retries become rare.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait after such a connection has failed.
pub(super) const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// Time without a notification after which the connection is checked.
const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// Minimum time between two notifications of other processes.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Notifies waiters in this process, and in other processes on the same PostgreSQL.
pub(super) struct Notifier {
    local: Arc<Notify>,
    remote: Option<PgChannel>,
}

/// Channel to the other processes.
struct PgChannel {
    url: SecretString,
    channel: &'static str,
    /// Payload by which a process recognizes its own notifications.
    sender: Uuid,
    pending: Arc<Notify>,
    publisher: JoinHandle<()>,
    listener: OnceCell<JoinHandle<()>>,
}

impl Notifier {
    /// Creates a notifier for this process.
    pub(super) fn new() -> Self {
        Self { local: Arc::default(), remote: None }
    }

    /// Creates a notifier for all processes that use the same database.
    pub(super) fn on_postgres(
        connection: DatabaseConnection,
        health: Arc<StorageHealth>,
        url: SecretString,
        channel: &'static str,
    ) -> Self {
        let (sender, pending) = (new_uuid(), Arc::new(Notify::new()));
        let publisher = tokio::spawn(publish_loop(connection, health, channel, sender, Arc::clone(&pending)));
        let remote = PgChannel { url, channel, sender, pending, publisher, listener: OnceCell::new() };
        Self { local: Arc::default(), remote: Some(remote) }
    }

    /// Wakes this process's one waiter (job runner or event hub) and, on PostgreSQL, other processes.
    pub(super) fn notify(&self) {
        self.local.notify_one();
        if let Some(remote) = &self.remote {
            remote.pending.notify_one();
        }
    }

    /// Waits for a notification, including one since the last call.
    pub(super) async fn notified(&self) {
        if let Some(PgChannel { url, channel, sender, listener, .. }) = &self.remote {
            let listen = async || tokio::spawn(listen_loop(url.clone(), channel, *sender, Arc::clone(&self.local)));
            listener.get_or_init(listen).await;
        }
        self.local.notified().await;
    }
}

impl Drop for PgChannel {
    fn drop(&mut self) {
        self.publisher.abort();
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

/// Notifies other processes. PostgreSQL serializes transactions that do so.
async fn publish_loop(
    connection: DatabaseConnection,
    health: Arc<StorageHealth>,
    channel: &'static str,
    sender: Uuid,
    pending: Arc<Notify>,
) {
    loop {
        pending.notified().await;
        let notify = Func::cust("pg_notify").arg(channel).arg(sender.to_string());
        let select = Query::select().expr(notify).take();
        if let Err(error) = health.bounded(connection.query_one(&select)).await {
            tracing::debug!(%error, "failed to notify other processes of a commit");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Opens a connection that listens to a channel.
pub(super) async fn listen(url: &SecretString, channel: &str) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy(url.expose_secret())?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    Ok(listener)
}

/// Waits for a notification. `None` means that the connection was lost, perhaps with a notification.
pub(super) async fn receive(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    loop {
        if let Ok(received) = timeout(CHECK_INTERVAL, listener.try_recv()).await {
            return received;
        }
        // A connection that was cut off receives nothing, not even an error.
        match timeout(CONNECT_TIMEOUT, listener.execute("SELECT 1")).await {
            Ok(checked) => {
                checked?;
            }
            Err(_) => return Err(sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut))),
        }
    }
}

/// Forwards the notifications of other processes to the waiters of this one.
async fn listen_loop(url: SecretString, channel: &'static str, sender: Uuid, local: Arc<Notify>) {
    let mut has_failed = false;
    loop {
        let result: Result<Infallible, sqlx::Error> = async {
            let mut listener = listen(&url, channel).await?;
            has_failed = false;
            // Earlier commits are not announced again.
            local.notify_one();
            loop {
                let notification = receive(&mut listener).await?;
                if notification.is_none_or(|notification| notification.payload() != sender.to_string()) {
                    local.notify_one();
                }
            }
        }
        .await;
        let Err(error) = result;
        if !has_failed {
            tracing::warn!(%error, "cannot listen to PostgreSQL; commits of other processes are noticed by polling");
        }
        has_failed = true;
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}
