//! Broadcast hub: one reader of the event feed for all event streams of the process.
//!
//! A single task polls the feed after each notification and broadcasts new events through a bounded buffer. Streams
//! have no queues: a stream that falls behind the buffer catches up from the database. The cost of an idle stream is
//! therefore independent of the number of events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use poem_openapi::types::ToJSON as _;
use serde_json::Value;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::visibility::Visibility;
use crate::contract::event::{Event, EventType};
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Store, StoreError};
use crate::services::error::Error;

/// Number of events in the broadcast buffer.
const BUFFER_CAPACITY: usize = 512;

/// Maximum size of a buffered event. Streams read larger ones from the database.
const MAX_INLINE_BYTES: usize = 16 * 1024;

const BATCH_SIZE: u64 = 200;

/// Maximum number of open streams per user and process.
const MAX_STREAMS_PER_USER: usize = 100;

/// Poll interval when no notification arrives. One query serves all streams.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Event in the buffer, with the fields that decide its visibility.
#[derive(Debug, Clone)]
pub(crate) struct BroadcastEvent {
    pub(crate) sequence: i64,
    pub(crate) kind: EventType,
    pub(crate) project: ProjectId,
    /// Event as JSON, unless it exceeds `MAX_INLINE_BYTES`.
    pub(crate) json: Option<Arc<str>>,
}

/// Reader of the feed and registry of its subscribers.
pub(crate) struct EventHub {
    state: Arc<HubState>,
    /// True if the number of streams per user is limited.
    is_limited: bool,
    task: OnceLock<JoinHandle<()>>,
    /// Cancelled when all streams must end.
    pub(crate) closing: CancellationToken,
}

struct HubState {
    store: Arc<dyn Store>,
    events: Sender<BroadcastEvent>,
    /// Sequence number of the last event that was read; `None` without subscribers.
    position: tokio::sync::Mutex<Option<i64>>,
    visibilities: Mutex<HashMap<UserId, Weak<Visibility>>>,
}

impl Drop for EventHub {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl EventHub {
    pub(crate) fn new(store: Arc<dyn Store>, is_limited: bool) -> Self {
        let state = HubState {
            store,
            events: Sender::new(BUFFER_CAPACITY),
            position: tokio::sync::Mutex::default(),
            visibilities: Mutex::default(),
        };
        Self { state: Arc::new(state), is_limited, task: OnceLock::new(), closing: CancellationToken::new() }
    }

    /// Subscribes to events that are committed from now on.
    pub(crate) async fn subscribe(&self, user: UserId) -> Result<(Arc<Visibility>, Receiver<BroadcastEvent>), Error> {
        let visibility = self.state.visibility(user);
        // Each stream holds a reference, and so do short look-ups.
        if self.is_limited && Arc::strong_count(&visibility) > MAX_STREAMS_PER_USER {
            return Err(Error::TooManyStreams);
        }
        self.task.get_or_init(|| tokio::spawn(Arc::clone(&self.state).run()));
        let receiver = {
            let mut position = self.state.position.lock().await;
            if position.is_none() {
                *position = Some(self.state.store.read().events().bounds().await?.end);
            }
            self.state.events.subscribe()
        };
        visibility.load(&*self.state.store).await?;
        Ok((visibility, receiver))
    }
}

impl HubState {
    fn visibility(&self, user: UserId) -> Arc<Visibility> {
        let mut visibilities = self.visibilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visibility) = visibilities.get(&user).and_then(Weak::upgrade) {
            return visibility;
        }
        visibilities.retain(|_, visibility| visibility.strong_count() > 0);
        let visibility = Arc::new(Visibility::new(user));
        visibilities.insert(user, Arc::downgrade(&visibility));
        visibility
    }

    fn connected(&self, user: UserId) -> Option<Arc<Visibility>> {
        self.visibilities.lock().unwrap_or_else(PoisonError::into_inner).get(&user).and_then(Weak::upgrade)
    }

    fn all_connected(&self) -> Vec<Arc<Visibility>> {
        let visibilities = self.visibilities.lock().unwrap_or_else(PoisonError::into_inner);
        visibilities.values().filter_map(Weak::upgrade).collect()
    }

    async fn run(self: Arc<Self>) {
        loop {
            // A timeout polls too.
            let _ = timeout(POLL_INTERVAL, self.store.wait_for_events()).await;
            if let Err(error) = self.poll().await {
                tracing::warn!(%error, "failed to poll the event feed");
            }
        }
    }

    async fn poll(&self) -> Result<(), StoreError> {
        let mut position = self.position.lock().await;
        if self.events.receiver_count() == 0 {
            *position = None;
        }
        while let Some(read_to) = *position {
            let events = self.store.read().events().tail(read_to, BATCH_SIZE).await?;
            let count = events.len() as u64;
            for event in events {
                // Before the event is broadcast, so that access is already granted or revoked.
                self.refresh_visibility(&event).await;
                *position = Some(event.sequence);
                // Fails only without subscribers.
                let _ = self.events.send(broadcast_event(&event));
            }
            if count < BATCH_SIZE {
                break;
            }
        }
        Ok(())
    }

    /// Reloads the memberships that an event has changed.
    async fn refresh_visibility(&self, event: &Event) {
        use EventType::{MemberAdded, MemberRemoved, MemberUpdated, ProjectCreated, ProjectDeleted, ProjectRestored};
        let concerned = match event.kind {
            MemberAdded | MemberUpdated | MemberRemoved => match member_of(event) {
                Some(user) => self.connected(user).into_iter().collect(),
                // The user cannot be determined.
                None => self.all_connected(),
            },
            ProjectCreated | ProjectDeleted | ProjectRestored => {
                event.actor_id.and_then(|user| self.connected(user)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        for visibility in concerned {
            visibility.reload(&*self.store).await;
        }
    }
}

fn broadcast_event(event: &Event) -> BroadcastEvent {
    let json = event.to_json_string();
    let json = (json.len() <= MAX_INLINE_BYTES).then(|| json.into());
    BroadcastEvent { sequence: event.sequence, kind: event.kind, project: event.project_id, json }
}

fn member_of(event: &Event) -> Option<UserId> {
    let data: Value = serde_json::from_str(&event.data).ok()?;
    UserId::parse(data.get("user_id")?.as_str()?)
}
