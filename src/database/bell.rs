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
const PAUSE: Duration = Duration::from_secs(5);

/// How long a process keeps still between two rings for others: each is a transaction, and what is committed meanwhile
/// is told by the next one.
const BREATH: Duration = Duration::from_millis(5);

/// The bell of a store.
pub(super) struct Bell {
    here: Arc<Notify>,
    elsewhere: Option<Elsewhere>,
}

/// Other processes on the same PostgreSQL.
struct Elsewhere {
    url: secrecy::SecretString,
    /// The name under which processes on one PostgreSQL talk about it.
    channel: &'static str,
    /// By which a process knows its own voice.
    name: Uuid,
    ring: Arc<Notify>,
    ringing: JoinHandle<()>,
    listening: OnceCell<JoinHandle<()>>,
}

impl Bell {
    /// A bell for one process.
    pub(super) fn new() -> Self {
        Self { here: Arc::default(), elsewhere: None }
    }

    /// A bell that is heard wherever the same database is used.
    pub(super) fn on_postgres(
        connection: DatabaseConnection,
        url: secrecy::SecretString,
        channel: &'static str,
    ) -> Self {
        let (name, ring) = (new_uuid(), Arc::new(Notify::new()));
        let ringing = tokio::spawn(forward(connection, channel, name, Arc::clone(&ring)));
        let elsewhere = Elsewhere { url, channel, name, ring, ringing, listening: OnceCell::new() };
        Self { here: Arc::default(), elsewhere: Some(elsewhere) }
    }

    /// Tells everybody.
    pub(super) fn ring(&self) {
        self.here.notify_one();
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.ring.notify_one();
        }
    }

    /// Waits for the next ring; one that nobody waited for counts.
    pub(super) async fn heard(&self) {
        if let Some(elsewhere) = &self.elsewhere {
            let Elsewhere { url, channel, name, .. } = elsewhere;
            let listen = async || tokio::spawn(listen(url.clone(), channel, *name, Arc::clone(&self.here)));
            elsewhere.listening.get_or_init(listen).await;
        }
        self.here.notified().await;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.ringing.abort();
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

/// Rings in other processes. After the commit and by itself, because PostgreSQL lets transactions that notify commit
/// only one after the other; and once for all that were committed meanwhile.
async fn forward(connection: DatabaseConnection, channel: &'static str, name: Uuid, ring: Arc<Notify>) {
    loop {
        ring.notified().await;
        let notify = Func::cust("pg_notify").arg(channel).arg(name.to_string());
        if let Err(error) = connection.query_one(Query::select().expr(notify)).await {
            tracing::debug!(%error, "other processes could not be told of a commit");
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Hears what other processes ring.
async fn listen(url: secrecy::SecretString, channel: &'static str, name: Uuid, here: Arc<Notify>) {
    use secrecy::ExposeSecret as _;
    loop {
        let result = async {
            let mut listener = PgListener::connect(url.expose_secret()).await?;
            listener.listen(channel).await?;
            // What was committed before is not told again.
            here.notify_one();
            loop {
                // Nothing means that the connection was lost, and with it perhaps a ring.
                let ring = listener.try_recv().await?;
                if ring.is_none_or(|ring| ring.payload() != name.to_string()) {
                    here.notify_one();
                }
            }
        };
        let result: Result<std::convert::Infallible, sqlx::Error> = result.await;
        let Err(error) = result;
        tracing::warn!(%error, "what other processes commit is noticed later: PostgreSQL cannot be listened to");
        tokio::time::sleep(PAUSE).await;
    }
}
