//! Event feed: pages and live streams.

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

/// Maximum duration of a stream: slightly less than that of its connection, so that it ends between two events.
pub(crate) const MAX_STREAM_DURATION: Duration = Duration::from_mins(14);

/// Event feed.
#[derive(Clone)]
pub struct Events(Arc<ServiceContext>);

/// Message of an event stream.
#[derive(Debug)]
pub enum StreamMessage {
    /// Start of the stream, with the cursor from which it continues.
    Start(Cursor),
    /// Event.
    Event {
        /// Cursor that continues after the event.
        cursor: Cursor,
        /// Type of the event.
        kind: &'static str,
        /// Event as JSON.
        json: Arc<str>,
    },
    /// Sign of life with the current cursor. It moves past events that the client cannot see, so that the cursor does
    /// not expire.
    Heartbeat(Cursor),
}

/// Live event stream.
pub type EventStream = std::pin::Pin<Box<dyn Stream<Item = StreamMessage> + Send>>;

impl Events {
    pub(crate) const fn new(shared: Arc<ServiceContext>) -> Self {
        Self(shared)
    }

    /// Lists a page of events.
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
            // Checked after the page was read, so that concurrent pruning is detected.
            scope.ensure_retained(position, repositories.events().bounds().await?)?;
        }
        let has_more = data.len() as u64 > limit;
        data.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = data.last().map(|event| event.sequence);
        let next = match query.order {
            Direction::Asc if has_more => last.unwrap_or(bounds.end),
            // Skips events that the caller cannot see.
            Direction::Asc => last.unwrap_or_default().max(bounds.end),
            Direction::Desc => last.or(beyond).unwrap_or(bounds.end + 1),
        };
        let meta = EventPageMeta { limit: query.limit, has_more, next_cursor: scope.encode(&self.0.signer, next) };
        Ok(EventPage { data, meta })
    }

    /// Subscribes to events after a cursor, or from now on.
    pub async fn subscribe(
        &self,
        caller: Caller,
        query: StreamQuery,
        last: Option<Cursor>,
    ) -> Result<EventStream, Error> {
        let filter = filter(self.0.store.read(), caller, query.conditions).await?;
        let scope = EventCursorScope::ascending(caller.user);
        let position = last.or(query.cursor).map(|cursor| scope.decode(&self.0.signer, &cursor)).transpose()?;
        // Subscribe before reading the end of the feed, so that no event is missed.
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

    /// Publishes events in a transaction of a caller outside the services, right before its commit.
    pub async fn publish(&self, transaction: &dyn Transaction, events: &[NewEvent]) -> Result<(), StoreError> {
        self.0.publish(transaction, events).await
    }

    /// Ends all event streams. Clients reconnect to another server.
    pub fn close_streams(&self) {
        self.0.event_hub.closing.cancel();
    }
}

impl ServiceContext {
    /// Returns repositories for an event list. The events of one project are read from an index; other filters scan.
    pub(crate) async fn read_events(&self, caller: Caller, filter: &EventFilter) -> Result<LimitedRead<'_>, Error> {
        if filter.project.is_some() && filter.kinds.is_empty() {
            return self.read_indexed(caller.user).await;
        }
        self.read_unindexed(caller.user).await
    }
}

pub(crate) fn to_json(event: &Event) -> String {
    event.to_json_string()
}

/// Checks access to the filtered project and returns the storage filter.
async fn filter(
    repositories: &dyn Repositories,
    caller: Caller,
    conditions: EventFilterParams,
) -> Result<EventFilter, Error> {
    if let Some(id) = conditions.project_id {
        // Includes soft-deleted projects, so that clients learn of deletion and restoration.
        let project = repositories.projects().find(id, caller.user).await?;
        let project = project.ok_or_else(|| {
            Error::reference(ErrorLocation::Query, "project_id", "must refer to an existing project.")
        })?;
        require(project.role, Action::Read)?;
    }
    Ok(EventFilter {
        project: conditions.project_id,
        kinds: conditions.kinds.into_iter().flatten().map(EventType::from).collect(),
    })
}
