//! State shared with the hooks of the one writing connection to SQLite.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// State of the writing connection to SQLite.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    commits: AtomicU64,
    is_condemned: AtomicBool,
    is_interrupted: AtomicBool,
}

impl WriterState {
    /// Records a commit. SQLite calls this, and takes `false` for a veto.
    pub(super) fn record_commit(&self) -> bool {
        self.commits.fetch_add(1, Ordering::AcqRel);
        true
    }

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

    /// Returns whether the running statement may continue.
    pub(super) fn may_continue(&self) -> bool {
        !self.is_interrupted.load(Ordering::Acquire)
    }

    /// Allows the next statement to run.
    pub(super) fn clear_interrupt(&self) {
        self.is_interrupted.store(false, Ordering::Release);
    }

    /// Resets the state for a new connection.
    pub(super) fn reset(&self) {
        self.is_condemned.store(false, Ordering::Release);
        self.clear_interrupt();
    }
}
