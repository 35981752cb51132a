//! The feed, page by page and as it goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use poem_openapi::types::ToJSON as _;
use tokio::time::Instant;

use super::cursor::FeedOf;
use super::subscription::{Follower, Progress};
use crate::contract::error::Place;
use crate::contract::event::{Event, EventType};
use crate::contract::feed::{EventConditions, EventQuery, EventSlice, FeedMeta, StreamQuery};
use crate::contract::list::Direction;
use crate::contract::text::Cursor;
use crate::repositories::{EventFilter, FeedWalk, NewEvent, Repositories, StoreError, Transaction};
use crate::services::error::Error;
use crate::services::permissions::{Action, require};
use crate::services::read_limits::ListRead;
use crate::services::{Caller, Credential, Shared};

/// How long a stream lasts at most: a little less than a connection that it has for itself, so that it ends between two
/// events and not within one.
pub(crate) const LONGEST_STREAM: Duration = Duration::from_mins(14);

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
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
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
        let mut data = self.0.read_events(caller, &filter).await?.events().list(caller.user, &filter, walk).await?;
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
            progress: Progress::from(place, bounds.end),
            until: Instant::now() + left.min(LONGEST_STREAM),
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

impl Shared {
    /// Repositories for events that match a filter. The events of one project stand in order in an index; those of all
    /// projects, or of some types, have to be looked for.
    pub(crate) async fn read_events(&self, caller: Caller, filter: &EventFilter) -> Result<ListRead<'_>, Error> {
        if filter.project.is_some() && filter.kinds.is_empty() {
            return self.read_indexed(caller.user).await;
        }
        self.read_unindexed(caller.user).await
    }
}

/// The event as JSON, as it stands everywhere.
pub(crate) fn json_of(event: &Event) -> String {
    event.to_json_string()
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
