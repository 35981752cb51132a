//! The feed, page by page and as it goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use poem_openapi::types::ToJSON as _;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::error::Error;
use super::feed_cursor::FeedOf;
use super::followers::{Entry, Reader};
use super::permissions::{Action, require};
use super::{Caller, Credential, Shared};
use crate::contract::error::Place;
use crate::contract::event::{Event, EventType};
use crate::contract::feed::{EventConditions, EventQuery, EventSlice, FeedMeta, StreamQuery};
use crate::contract::list::Direction;
use crate::contract::text::Cursor;
use crate::repositories::{EventFilter, FeedWalk, NewEvent, Repositories, StoreError, Transaction};

/// How long a stream lasts at most: a little less than a connection, so that it ends between two events and not within
/// one.
pub(super) const LONGEST_STREAM: Duration = Duration::from_mins(14);

/// How often a stream says that it is there still.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// As many events of the past are read at once, and at most so many bytes of them are kept for a client that takes its
/// time.
const CATCH_UP: u64 = 50;
const KEPT_BYTES: usize = 64 * 1024;

/// The feed.
#[derive(Clone)]
pub struct Events(Arc<Shared>);

/// What a stream says.
#[derive(Debug)]
pub enum Told {
    /// From where it goes on.
    Begin(Cursor),
    /// What happened, with where to go on after it.
    Event {
        /// Where to go on.
        cursor: Cursor,
        /// The type of the event.
        kind: &'static str,
        /// The event, as JSON.
        json: Arc<str>,
    },
    /// Nothing for a while, and from where it goes on: what others did meanwhile need not be looked through again, and
    /// is no reason to say one day that the feed is not kept so long.
    Nothing(Cursor),
}

/// What happens, as it happens.
pub type EventStream = std::pin::Pin<Box<dyn Stream<Item = Told> + Send>>;

impl Events {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// A page of the feed.
    pub async fn list(&self, caller: Caller, query: EventQuery) -> Result<EventSlice, Error> {
        let repositories = self.0.store.read();
        let filter = filter(repositories, caller, query.conditions).await?;
        let feed = FeedOf { reader: caller.user, direction: query.order };
        let beyond = query.cursor.as_ref().map(|cursor| feed.read(&self.0.signer, cursor)).transpose()?;
        let bounds = repositories.events().bounds().await?;
        let limit = u64::from(query.limit);
        let walk = FeedWalk { beyond, direction: query.order, limit: limit + 1 };
        let mut data = repositories.events().list(caller.user, &filter, walk).await?;
        if let Some(place) = beyond {
            // Asked for after the page was read: what was removed before that is known to be.
            feed.require_kept(place, repositories.events().bounds().await?)?;
        }
        let has_more = data.len() as u64 > limit;
        data.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = data.last().map(|event| event.sequence);
        let next = match query.order {
            Direction::Asc if has_more => last.unwrap_or(bounds.end),
            // What others did up to the end as it was before the page was read need not be looked through again.
            Direction::Asc => last.unwrap_or_default().max(bounds.end),
            Direction::Desc => last.or(beyond).unwrap_or(bounds.end + 1),
        };
        let meta = FeedMeta { limit: query.limit, has_more, next_cursor: feed.cursor(&self.0.signer, next) };
        Ok(EventSlice { data, meta })
    }

    /// The feed as it goes on: from a cursor, or from now.
    pub async fn follow(&self, caller: Caller, query: StreamQuery, last: Option<Cursor>) -> Result<EventStream, Error> {
        let filter = filter(self.0.store.read(), caller, query.conditions).await?;
        let feed = FeedOf::forwards(caller.user);
        let place = last.or(query.cursor).map(|cursor| feed.read(&self.0.signer, &cursor)).transpose()?;
        // First the ring, then the end of the feed: so nothing falls between them.
        let (reader, ring) = self.0.followers.join(caller.user).await?;
        let bounds = self.0.store.read().events().bounds().await?;
        if let Some(place) = place {
            feed.require_kept(place, bounds)?;
        }
        let now = self.0.clock.now();
        let left =
            caller.until.map_or(LONGEST_STREAM, |until| Duration::from_millis((until.0 - now.0).max(0).unsigned_abs()));
        let ended = match caller.by {
            Credential::Session(_) => self.0.ended_sessions.news(),
            Credential::ApiToken { .. } => self.0.revoked_tokens.news(),
        };
        let follower = Follower {
            shared: Arc::clone(&self.0),
            caller,
            filter,
            reader,
            ring,
            ended,
            is_behind: place.is_some_and(|place| place < bounds.end),
            place: place.unwrap_or(bounds.end),
            end: bounds.end,
            read: VecDeque::new(),
            until: Instant::now() + left.min(LONGEST_STREAM),
            has_begun: false,
        };
        Ok(Box::pin(unfold(follower, async |mut follower| Some((follower.next().await?, follower)))))
    }

    /// Tells of what happened in a transaction that no service has opened, right before its commit.
    pub async fn tell(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        self.0.tell(transaction, events).await
    }

