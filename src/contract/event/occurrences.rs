//! The events in the world of the examples: their order, ids and times.

use poem_openapi::types::Example as _;
use uuid::Uuid;

use super::event_type::EventType;
use crate::contract::world::{grace, january};
use crate::contract::{EventId, Timestamp, UserId};

/// The event types in the order in which they happen, each with its day, hour and minute. The test event is first, because
/// it has no place in the feed.
const EVENTS: [(EventType, u16, u16, u16); 20] = [
    (EventType::WebhookTest, 14, 8, 40),
    (EventType::ProjectCreated, 12, 9, 0),
    (EventType::TaskCreated, 12, 9, 10),
    (EventType::ProjectUpdated, 12, 9, 20),
    (EventType::TaskUpdated, 14, 8, 30),
    (EventType::CommentCreated, 14, 12, 15),
    (EventType::CommentUpdated, 14, 12, 20),
    (EventType::CommentDeleted, 14, 12, 40),
    (EventType::TaskDeleted, 14, 17, 0),
    (EventType::TaskRestored, 14, 17, 5),
    (EventType::InvitationCreated, 15, 10, 0),
    (EventType::InvitationDeclined, 15, 11, 0),
    (EventType::InvitationRevoked, 15, 13, 0),
    (EventType::InvitationAccepted, 15, 16, 0),
    (EventType::MemberAdded, 15, 16, 0),
    (EventType::MemberUpdated, 19, 9, 0),
    (EventType::MemberRemoved, 23, 15, 0),
    (EventType::TaskMoved, 28, 17, 0),
    (EventType::ProjectDeleted, 30, 18, 0),
    (EventType::ProjectRestored, 30, 18, 5),
];

/// An event of the world: its id, its number and its time.
pub(crate) struct Occurrence {
    pub(crate) id: EventId,
    pub(crate) sequence: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: UserId,
}

/// Returns the event of a type.
pub(crate) fn occurrence(kind: EventType) -> Occurrence {
    let found = (0_u16..).zip(EVENTS).find(|(_, (other, ..))| *other == kind);
    let (number, at) =
        found.map_or((0, Timestamp(0)), |(number, (_, day, hour, minute))| (number, january(day, hour, minute)));
    let id = EventId(Uuid::from_u128(EventId::example().0.as_u128() + u128::from(number)));
    let by_grace =
        matches!(kind, EventType::InvitationAccepted | EventType::InvitationDeclined | EventType::MemberAdded);
    let actor = if by_grace { grace() } else { UserId::example() };
    Occurrence { id, sequence: 4_711 + i64::from(number), at, actor }
}
