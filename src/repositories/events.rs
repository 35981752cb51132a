//! The feed: one event for every change, in one order.

use async_trait::async_trait;

use super::StoreError;
use crate::contract::event::{Event, EventType};
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};

/// An event that has no place in the feed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The id of the event.
    pub id: EventId,
    /// What happened.
    pub kind: EventType,
    /// The project in which it happened.
    pub project_id: ProjectId,
    /// The user who did it.
    pub actor_id: Option<UserId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The whole resource, as JSON.
    pub data: String,
    /// The fields that changed with their values before, as JSON.
    pub previous: Option<String>,
    /// The request that did it.
    pub request_id: Option<String>,
}

/// Which events of those that a reader may see; all conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Those of this project.
    pub project: Option<ProjectId>,
    /// Those of these types; all when empty.
    pub kinds: Vec<EventType>,
}

/// Which stretch of the feed.
#[derive(Debug, Clone, Copy)]
pub struct EventRange {
    /// Only what stands beyond this place, in the direction of the walk; `None` for the beginning.
    pub after: Option<i64>,
    /// Forwards or backwards.
    pub direction: Direction,
    /// How many events at most.
    pub limit: u64,
}

/// How far the feed reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedBounds {
    /// The greatest place of an event that was removed because of its age; 0 where there is none.
    pub pruned_through: i64,
    /// The last place that was given to an event, whether that is kept still or not; 0 where there was none.
    pub end: i64,
}

/// The feed.
///
/// Its promise: whoever has read the event at some place, or has seen that the feed ends there, will never find another
/// one before it that was not there. How that is kept is told where it is implemented.
#[async_trait]
pub trait EventRepository: Send + Sync {
    /// Appends events, in their order. The last thing that a transaction does: from here to its commit it keeps all
    /// others from appending.
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// How far the feed reaches.
    async fn bounds(&self) -> Result<FeedBounds, StoreError>;

    /// The events of the projects of which the reader is a member now, those for owners only where the reader is one.
    async fn list(&self, reader: UserId, filter: &EventFilter, walk: EventRange) -> Result<Vec<Event>, StoreError>;

    /// The events of all projects beyond a place, in order.
    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError>;

    /// The projects of which a user is a member, and the role in each; `None` when there is no such account, or it is
    /// in the trash.
    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError>;
}
