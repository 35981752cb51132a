//! Those who follow the feed while it goes on: one reader of the feed for all of them.
//!
//! Whoever follows has no queue. One task reads what is new, once for everybody, into a ring of the last events; each
//! follower has a place in the ring, and moves on when its client has taken what came before. Who is so slow that the
//! ring has gone past reads the rest from storage. So what a follower costs does not depend on what happens, and while
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

/// As many events are in the ring.
const RING: usize = 512;

/// The text of an event that is longer than this is not kept in the ring: who may see the event reads it from storage.
const LONGEST_IN_RING: usize = 16 * 1024;

/// As many events are read at once.
const AT_ONCE: u64 = 200;

/// As many streams a user may have open in this process: enough for all tabs and devices of a person, and too few to
/// take the connections of everybody else.
const OF_ONE_USER: usize = 100;

/// How often somebody looks by themselves, should nobody ring: one small query for all followers.
const LOOK: Duration = Duration::from_secs(10);

/// What a follower finds in the ring: an event, with what it takes to know who may see it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) sequence: i64,
    pub(crate) kind: EventType,
    pub(crate) project: ProjectId,
    /// The event as JSON, unless that is too long for the ring.
    pub(crate) json: Option<Arc<str>>,
}

/// What a user may see of the feed, as long as somebody follows it as that user.
pub(crate) struct Reader {
    user: UserId,
    /// `None` when the account is gone, or when nobody knows.
    roles: RwLock<Option<HashMap<ProjectId, Role>>>,
    loading: tokio::sync::Mutex<()>,
}

impl Reader {
    /// Whether the user may see events of this type in the project now.
    pub(crate) fn may_see(&self, kind: EventType, project: ProjectId) -> bool {
        let roles = self.roles.read().unwrap_or_else(PoisonError::into_inner);
        let role = roles.as_ref().and_then(|roles| roles.get(&project));
        role.is_some_and(|role| kind.is_for(*role))
    }

    /// Whether there is nothing to see any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.roles.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Reads anew what the user may see; where that fails, it stays as it is. Whoever reads last has seen all that was
    /// committed before, so the loads of one reader come one after the other.
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

/// The one reader of the feed, and those who follow it.
pub(crate) struct Followers {
    hub: Arc<Hub>,
    /// Whether users may have only so many streams.
    is_limited: bool,
    reading: OnceLock<JoinHandle<()>>,
    /// Ends all streams.
    pub(crate) closing: CancellationToken,
}

struct Hub {
    store: Arc<dyn Store>,
    ring: Sender<Entry>,
    /// Up to where the feed was read; `None` while nobody follows.
    place: tokio::sync::Mutex<Option<i64>>,
    readers: Mutex<HashMap<UserId, Weak<Reader>>>,
}

impl Drop for Followers {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.get() {
            reading.abort();
        }
    }
}

impl Followers {
    pub(crate) fn new(store: Arc<dyn Store>, is_limited: bool) -> Self {
        let hub =
            Hub { store, ring: Sender::new(RING), place: tokio::sync::Mutex::default(), readers: Mutex::default() };
        Self { hub: Arc::new(hub), is_limited, reading: OnceLock::new(), closing: CancellationToken::new() }
    }

    /// Begins to follow. Whatever is committed from now on comes by the ring; whatever was before can be read from
    /// storage.
    pub(crate) async fn join(&self, user: UserId) -> Result<(Arc<Reader>, Receiver<Entry>), Error> {
        let reader = self.hub.reader(user);
        // Each follower holds the reader, and so does whoever looks something up for a moment.
        if self.is_limited && Arc::strong_count(&reader) > OF_ONE_USER {
            return Err(Error::TooManyStreams);
        }
        self.reading.get_or_init(|| tokio::spawn(Arc::clone(&self.hub).read_on()));
        let receiver = {
            let mut place = self.hub.place.lock().await;
            if place.is_none() {
                *place = Some(self.hub.store.read().events().bounds().await?.end);
            }
            self.hub.ring.subscribe()
        };
        reader.load(&*self.hub.store).await?;
        Ok((reader, receiver))
    }
}

impl Hub {
    fn reader(&self, user: UserId) -> Arc<Reader> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&user).and_then(Weak::upgrade) {
            return reader;
        }
        readers.retain(|_, reader| reader.strong_count() > 0);
        let reader = Arc::new(Reader { user, roles: RwLock::default(), loading: tokio::sync::Mutex::default() });
        readers.insert(user, Arc::downgrade(&reader));
        reader
    }

    fn known(&self, user: UserId) -> Option<Arc<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).get(&user).and_then(Weak::upgrade)
    }

    fn all_known(&self) -> Vec<Arc<Reader>> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.values().filter_map(Weak::upgrade).collect()
    }

    async fn read_on(self: Arc<Self>) {
        loop {
            // The time being over is as good as a ring.
            let _ = timeout(LOOK, self.store.events_committed()).await;
            if let Err(error) = self.read_new().await {
                tracing::warn!(%error, "what is new in the feed cannot be read");
            }
        }
    }

    /// Reads what is new into the ring.
    async fn read_new(&self) -> Result<(), StoreError> {
        let mut place = self.place.lock().await;
        if self.ring.receiver_count() == 0 {
            *place = None;
        }
        while let Some(read_to) = *place {
            let events = self.store.read().events().tail(read_to, AT_ONCE).await?;
            let count = events.len() as u64;
            for event in events {
                // Before anybody can see the event: whoever it lets in or shuts out is in or out by then.
                self.admit(&event).await;
                *place = Some(event.sequence);
                // Nobody following is no failure.
                let _ = self.ring.send(entry(&event));
            }
            if count < AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// Sees to it that those who follow see what they may see after an event, and nothing else.
    async fn admit(&self, event: &Event) {
        use EventType::{MemberAdded, MemberRemoved, MemberUpdated, ProjectCreated, ProjectDeleted, ProjectRestored};
        let concerned = match event.kind {
            MemberAdded | MemberUpdated | MemberRemoved => match member_of(event) {
                Some(user) => self.known(user).into_iter().collect(),
                // It cannot be read whom it is about.
                None => self.all_known(),
            },
            ProjectCreated | ProjectDeleted | ProjectRestored => {
                event.actor_id.and_then(|user| self.known(user)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        for reader in concerned {
            reader.reload(&*self.store).await;
        }
    }
}

fn entry(event: &Event) -> Entry {
    let json = super::stream::json_of(event);
    let json = (json.len() <= LONGEST_IN_RING).then(|| json.into());
    Entry { sequence: event.sequence, kind: event.kind, project: event.project_id, json }
}

/// The user whom an event about a member is about.
fn member_of(event: &Event) -> Option<UserId> {
    let data: Value = serde_json::from_str(&event.data).ok()?;
    UserId::parse(data.get("user_id")?.as_str()?)
}
