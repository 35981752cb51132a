//! Those who follow the feed while it goes on: one visibility of the feed for all of them.
//!
//! Whoever follows has no queue. One task reads what is new, once for everybody, into a events of the last events; each
//! follower has a position in the events, and moves on when its client has taken what came before. Who is so slow that the
//! events has gone past reads the rest from storage. So what a follower costs does not depend on what happens, and while
//! nothing happens one small query every few seconds is all that storage is asked, for all of them together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::contract::event::{Event, EventType};
use crate::contract::project::Role;
use crate::contract::{ProjectId, UserId};
use crate::repositories::{Store, StoreError};
use crate::services::error::Error;

/// As many events are in the events.
const BUFFER_CAPACITY: usize = 512;

/// The text of an event that is longer than this is not kept in the events: who may see the event reads it from storage.
const MAX_INLINE_BYTES: usize = 16 * 1024;

/// As many events are read at once.
const BATCH_SIZE: u64 = 200;

/// As many streams a user may have open in this process: enough for all tabs and devices of a person, and too few to
/// take the connections of everybody else.
const MAX_STREAMS_PER_USER: usize = 100;

/// How often somebody looks by themselves, should nobody events: one small query for all event_hub.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// What a follower finds in the events: an event, with what it takes to know who may see it.
#[derive(Debug, Clone)]
pub(crate) struct BroadcastEvent {
    pub(crate) sequence: i64,
    pub(crate) kind: EventType,
    pub(crate) project: ProjectId,
    /// The event as JSON, unless that is too long for the events.
    pub(crate) json: Option<Arc<str>>,
}

/// What a user may see of the feed, as long as somebody follows it as that user.
pub(crate) struct Visibility {
    user: UserId,
    /// `None` when the account is gone, or when nobody knows.
    roles: RwLock<Option<HashMap<ProjectId, Role>>>,
    loading: tokio::sync::Mutex<()>,
}

impl Visibility {
    /// Whether the user may see events of this type in the project now.
    pub(crate) fn may_see(&self, kind: EventType, project: ProjectId) -> bool {
        let roles = self.roles.read().unwrap_or_else(PoisonError::into_inner);
        let role = roles.as_ref().and_then(|roles| roles.get(&project));
        role.is_some_and(|role| kind.visible_to(*role))
    }

    /// Whether there is nothing to see any more.
    pub(crate) fn is_revoked(&self) -> bool {
        self.roles.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Reads anew what the user may see; where that fails, it stays as it is. Whoever reads last has seen all that was
    /// committed before, so the loads of one visibility come one after the other.
    pub(crate) async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _alone = self.loading.lock().await;
        let roles = store.read().events().memberships(self.user).await?;
        self.set(roles.map(|roles| roles.into_iter().collect()));
        Ok(())
    }

    /// Reads anew what the user may see after it has changed: rather nothing than too much.
    async fn reload(&self, store: &dyn Store) {
        if let Err(error) = self.load(store).await {
            tracing::warn!(%error, "streams of a user end: nobody knows what the user may see");
            self.set(None);
        }
    }

    fn set(&self, roles: Option<HashMap<ProjectId, Role>>) {
        *self.roles.write().unwrap_or_else(PoisonError::into_inner) = roles;
    }
}

/// The one visibility of the feed, and those who follow it.
pub(crate) struct EventHub {
    inner: Arc<Inner>,
    /// Whether users may have only so many streams.
    is_limited: bool,
    task: OnceLock<JoinHandle<()>>,
    /// Ends all streams.
    pub(crate) closing: CancellationToken,
}

struct Inner {
    store: Arc<dyn Store>,
    events: Sender<BroadcastEvent>,
    /// Up to where the feed was read; `None` while nobody follows.
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
        let inner = Inner {
            store,
            events: Sender::new(BUFFER_CAPACITY),
            position: tokio::sync::Mutex::default(),
            visibilities: Mutex::default(),
        };
        Self { inner: Arc::new(inner), is_limited, task: OnceLock::new(), closing: CancellationToken::new() }
    }

    /// Begins to follow. Whatever is committed from now on comes by the events; whatever was before can be read from
    /// storage.
    pub(crate) async fn subscribe(&self, user: UserId) -> Result<(Arc<Visibility>, Receiver<BroadcastEvent>), Error> {
        let visibility = self.inner.visibility(user);
        // Each follower holds the visibility, and so does whoever looks something up for a moment.
        if self.is_limited && Arc::strong_count(&visibility) > MAX_STREAMS_PER_USER {
            return Err(Error::TooManyStreams);
        }
        self.task.get_or_init(|| tokio::spawn(Arc::clone(&self.inner).run()));
        let receiver = {
            let mut position = self.inner.position.lock().await;
            if position.is_none() {
                *position = Some(self.inner.store.read().events().bounds().await?.end);
            }
            self.inner.events.subscribe()
        };
        visibility.load(&*self.inner.store).await?;
        Ok((visibility, receiver))
    }
}

impl Inner {
    fn visibility(&self, user: UserId) -> Arc<Visibility> {
        let mut visibilities = self.visibilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(visibility) = visibilities.get(&user).and_then(Weak::upgrade) {
            return visibility;
        }
        visibilities.retain(|_, visibility| visibility.strong_count() > 0);
        let visibility =
            Arc::new(Visibility { user, roles: RwLock::default(), loading: tokio::sync::Mutex::default() });
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
            // The time being over is as good as a events.
            let _ = timeout(POLL_INTERVAL, self.store.events_committed()).await;
            if let Err(error) = self.poll().await {
                tracing::warn!(%error, "what is new in the feed cannot be read");
            }
        }
    }

    /// Reads what is new into the events.
    async fn poll(&self) -> Result<(), StoreError> {
        let mut position = self.position.lock().await;
        if self.events.receiver_count() == 0 {
            *position = None;
        }
        while let Some(read_to) = *position {
            let events = self.store.read().events().tail(read_to, BATCH_SIZE).await?;
            let count = events.len() as u64;
            for event in events {
                // Before anybody can see the event: whoever it lets in or shuts out is in or out by then.
                self.refresh_visibility(&event).await;
                *position = Some(event.sequence);
                // Nobody following is no failure.
                let _ = self.events.send(broadcast_event(&event));
            }
            if count < BATCH_SIZE {
                break;
            }
        }
        Ok(())
    }

    /// Sees to it that those who follow see what they may see after an event, and nothing else.
    async fn refresh_visibility(&self, event: &Event) {
        use EventType::{MemberAdded, MemberRemoved, MemberUpdated, ProjectCreated, ProjectDeleted, ProjectRestored};
        let concerned = match event.kind {
            MemberAdded | MemberUpdated | MemberRemoved => match member_of(event) {
                Some(user) => self.connected(user).into_iter().collect(),
                // It cannot be read whom it is about.
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
    let json = super::stream::to_json(event);
    let json = (json.len() <= MAX_INLINE_BYTES).then(|| json.into());
    BroadcastEvent { sequence: event.sequence, kind: event.kind, project: event.project_id, json }
}

/// The user whom an event about a member is about.
fn member_of(event: &Event) -> Option<UserId> {
    let data: Value = serde_json::from_str(&event.data).ok()?;
    UserId::parse(data.get("user_id")?.as_str()?)
}
