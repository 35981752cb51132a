//! State shared with the hooks of a connection to SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sea_orm::ConnectOptions;
use sqlx::Connection as _;

use super::health::StorageHealth;

/// Instructions of SQLite between two calls of the progress handler.
const PROGRESS_INTERVAL: i32 = 4_000;

/// State of the one connection of a pool to SQLite.
#[derive(Debug, Default)]
pub(super) struct SqliteState {
    commits: AtomicU64,
    is_condemned: AtomicBool,
    is_interrupted: AtomicBool,
}

impl SqliteState {
    /// Requires the connection to be replaced before it is used again.
    pub(super) fn condemn(&self) {
        self.is_condemned.store(true, Ordering::Release);
    }

    /// Returns whether the connection must be replaced.
    pub(super) fn is_condemned(&self) -> bool {
        self.is_condemned.load(Ordering::Acquire)
    }

    /// Returns the number of commits of all connections so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Stops the running statement.
    pub(super) fn interrupt(&self) {
        self.is_interrupted.store(true, Ordering::Release);
    }

    /// Installs the hooks of a connection. An interrupt is cleared when the connection is next acquired, which happens
    /// only after the interrupted statement has ended.
    pub(super) fn observe(self: &Arc<Self>, options: &mut ConnectOptions, health: &Arc<StorageHealth>) {
        let opened = (Arc::clone(self), Arc::clone(health));
        options.map_sqlx_sqlite_pool_opts(move |pool| {
            let (state, health) = opened.clone();
            pool.after_connect(move |connection, _| {
                let (state, health) = (Arc::clone(&state), Arc::clone(&health));
                Box::pin(async move {
                    health.verify_opened()?;
                    state.is_condemned.store(false, Ordering::Release);
                    state.is_interrupted.store(false, Ordering::Release);
                    let mut handle = connection.lock_handle().await?;
                    let committing = Arc::clone(&state);
                    handle.set_commit_hook(move || {
                        committing.commits.fetch_add(1, Ordering::AcqRel);
                        // False would be a veto.
                        true
                    });
                    handle
                        .set_progress_handler(PROGRESS_INTERVAL, move || !state.is_interrupted.load(Ordering::Acquire));
                    Ok(())
                })
            })
        });
        let state = Arc::clone(self);
        options.map_sqlx_sqlite_before_acquire(move |connection, _| {
            // After a failed COMMIT the driver's transaction depth is not zero, and the next transaction would be a
            // savepoint.
            let is_usable = !connection.is_in_transaction() && !state.is_condemned();
            state.is_interrupted.store(false, Ordering::Release);
            Box::pin(async move { Ok(is_usable) })
        });
    }
}
