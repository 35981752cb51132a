//! Tells who waits for it that something was committed, a job or an event: those of this process at once, those of
//! other processes by PostgreSQL.
//!
//! Nothing depends on it but time. A ring that gets lost, as when a process dies right after a commit, costs no more
//! than the time until they look by themselves.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Func, Query};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::contract::ids::new_uuid;

/// How long to wait after a failure to listen.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);

/// How long a process keeps still between two rings for others: each is a transaction, and what is committed meanwhile
/// is told by the next one.
const DEBOUNCE: Duration = Duration::from_millis(5);

/// The bell of a store.
pub(super) struct Notifier {
    local: Arc<Notify>,
    remote: Option<PgChannel>,
}

/// Other processes on the same PostgreSQL.
struct PgChannel {
    url: secrecy::SecretString,
    /// The name under which processes on one PostgreSQL talk about it.
    channel: &'static str,
    /// By which a process knows its own voice.
    name: Uuid,
    pending: Arc<Notify>,
    publisher: JoinHandle<()>,
    listener: OnceCell<JoinHandle<()>>,
}

impl Notifier {
    /// A bell for one process.
    pub(super) fn new() -> Self {
        Self { local: Arc::default(), remote: None }
    }

    /// A bell that is heard wherever the same database is used.
    pub(super) fn on_postgres(
        connection: DatabaseConnection,
        url: secrecy::SecretString,
        channel: &'static str,
    ) -> Self {
        let (name, pending) = (new_uuid(), Arc::new(Notify::new()));
        let publisher = tokio::spawn(publish_loop(connection, channel, name, Arc::clone(&pending)));
        let remote = PgChannel { url, channel, name, pending, publisher, listener: OnceCell::new() };
        Self { local: Arc::default(), remote: Some(remote) }
    }

    /// Tells everybody.
    pub(super) fn notify(&self) {
        self.local.notify_one();
        if let Some(remote) = &self.remote {
            remote.pending.notify_one();
        }
    }

    /// Waits for the next ring; one that nobody waited for counts.
    pub(super) async fn notified(&self) {
        if let Some(remote) = &self.remote {
            let PgChannel { url, channel, name, .. } = remote;
            let listen = async || tokio::spawn(listen_loop(url.clone(), channel, *name, Arc::clone(&self.local)));
            remote.listener.get_or_init(listen).await;
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

/// Rings in other processes. After the commit and by itself, because PostgreSQL lets transactions that notify commit
/// only one after the other; and once for all that were committed meanwhile.
async fn publish_loop(connection: DatabaseConnection, channel: &'static str, name: Uuid, pending: Arc<Notify>) {
    loop {
        pending.notified().await;
        let notify = Func::cust("pg_notify").arg(channel).arg(name.to_string());
        if let Err(error) = connection.query_one(Query::select().expr(notify)).await {
            tracing::debug!(%error, "other processes could not be told of a commit");
        }
        tokio::time::sleep(DEBOUNCE).await;
    }
}

/// Hears what other processes pending.
async fn listen_loop(url: secrecy::SecretString, channel: &'static str, name: Uuid, local: Arc<Notify>) {
    use secrecy::ExposeSecret as _;
    loop {
        let result = async {
            let mut listener = PgListener::connect(url.expose_secret()).await?;
            listener.listen(channel).await?;
            // What was committed before is not told again.
            local.notify_one();
            loop {
                // Nothing means that the connection was lost, and with it perhaps a notification.
                let notification = listener.try_recv().await?;
                if notification.is_none_or(|notification| notification.payload() != name.to_string()) {
                    local.notify_one();
                }
            }
        };
        let result: Result<std::convert::Infallible, sqlx::Error> = result.await;
        let Err(error) = result;
        tracing::warn!(%error, "what other processes commit is noticed later: PostgreSQL cannot be listened to");
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}
