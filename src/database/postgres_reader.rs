//! A connection to PostgreSQL for reads.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{Func, Query, Values};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, QueryResult, RuntimeErr, Statement,
};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres};
use tokio::time::{Instant, timeout};

use super::health::StorageHealth;

/// Maximum time for the cancellation of a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time after which the pool tests an idle connection: a firewall may have dropped it silently.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// Placeholder for an unknown backend process id.
const NO_BACKEND: i32 = 0;

/// A connection, opened on first use.
///
/// It is that of a pool of one, so that the backend of a statement is known, and stays out of its pool between statements:
/// the pool pings the server each time that a connection returns.
pub(super) struct PostgresReader {
    options: ConnectOptions,
    state: Mutex<State>,
    backend_pid: Arc<AtomicI32>,
    /// Another connection, which cancels statements.
    canceller: DatabaseConnection,
}

#[derive(Default)]
struct State {
    pool: Option<DatabaseConnection>,
    /// The connection and the end of its last statement, unless a statement uses it or the last one failed.
    connection: Option<(PoolConnection<Postgres>, Instant)>,
}

impl PostgresReader {
    pub(super) fn new(mut options: ConnectOptions, canceller: DatabaseConnection, health: &Arc<StorageHealth>) -> Self {
        let backend_pid = Arc::new(AtomicI32::new(NO_BACKEND));
        options.idle_timeout(None).max_lifetime(None);
        store_backend_pid(&mut options, &backend_pid, health);
        Self { options, state: Mutex::default(), backend_pid, canceller }
    }

    /// Runs a statement. Only one caller uses a reader at a time.
    pub(super) async fn query(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = values.unwrap_or_else(|| Values(Vec::new()));
        let kept = self.lock().connection.take();
        if let Some((mut connection, _)) = kept.filter(|(_, used_at)| used_at.elapsed() < MAX_IDLE) {
            match self.run(&mut connection, &sql, values.clone()).await {
                // The server has closed the connection since the last statement.
                Err(error) if is_disconnected(&error) => drop(connection),
                result => return self.keep(connection, result),
            }
        }
        let mut connection = self.acquire().await?;
        let result = self.run(&mut connection, &sql, values).await;
        self.keep(connection, result)
    }

    async fn run(
        &self,
        connection: &mut PoolConnection<Postgres>,
        sql: &str,
        values: Values,
    ) -> Result<Vec<QueryResult>, DbErr> {
        let rows = sqlx::query_with(AssertSqlSafe(sql), SqlxValues(values)).fetch_all(&mut **connection).await;
        let rows = rows.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into())))?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Keeps a connection for the next statement. After a failure, the pool tests whether it is still usable.
    fn keep<T>(&self, connection: PoolConnection<Postgres>, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if result.is_ok() {
            self.lock().connection = Some((connection, Instant::now()));
        }
        result
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbErr> {
        let known = self.lock().pool.clone();
        let pool = if let Some(pool) = known {
            pool
        } else {
            // Boxed, like the next one: the futures of the driver are large.
            let pool = Box::pin(Database::connect(self.options.clone())).await?;
            self.lock().pool = Some(pool.clone());
            pool
        };
        let acquired = Box::pin(pool.get_postgres_connection_pool().acquire()).await;
        acquired.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().pool.is_some()
    }

    /// Drops the connection without waiting for it.
    pub(super) fn disconnect(&self) {
        *self.lock() = State::default();
    }

    pub(super) async fn close(&self) {
        let State { pool, connection } = std::mem::take(&mut *self.lock());
        drop(connection);
        if let Some(pool) = pool
            && let Err(error) = pool.close_by_ref().await
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a statement failed because the server has ended the connection.
fn is_disconnected(error: &DbErr) -> bool {
    let DbErr::Query(RuntimeErr::SqlxError(cause)) = error else { return false };
    match &**cause {
        sqlx::Error::Io(_) => true,
        // admin_shutdown, crash_shutdown, idle_session_timeout.
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| ["57P01", "57P02", "57P05"].contains(&&*code)),
        _ => false,
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
