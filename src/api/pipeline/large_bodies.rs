//! Work on large bodies, off the async threads.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::api::errors::ApiError;

/// Maximum size of a body that is processed on an async thread, in bytes.
const MAX_INLINE_SIZE: usize = 16 * 1_024;

/// Threads for work on large bodies.
pub(super) struct LargeBodies {
    /// One per core, so that a flood of large bodies leaves the async threads their share of the cores.
    permits: Arc<Semaphore>,
}

impl LargeBodies {
    pub(super) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { permits: Arc::new(Semaphore::new(threads)) }
    }

    /// Runs work on a body of `size` bytes: at once if it is small, on a thread of its own otherwise.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        if size <= MAX_INLINE_SIZE {
            return Ok(work());
        }
        let failed = |error: anyhow::Error| ApiError::internal(error.context("failed to process a large body"));
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| failed(error.into()))?;
        // The thread keeps the permit, because it continues when the request is cancelled.
        let work = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        });
        work.await.map_err(|error| failed(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    // On one async thread, which work on a small body would block.
    #[tokio::test]
    async fn requests_proceed_while_a_large_body_is_processed() {
        let bodies = LargeBodies::new();
        let (other_request, awaited) = mpsc::channel();
        let work = bodies.run(MAX_INLINE_SIZE + 1, move || awaited.recv_timeout(TIMEOUT));
        let (processed, sent) = tokio::join!(work, async { other_request.send(()) });
        assert_eq!((processed.unwrap(), sent), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_small_body_is_processed_without_a_change_of_threads() {
        let processed_on = LargeBodies::new().run(MAX_INLINE_SIZE, || thread::current().id()).await;
        assert_eq!(processed_on.unwrap(), thread::current().id());
    }

    #[tokio::test]
    async fn a_flood_of_large_bodies_takes_one_thread_per_core() {
        let bodies = LargeBodies::new();
        let cores = bodies.permits.available_permits();
        let (running, max_running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let flood = (0..cores * 20).map(|_| {
            let (running, max_running) = (Arc::clone(&running), Arc::clone(&max_running));
            bodies.run(1_048_576, move || {
                max_running.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        assert!(join_all(flood).await.iter().all(Result::is_ok));
        let max_running = max_running.load(Ordering::SeqCst);
        assert!((1..=cores).contains(&max_running), "{max_running} of {cores}");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_the_thread() {
        let bodies = LargeBodies::new();
        let before = bodies.permits.available_permits();
        let error = bodies.run(1_048_576, || panic!("for the test")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(poem::Error::from(error).status().as_u16(), 500);
        assert_eq!(bodies.permits.available_permits(), before);
    }
}
