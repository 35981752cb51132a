//! State shared with the one connection that writes to SQLite, by its hooks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// State shared with the connection that writes to SQLite.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    commits: AtomicU64,
    is_condemned: AtomicBool,
    is_interrupted: AtomicBool,
}

impl WriterState {
    /// Records a commit; called by SQLite itself, which takes `false` for a veto.
    pub(super) fn record_commit(&self) -> bool {
        self.commits.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Has the connection closed before it is used again.
    pub(super) fn condemn(&self) {
        self.is_condemned.store(true, Ordering::Release);
    }

    /// Returns whether the connection must be closed before it is used again.
    pub(super) fn is_condemned(&self) -> bool {
        self.is_condemned.load(Ordering::Acquire)
    }

    /// Returns the number of commits of all connections so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Stops the statement that runs.
    pub(super) fn interrupt(&self) {
        self.is_interrupted.store(true, Ordering::Release);
    }

    /// Returns whether the statement that runs may go on.
    pub(super) fn may_go_on(&self) -> bool {
        !self.is_interrupted.load(Ordering::Acquire)
    }

    /// Lets the next statement run.
    pub(super) fn clear_interrupt(&self) {
        self.is_interrupted.store(false, Ordering::Release);
    }

    /// Starts over with a new connection.
    pub(super) fn reset(&self) {
        self.is_condemned.store(false, Ordering::Release);
        self.clear_interrupt();
    }
}
