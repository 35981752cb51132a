//! Activity of a connection: it waits for a request, receives the head of one, or serves.
//!
//! hyper has one limit for the time before a request and the time for its head, and none for the bytes before the
//! protocol is known or for an HTTP/2 connection without requests.

use std::{future, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::slots::SlotHandle;

/// First bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const HTTP_2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Activity of a connection.
#[derive(Clone)]
pub(super) struct Activity {
    state: watch::Sender<State>,
    slot: SlotHandle,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Number of requests whose handler is running or whose response is not fully written.
    in_flight: usize,
    /// Time of the first byte of a request head that is not complete.
    head_since: Option<Instant>,
    /// The bytes of HTTP/2 between two requests are no head: pings, settings and windows.
    is_http_2: bool,
}

/// Reason to close a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// It had no request.
    Silent,
    /// A request head is still incomplete.
    SlowHead,
}

impl Activity {
    pub(super) fn new(slot: SlotHandle) -> Self {
        Self { state: watch::Sender::default(), slot }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn begin(&self, is_http_2: bool) -> InFlight {
        self.state.send_modify(|state| {
            state.is_http_2 = is_http_2;
            state.in_flight += 1;
            state.head_since = None;
            if state.in_flight == 1 {
                self.slot.set_idle(false);
            }
        });
        InFlight(self.clone())
    }

    /// Records bytes from the client.
    pub(super) fn received(&self, bytes: &[u8]) {
        self.state.send_if_modified(|state| {
            if state.in_flight > 0 || state.head_since.is_some() || state.is_http_2 {
                return false;
            }
            state.is_http_2 = bytes.starts_with(HTTP_2_PREFACE);
            state.head_since = (!state.is_http_2).then(Instant::now);
            true
        });
    }

    /// Returns whether the connection has received part of a request head.
    pub(super) fn is_in_head(&self) -> bool {
        self.state.borrow().head_since.is_some()
    }

    /// Returns once an HTTP/2 connection has had no request for `unused`; never for HTTP/1.1.
    pub(super) async fn unused_http_2_for(&self, unused: Duration) {
        if self.state.borrow().is_http_2 {
            self.idle_for(unused, unused).await;
        } else {
            future::pending::<()>().await;
        }
    }

    /// Returns once a head has taken `head`, or nothing has been in flight for `idle`.
    pub(super) fn idle_for(&self, head: Duration, idle: Duration) -> impl Future<Output = Idle> + use<> {
        let mut changes = self.state.subscribe();
        async move {
            loop {
                // Every change restarts the timer, even if a request came and went between two polls.
                let state = *changes.borrow_and_update();
                let next = match state {
                    State { in_flight: 1.., .. } => Ok(changes.changed().await),
                    State { head_since: Some(since), .. } => timeout_at(since + head, changes.changed()).await,
                    _ => timeout(idle, changes.changed()).await,
                };
                match next {
                    Ok(Ok(())) => {}
                    _ if state.head_since.is_some() => return Idle::SlowHead,
                    _ => return Idle::Silent,
                }
            }
        }
    }
}

/// Guard that counts a request as in flight.
pub(super) struct InFlight(Activity);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| {
            state.in_flight -= 1;
            if state.in_flight == 0 {
                self.0.slot.set_idle(true);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{limits::Limits, slots::Slots};

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    async fn activity() -> Activity {
        let slot = Slots::new(&Limits::default()).admit(std::net::Ipv4Addr::LOCALHOST.into()).await.unwrap();
        Activity::new(slot.handle())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_after_the_limit_since_its_last_request() {
        let activity = activity().await;
        let request = activity.begin(false);
        let mut idle = std::pin::pin!(activity.idle_for(HEAD, IDLE));
        assert!(timeout(IDLE * 4, idle.as_mut()).await.is_err());
        drop(request);
        assert!(timeout(IDLE / 2, idle.as_mut()).await.is_err());
        assert_eq!(timeout(IDLE, idle).await, Ok(Idle::Silent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_has_less_time_however_slowly_it_arrives() {
        let activity = activity().await;
        let mut idle = std::pin::pin!(activity.idle_for(HEAD, IDLE));
        assert!(timeout(HEAD * 2, idle.as_mut()).await.is_err(), "nothing has begun");
        activity.received(b"GET / HT");
        assert!(timeout(HEAD / 2, idle.as_mut()).await.is_err());
        activity.received(b"TP/1.1\r\n");
        assert!(activity.is_in_head());
        assert!(timeout(HEAD, idle.as_mut()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_frames_of_an_idle_http_2_connection_are_no_head() {
        let activity = activity().await;
        activity.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut idle = std::pin::pin!(activity.idle_for(HEAD, IDLE));
        assert!(timeout(HEAD * 2, idle.as_mut()).await.is_err());
        drop(activity.begin(true));
        activity.received(b"\0\0\x08\x06\x01");
        assert!(timeout(HEAD * 2, idle.as_mut()).await.is_err());
        assert!(timeout(IDLE, idle).await.is_ok());
    }
}
