//! Idle detection by counting the requests in flight of a connection.
//!
//! hyper limits only the time for HTTP/1.1 heads, not for the bytes before the protocol is known or for an HTTP/2
//! connection without requests.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use super::slots::SlotHandle;

/// Number of requests of a connection whose handler is running or whose response is not fully written.
pub(super) struct Activity {
    in_flight: watch::Sender<usize>,
    slot: SlotHandle,
}

impl Activity {
    pub(super) fn new(slot: SlotHandle) -> Self {
        Self { in_flight: watch::Sender::default(), slot }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn begin(&self) -> InFlight {
        self.in_flight.send_modify(|count| {
            *count += 1;
            if *count == 1 {
                self.slot.set_idle(false);
            }
        });
        InFlight { in_flight: self.in_flight.clone(), slot: self.slot.clone() }
    }

    /// Returns once nothing has been in flight for the whole `limit`.
    pub(super) fn idle_for(&self, limit: Duration) -> impl Future<Output = ()> + use<> {
        let mut changes = self.in_flight.subscribe();
        async move {
            loop {
                // Every change restarts the timer, even if a request came and went between two polls.
                let idle = *changes.borrow_and_update() == 0;
                let next = if idle { timeout(limit, changes.changed()).await } else { Ok(changes.changed().await) };
                if !matches!(next, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

/// Guard that counts a request as in flight.
pub(super) struct InFlight {
    in_flight: watch::Sender<usize>,
    slot: SlotHandle,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.in_flight.send_modify(|count| {
            *count -= 1;
            if *count == 0 {
                self.slot.set_idle(true);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{limits::Limits, slots::Slots};

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_connection_is_idle_after_the_limit_since_its_last_request() {
        let slot = Slots::new(&Limits::default()).admit(std::net::Ipv4Addr::LOCALHOST.into()).await.unwrap();
        let activity = Activity::new(slot.handle());
        let request = activity.begin();
        let mut idle = std::pin::pin!(activity.idle_for(LIMIT));
        assert!(timeout(LIMIT * 4, idle.as_mut()).await.is_err());
        drop(request);
        assert!(timeout(LIMIT / 2, idle.as_mut()).await.is_err());
        assert!(timeout(LIMIT * 100, idle).await.is_ok());
    }
}
