//! Values for metrics that are read when they are wanted: connections, sizes of files, unfinished jobs.

use std::time::Duration;

use super::store::SeaStore;
use super::transaction::{WRITE_POOL, Writers, engine_name};
use crate::contract::Timestamp;
use crate::repositories::{JobState, Queue, Repositories as _, StoreError};
use crate::telemetry::{self, JobCount, PoolConnections};

impl SeaStore {
    /// Returns the name of the engine, as OpenTelemetry has it.
    #[must_use]
    pub fn engine_name(&self) -> &'static str {
        engine_name(self.writers.backend())
    }

    /// Records the numbers of connections.
    pub fn record_connections(&self) {
        let pool = match &self.writers {
            Writers::Postgres(writers) => {
                let pool = writers.get_postgres_connection_pool();
                let [open, max] = [pool.size(), pool.options().get_max_connections()].map(|count| count as usize);
                let idle = pool.num_idle();
                PoolConnections { pool: WRITE_POOL, used: open.saturating_sub(idle), idle, max }
            }
            Writers::Sqlite(writer) => {
                let (open, used) = (usize::from(writer.is_open()), usize::from(writer.is_in_use()));
                PoolConnections { pool: WRITE_POOL, used, idle: open.saturating_sub(used), max: 1 }
            }
        };
        telemetry::set_pool_connections(pool);
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
