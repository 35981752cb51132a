//! The tasks of a server, as a tree that can be waited for and cut: a connection, and below it its HTTP/2 streams.

use hyper::rt::Executor;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Spawns tasks that end when they are done or cut. A panic in one ends only that one.
#[derive(Clone, Default)]
pub(super) struct Tasks {
    tracker: TaskTracker,
    cut: CancellationToken,
}

impl Tasks {
    pub(super) fn spawn<F>(&self, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.tracker.spawn(self.cut.clone().run_until_cancelled_owned(task));
    }

    /// A branch: counted with the whole, cut with the whole or alone.
    pub(super) fn branch(&self) -> Self {
        Self { tracker: self.tracker.clone(), cut: self.cut.child_token() }
    }

    /// Drops every task of this branch at its next await.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Cuts when the guard is dropped.
    pub(super) fn cut_on_drop(&self) -> DropGuard {
        self.cut.clone().drop_guard()
    }

    /// Waits until no task of the whole tree is left.
    pub(super) async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The tasks of the whole tree.
    pub(super) fn len(&self) -> usize {
        self.tracker.len()
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}
