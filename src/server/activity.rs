//! Whether a connection has requests in flight, so that an idle one can be told from a busy one.
//!
//! hyper times only the heads of HTTP/1.1. It does not time the bytes before the protocol is known, nor an HTTP/2
//! connection whose client answers pings and asks for nothing.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// The number of requests of one connection that are in a handler or whose response is not yet handed over.
#[derive(Default)]
pub(super) struct Activity {
    in_flight: watch::Sender<usize>,
}

impl Activity {
    /// Counts a request until the guard is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.in_flight.send_modify(|count| *count += 1);
        InFlight { in_flight: self.in_flight.clone() }
    }

    /// Returns once nothing has been in flight for the whole `limit`.
    pub(super) fn idle_for(&self, limit: Duration) -> impl Future<Output = ()> + use<> {
        let mut changes = self.in_flight.subscribe();
        async move {
            loop {
                // Every change starts the time anew, even when a request came and went between two looks at the count.
                let idle = *changes.borrow_and_update() == 0;
                let next = if idle { timeout(limit, changes.changed()).await } else { Ok(changes.changed().await) };
                if !matches!(next, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

/// One request, counted as long as this lives.
pub(super) struct InFlight {
    in_flight: watch::Sender<usize>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.in_flight.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_request_in_flight_is_not_idle_and_its_end_starts_the_time() {
        let activity = Activity::default();
        let request = activity.begin();
        let mut idle = std::pin::pin!(activity.idle_for(LIMIT));
        assert!(timeout(LIMIT * 4, idle.as_mut()).await.is_err());
        drop(request);
        assert!(timeout(LIMIT / 2, idle.as_mut()).await.is_err());
        assert!(timeout(LIMIT * 100, idle).await.is_ok());
    }
}
