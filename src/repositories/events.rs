//! The event feed: one event per change, in a total order.

use async_trait::async_trait;
use uuid::Uuid;

use super::error::StoreError;
use super::writes::Write;
use crate::contract::event::{Event, EventType};
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};

/// An event without a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Id of the event.
    pub id: EventId,
    /// Type of the event.
    pub kind: EventType,
    /// Project in which it happened.
    pub project_id: ProjectId,
    /// User who caused it.
    pub actor_id: Option<UserId>,
    /// Time at which it happened.
    pub occurred_at: Timestamp,
    /// The whole resource, as JSON.
    pub data: String,
    /// Previous values of the changed fields, as JSON.
    pub previous: Option<String>,
    /// Request that caused it.
    pub request_id: Option<String>,
}

/// An event without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// Sequence number of the event.
    pub sequence: i64,
    /// Id of the event.
    pub id: EventId,
    /// Type of the event; `None` if this version does not know it.
    pub kind: Option<EventType>,
    /// Project in which it happened.
    pub project: ProjectId,
}

/// Conditions on the events visible to a reader, all of which must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Project of the event.
    pub project: Option<ProjectId>,
    /// Types of the event; any type if empty.
    pub kinds: Vec<EventType>,
}

/// A range of the feed.
#[derive(Debug, Clone, Copy)]
pub struct EventRange {
    /// Exclusive start, in the given direction; `None` for the beginning.
    pub after: Option<i64>,
    /// Direction of the range.
    pub direction: Direction,
    /// Maximum number of events.
    pub limit: u64,
}

/// Extent of the feed, in sequence numbers of its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedBounds {
    /// Greatest sequence number pruned because of its age, or 0.
    pub pruned_through: i64,
    /// Last assigned sequence number, or 0; the event itself may have been removed.
    pub end: i64,
    /// Epoch, which changes when the database is restored: sequence numbers are then assigned again. `None` at first.
    pub epoch: Option<Uuid>,
}

/// The event feed.
///
/// Guarantee: sequence numbers become visible in order. After a reader has seen sequence *n*, or the end of the feed at
/// *n*, no event with a smaller number appears. See `src/database/events.rs` for how this is enforced.
#[async_trait]
pub trait EventRepository: Send + Sync {
    /// Appends events in order.
    ///
    /// This is the last write of a transaction: until its commit no other transaction can append.
    async fn append(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.write_and_append(&[], events).await
    }

    /// Runs the last writes of a transaction, and then appends events in order.
    async fn write_and_append(&self, writes: &[Write<'_>], events: &[NewEvent]) -> Result<(), StoreError>;

    /// Returns the extent of the feed.
    async fn bounds(&self) -> Result<FeedBounds, StoreError>;

    /// Lists the events that a reader may see: owner-only events only in own projects.
    async fn list(&self, reader: UserId, filter: &EventFilter, range: EventRange) -> Result<Vec<Event>, StoreError>;

    /// Lists the events of all projects after a sequence number, in order.
    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError>;

    /// Lists the headers of the events that a reader may see.
    async fn list_headers(
        &self,
        reader: UserId,
        filter: &EventFilter,
        range: EventRange,
    ) -> Result<Vec<EventHeader>, StoreError>;

    /// Lists the headers of the events of all projects after a sequence number, in order.
    async fn tail_headers(&self, after: i64, limit: u64) -> Result<Vec<EventHeader>, StoreError>;

    /// Lists the projects and roles of a user; `None` without an active account.
    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError>;
}
