//! The feed, page by page and as it goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use poem_openapi::types::ToJSON as _;
use tokio::time::Instant;

use super::cursor::EventCursorScope;
use super::subscription::{CatchUp, EventSubscription};
use crate::contract::error::ErrorLocation;
use crate::contract::event::query::{EventFilterParams, EventPage, EventPageMeta, EventQuery, StreamQuery};
use crate::contract::event::{Event, EventType};
use crate::contract::page::Direction;
use crate::contract::strings::Cursor;
use crate::repositories::{EventFilter, FeedWalk, NewEvent, Repositories, StoreError, Transaction};
use crate::services::error::Error;
use crate::services::permissions::{Action, require};
use crate::services::read_limits::LimitedRead;
use crate::services::{Caller, Credential, ServiceContext};

/// How long a stream lasts at most: a little less than a connection that it has for itself, so that it ends between two
/// events and not within one.
pub(crate) const MAX_STREAM_DURATION: Duration = Duration::from_mins(14);

/// The scope.
#[derive(Clone)]
pub struct Events(Arc<ServiceContext>);

/// What a stream says.
#[derive(Debug)]
pub enum StreamMessage {
    /// From where it goes on.
    Start(Cursor),
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
    Heartbeat(Cursor),
}

/// What happens, as it happens.
pub type EventStream = std::pin::Pin<Box<dyn Stream<Item = StreamMessage> + Send>>;

impl Events {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// A page of the scope.
    pub async fn list(&self, caller: Caller, query: EventQuery) -> Result<EventPage, Error> {
        let repositories = self.0.store.read();
        let filter = filter(repositories, caller, query.conditions).await?;
        let scope = EventCursorScope { reader: caller.user, direction: query.order };
        let beyond = query.cursor.as_ref().map(|cursor| scope.decode(&self.0.signer, cursor)).transpose()?;
        let bounds = repositories.events().bounds().await?;
        let limit = u64::from(query.limit);
        let walk = FeedWalk { beyond, direction: query.order, limit: limit + 1 };
        let mut data = self.0.read_events(caller, &filter).await?.events().list(caller.user, &filter, walk).await?;
        if let Some(position) = beyond {
            // Asked for after the page was read: what was removed before that is known to be.
            scope.ensure_retained(position, repositories.events().bounds().await?)?;
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
        let meta = EventPageMeta { limit: query.limit, has_more, next_cursor: scope.encode(&self.0.signer, next) };
        Ok(EventPage { data, meta })
    }

    /// The feed as it goes on: from a cursor, or from now.
    pub async fn subscribe(
        &self,
        caller: Caller,
        query: StreamQuery,
        last: Option<Cursor>,
    ) -> Result<EventStream, Error> {
        let filter = filter(self.0.store.read(), caller, query.conditions).await?;
        let scope = EventCursorScope::ascending(caller.user);
        let position = last.or(query.cursor).map(|cursor| scope.decode(&self.0.signer, &cursor)).transpose()?;
        // First the ring, then the end of the feed: so nothing falls between them.
        let (visibility, events_rx) = self.0.event_hub.subscribe(caller.user).await?;
        let bounds = self.0.store.read().events().bounds().await?;
        if let Some(position) = position {
            scope.ensure_retained(position, bounds)?;
        }
        let now = self.0.clock.now();
        let left = caller
            .expires_at
            .map_or(MAX_STREAM_DURATION, |until| Duration::from_millis((until.0 - now.0).max(0).unsigned_abs()));
        let ended = match caller.credential {
            Credential::Session(_) => self.0.ended_sessions.news(),
            Credential::ApiToken { .. } => self.0.revoked_tokens.news(),
        };
        let subscription = EventSubscription {
            shared: Arc::clone(&self.0),
            caller,
            filter,
            visibility,
            events_rx,
            ended,
            catch_up: CatchUp::new(position, bounds.end),
            until: Instant::now() + left.min(MAX_STREAM_DURATION),
        };
        Ok(Box::pin(unfold(subscription, async |mut subscription| Some((subscription.next().await?, subscription)))))
    }

    /// Tells of what happened in a transaction that no service has opened, right before its commit.
    pub async fn publish(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        self.0.publish(transaction, events).await
    }

    /// Ends all streams, and lets no new one last: their clients connect anew, to another server.
    pub fn close_streams(&self) {
        self.0.event_hub.closing.cancel();
    }
}

impl ServiceContext {
    /// Repositories for events that match a filter. The events of one project stand in order in an index; those of all
    /// projects, or of some types, have to be looked for.
    pub(crate) async fn read_events(&self, caller: Caller, filter: &EventFilter) -> Result<LimitedRead<'_>, Error> {
        if filter.project.is_some() && filter.kinds.is_empty() {
            return self.read_indexed(caller.user).await;
        }
        self.read_unindexed(caller.user).await
    }
}

/// The event as JSON, as it stands everywhere.
pub(crate) fn to_json(event: &Event) -> String {
    event.to_json_string()
}

/// Which events, if the caller may ask for them.
async fn filter(
    repositories: &dyn Repositories,
    caller: Caller,
    conditions: EventFilterParams,
) -> Result<EventFilter, Error> {
    if let Some(id) = conditions.project_id {
        // One in the trash too: how else would who shows it learn that it is there, or came back?
        let project = repositories.projects().find(id, caller.user).await?;
        let project =
            project.ok_or_else(|| Error::reference(ErrorLocation::Query, "project_id", "names no project."))?;
        require(project.role, Action::Read)?;
    }
    Ok(EventFilter {
        project: conditions.project_id,
        kinds: conditions.kinds.into_iter().flatten().map(EventType::from).collect(),
    })
}
