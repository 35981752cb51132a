//! A connection to PostgreSQL for reads.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{Func, Query};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr};
use tokio::time::timeout;

use super::health::StorageHealth;

/// Maximum time for the cancellation of a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Placeholder for an unknown backend process id.
const NO_BACKEND: i32 = 0;

/// A pool of one connection, so that the backend of a statement is known. It is opened on first use.
pub(super) struct PostgresReader {
    options: ConnectOptions,
    connection: Mutex<Option<DatabaseConnection>>,
    backend_pid: Arc<AtomicI32>,
    /// Another connection, which cancels statements.
    canceller: DatabaseConnection,
}

impl PostgresReader {
    pub(super) fn new(mut options: ConnectOptions, canceller: DatabaseConnection, health: &Arc<StorageHealth>) -> Self {
        let backend_pid = Arc::new(AtomicI32::new(NO_BACKEND));
        options.idle_timeout(None).max_lifetime(None);
        store_backend_pid(&mut options, &backend_pid, health);
        Self { options, connection: Mutex::default(), backend_pid, canceller }
    }

    /// Returns the connection, which is opened if necessary. Only one caller uses a reader at a time.
    pub(super) async fn connect(&self) -> Result<DatabaseConnection, DbErr> {
        let connected = self.lock().clone();
        if let Some(connection) = connected {
            return Ok(connection);
        }
        // Boxed, because the future of the driver is large.
        let connection = Box::pin(Database::connect(self.options.clone())).await?;
        *self.lock() = Some(connection.clone());
        Ok(connection)
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Drops the connection without waiting for it.
    pub(super) fn disconnect(&self) {
        drop(self.lock().take());
    }

    pub(super) async fn close(&self) {
        let connection = self.lock().take();
        if let Some(connection) = connection
            && let Err(error) = connection.close_by_ref().await
        {
            tracing::warn!(%error, "failed to close a database connection");
        }
    }

    /// Cancels the running statement.
    pub(super) async fn cancel(&self) {
        let backend_pid = self.backend_pid.load(Ordering::Acquire);
        if backend_pid == NO_BACKEND {
            return;
        }
        let cancel = Func::cust("pg_cancel_backend").arg(backend_pid);
        match timeout(CANCEL_TIMEOUT, self.canceller.query_one(Query::select().expr(cancel))).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => tracing::warn!(%error, "failed to cancel an abandoned statement"),
            Err(_) => tracing::warn!("cancelling an abandoned statement took too long"),
        }
        self.disconnect();
    }

    fn lock(&self) -> MutexGuard<'_, Option<DatabaseConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stores the backend process id of a connection.
fn store_backend_pid(options: &mut ConnectOptions, backend_pid: &Arc<AtomicI32>, health: &Arc<StorageHealth>) {
    let (backend_pid, health) = (Arc::clone(backend_pid), Arc::clone(health));
    options.map_sqlx_postgres_pool_opts(move |pool| {
        let backend_pid = Arc::clone(&backend_pid);
        health.close_unresponsive(pool).after_connect(move |connection, _| {
            let backend_pid = Arc::clone(&backend_pid);
            Box::pin(async move {
                backend_pid.store(NO_BACKEND, Ordering::Release);
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await?;
                backend_pid.store(pid, Ordering::Release);
                Ok(())
            })
        })
    });
}