    /// Ends all streams, and lets no new one last: their clients connect anew, to another server.
    pub fn close_streams(&self) {
        self.0.followers.closing.cancel();
    }
}

/// The event as JSON, as it stands everywhere.
pub(super) fn json_of(event: &Event) -> String {
    event.to_json_string()
}

/// Who follows the feed, at a place in it.
struct Follower {
    shared: Arc<Shared>,
    caller: Caller,
    filter: EventFilter,
    reader: Arc<Reader>,
    ring: Receiver<Entry>,
    /// Tells when sessions or tokens have ended, perhaps this one.
    ended: watch::Receiver<()>,
    /// Whether there may be events beyond the place that are not in the ring.
    is_behind: bool,
    /// Up to here all was told.
    place: i64,
    /// So far the feed was known to reach when it was asked last.
    end: i64,
    /// What was read from storage and not told yet.
    read: VecDeque<Event>,
    until: Instant,
    has_begun: bool,
}

impl Follower {
    /// What there is to tell next; `None` at the end.
    async fn next(&mut self) -> Option<Told> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(Told::Begin(self.cursor()));
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(event) = self.read.pop_front() {
                self.place = event.sequence;
                if self.reader.may_see(event.kind, event.project_id) {
                    return Some(self.told(event.kind, json_of(&event).into()));
                }
                continue;
            }
            if self.is_behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, "a stream ends: what has happened cannot be read");
                    return None;
                }
                continue;
            }
            tokio::select! {
                () = self.shared.followers.closing.cancelled() => return None,
                () = sleep_until(self.until) => return None,
                // Looked into at the next turn; the sender lives as long as everything.
                Ok(()) = self.ended.changed() => {}
                entry = self.ring.recv() => match entry {
                    Ok(entry) if entry.sequence <= self.place => {}
                    Ok(entry) if !self.matches(&entry) => self.place = entry.sequence,
                    Ok(Entry { sequence, kind, json: Some(json), .. }) => {
                        self.place = sequence;
                        if !self.is_over() {
                            return Some(self.told(kind, json));
                        }
                    }
                    Ok(Entry { json: None, .. }) | Err(RecvError::Lagged(_)) => self.is_behind = true,
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(heartbeat) => return Some(Told::Nothing(self.cursor())),
            }
        }
    }

    /// Reads on from storage.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let walk = FeedWalk { beyond: Some(self.place), direction: Direction::Asc, limit: CATCH_UP };
        let events = self.shared.store.read().events();
        let found = events.list(self.caller.user, &self.filter, walk).await?;
        let count = found.len();
        let mut bytes = 0;
        for event in found {
            bytes += event.data.len() + event.previous.as_ref().map_or(0, String::len);
            if bytes > KEPT_BYTES && !self.read.is_empty() {
                break;
            }
            self.read.push_back(event);
        }
        // What is not kept is read again.
        self.is_behind = self.read.len() < count || count as u64 == CATCH_UP;
        let bounds = events.bounds().await?;
        FeedOf::forwards(self.caller.user).require_kept(self.place, bounds)?;
        if count == 0 {
            // Nothing is for this reader up to where the feed was known to reach before.
            self.place = self.place.max(self.end);
        }
        self.end = bounds.end;
        Ok(())
    }

    fn told(&self, kind: EventType, json: Arc<str>) -> Told {
        Told::Event { cursor: self.cursor(), kind: kind.as_str(), json }
    }

    fn cursor(&self) -> Cursor {
        FeedOf::forwards(self.caller.user).cursor(&self.shared.signer, self.place)
    }

    fn matches(&self, entry: &Entry) -> bool {
        let EventFilter { project, kinds } = &self.filter;
        project.is_none_or(|project| project == entry.project)
            && (kinds.is_empty() || kinds.contains(&entry.kind))
            && self.reader.may_see(entry.kind, entry.project)
    }

    /// Whether nothing more may be told: the token, its session or the account has ended, or the server does.
    fn is_over(&self) -> bool {
        let now = self.shared.clock.now();
        self.caller.until.is_some_and(|until| until <= now)
            || Instant::now() >= self.until
            || self.shared.followers.closing.is_cancelled()
            || self.reader.is_gone()
            || match self.caller.by {
                Credential::Session(session) => self.shared.ended_sessions.contains(session),
                Credential::ApiToken { id, .. } => self.shared.revoked_tokens.contains(id),
            }
    }
}

/// Which events, if the caller may ask for them.
async fn filter(
    repositories: &dyn Repositories,
    caller: Caller,
    conditions: EventConditions,
) -> Result<EventFilter, Error> {
    if let Some(id) = conditions.project_id {
        // One in the trash too: how else would who shows it learn that it is there, or came back?
        let project = repositories.projects().find(id, caller.user).await?;
        let project = project.ok_or_else(|| Error::reference(Place::Query, "project_id", "names no project."))?;
        require(project.role, Action::Read)?;
    }
    Ok(EventFilter {
        project: conditions.project_id,
        kinds: conditions.kinds.into_iter().flatten().map(EventType::from).collect(),
    })
}
