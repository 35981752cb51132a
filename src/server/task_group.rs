//! Tasks of a connection, which end together.

use hyper::rt::Executor;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Group of tasks that can be awaited and aborted: a connection and, as a child, its HTTP/2 streams.
///
/// A panic ends only the task that panicked.
#[derive(Clone, Default)]
pub(super) struct TaskGroup {
    tracker: TaskTracker,
    aborted: CancellationToken,
}

impl TaskGroup {
    pub(super) fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.tracker.spawn(self.aborted.clone().run_until_cancelled_owned(task));
    }

    /// Creates a group that is counted and aborted with this one, and can be aborted alone.
    pub(super) fn child(&self) -> Self {
        Self { tracker: self.tracker.clone(), aborted: self.aborted.child_token() }
    }

    /// Drops every task of the group at its next await.
    pub(super) fn abort(&self) {
        self.aborted.cancel();
    }

    pub(super) fn abort_on_drop(&self) -> DropGuard {
        self.aborted.clone().drop_guard()
    }

    /// Waits until all tasks, including those of children and parents, have ended.
    pub(super) async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Number of tasks, including those of children and parents.
    pub(super) fn len(&self) -> usize {
        self.tracker.len()
    }
}

impl<F> Executor<F> for TaskGroup
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
