//! Pages of the event feed.

use super::Events;
use super::cursor::EventCursorScope;
use crate::contract::error::ErrorLocation;
use crate::contract::event::EventType;
use crate::contract::event::query::{EventFilterParams, EventPage, EventPageMeta, EventQuery};
use crate::contract::page::Direction;
use crate::repositories::{EventFilter, EventRange, Repositories};
use crate::services::permissions::{Action, require};
use crate::services::read_limits::LimitedRead;
use crate::services::{Caller, Error, ServiceContext};

impl Events {
    /// Lists a page of events.
    pub async fn list(&self, caller: Caller, query: EventQuery) -> Result<EventPage, Error> {
        let repositories = self.context.store.read();
        let filter = authorize_filter(repositories, caller, query.filter, ErrorLocation::Query).await?;
        let bounds = repositories.events().bounds().await?;
        let scope = EventCursorScope { reader: caller.user, direction: query.order, epoch: bounds.epoch };
        let beyond = query.cursor.as_ref().map(|cursor| scope.decode(&self.context.signer, cursor)).transpose()?;
        let limit = u64::from(query.limit);
        let walk = EventRange { after: beyond, direction: query.order, limit: limit + 1 };
        let mut data =
            self.context.read_events(caller, &filter).await?.events().list(caller.user, &filter, walk).await?;
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
        let meta =
            EventPageMeta { limit: query.limit, has_more, next_cursor: scope.encode(&self.context.signer, next) };
        Ok(EventPage { data, meta })
    }
}

impl ServiceContext {
    /// Returns repositories for an event list.
    /// The events of one project are read from an index; other filters scan.
    pub(crate) async fn read_events(&self, caller: Caller, filter: &EventFilter) -> Result<LimitedRead<'_>, Error> {
        if filter.project.is_some() && filter.kinds.is_empty() {
            return self.read_indexed(caller.user).await;
        }
        self.read_unindexed(caller.user).await
    }
}

/// Checks access to the filtered project and returns the storage filter.
pub(crate) async fn authorize_filter(
    repositories: &dyn Repositories,
    caller: Caller,
    conditions: EventFilterParams,
    location: ErrorLocation,
) -> Result<EventFilter, Error> {
    if let Some(id) = conditions.project_id {
        // Includes soft-deleted projects, so that clients learn of deletion and restoration.
        let project = repositories.projects().find(id, caller.user).await?;
        let project =
            project.ok_or_else(|| Error::reference(location, "project_id", "must refer to an existing project."))?;
        require(project.role, Action::Read)?;
    }
    Ok(EventFilter {
        project: conditions.project_id,
        kinds: conditions.kinds.into_iter().flatten().map(EventType::from).collect(),
    })
}
