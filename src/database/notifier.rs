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
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::contract::ids::new_uuid;

/// Wait after the connection that listens has failed.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);

/// Minimum time between two notifications of other processes.
const DEBOUNCE: Duration = Duration::from_millis(5);

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
    pub(super) fn on_postgres(connection: DatabaseConnection, url: SecretString, channel: &'static str) -> Self {
        let (sender, pending) = (new_uuid(), Arc::new(Notify::new()));
        let publisher = tokio::spawn(publish_loop(connection, channel, sender, Arc::clone(&pending)));
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
async fn publish_loop(connection: DatabaseConnection, channel: &'static str, sender: Uuid, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        let notify = Func::cust("pg_notify").arg(channel).arg(sender.to_string());
        if let Err(error) = connection.query_one(Query::select().expr(notify)).await {
            tracing::debug!(%error, "failed to notify other processes of a commit");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Forwards the notifications of other processes to the waiters of this one.
async fn listen_loop(url: SecretString, channel: &'static str, sender: Uuid, local: Arc<Notify>) {
    loop {
        let result: Result<Infallible, sqlx::Error> = async {
            let mut listener = PgListener::connect(url.expose_secret()).await?;
            listener.listen(channel).await?;
            // Earlier commits are not announced again.
            local.notify_one();
            loop {
                // None means that the connection was lost, perhaps with a notification.
                let notification = listener.try_recv().await?;
                if notification.is_none_or(|notification| notification.payload() != sender.to_string()) {
                    local.notify_one();
                }
            }
        }
        .await;
        let Err(error) = result;
        tracing::warn!(%error, "cannot listen to PostgreSQL; commits of other processes are noticed by polling");
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}
