//! Values for metrics that are read when they are wanted: connections, sizes of files, unfinished jobs.

use std::time::Duration;

use sea_orm::DbBackend;

use super::store::SeaStore;
use super::transaction::{WRITE_POOL, engine_name};
use crate::contract::Timestamp;
use crate::repositories::{JobState, Queue, Repositories as _, StoreError};
use crate::telemetry::{self, JobCount, PoolConnections};

impl SeaStore {
    /// Returns the name of the engine, as OpenTelemetry has it.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        engine_name(self.writer.get_database_backend())
    }

    /// Records the numbers of connections.
    pub fn record_connections(&self) {
        let (open, idle, max) = if self.writer.get_database_backend() == DbBackend::Postgres {
            let pool = self.writer.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        } else {
            let pool = self.writer.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        };
        let [open, max] = [open, max].map(|count| count as usize);
        telemetry::set_pool_connections(PoolConnections {
            pool: WRITE_POOL,
            used: open.saturating_sub(idle),
            idle,
            max,
        });
        for pool in [&self.reader.0, &self.unindexed_reader.0] {
            telemetry::set_pool_connections(pool.connections());
        }
    }

    /// Records the sizes of the files of an embedded database.
    pub fn record_file_sizes(&self) {
        if let Some((database, log)) = self.health.file_sizes() {
            telemetry::set_sqlite_file_sizes(database, log);
        }
    }

    /// Records the unfinished jobs, and for how long the oldest due one of each queue has been waiting.
    pub async fn record_jobs(&self, now: Timestamp) -> Result<(), StoreError> {
        let counts = self.unindexed_reader.queue().count_unfinished().await?;
        let count = |(kind, state, count): (_, JobState, _)| JobCount { kind, state: state.into(), count };
        let counts: Vec<_> = counts.into_iter().map(count).collect();
        let age = |due: Option<Timestamp>| due.map_or(0, |due| (now.0 - due.0).max(0).unsigned_abs());
        let oldest_due = self.reader.queue().list_due(Queue::ALL).await?.into_iter();
        let oldest_due: Vec<_> =
            oldest_due.map(|(queue, due)| (queue.as_str(), Duration::from_millis(age(due)))).collect();
        telemetry::set_jobs(&counts, &oldest_due);
        Ok(())
    }
}
