//! The world of all examples: in January 2026, Ada Lovelace renovates her kitchen and invites Grace Hopper.
//!
//! The example of a type is the resource as it was created. This file has the other ids, secrets and times, and the order
//! of the events. A test sends every example of a request to a server and compares the responses.

use poem_openapi::types::Example as _;
use uuid::Uuid;

use super::event::EventType;
use super::strings::{AccessToken, Cursor, Email, EmailToken, Password, PersonName, RefreshToken, WebhookSecret};
use super::{AuditEntryId, DeliveryId, EventId, SessionId, TaskId, Timestamp, UserId};

/// Returns a time in January 2026, in UTC.
pub(crate) fn january(day: u16, hour: u16, minute: u16) -> Timestamp {
    /// 2026-01-01T00:00:00.000Z
    const NEW_YEAR: i64 = 1_767_225_600_000;
    let minutes = (i64::from(day - 1) * 24 + i64::from(hour)) * 60 + i64::from(minute);
    Timestamp(NEW_YEAR + minutes * 60_000)
}

/// The event types in the order in which they happen, each with its day, hour and minute.
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

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident: $type:ident, $text:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> $type {
            $type::parse($text).unwrap_or($type(Uuid::nil()))
        }
    )*};
}

ids! {
    /// The second user, who joins Ada's project.
    grace: UserId, "01936f4e-7b20-7c3a-9f10-2b6c1d5e8a21";
    /// The session that began with Ada's login, after the one of her registration.
    login_session: SessionId, "01936f4e-7b21-7d4b-8a20-3c7d2e6f9b22";
    /// A task that a batch deletes.
    deleted_task: TaskId, "01936f52-9d40-7f6d-a240-5e9f4081bd24";
    /// The task that a batch creates.
    batch_task: TaskId, "01936f52-9d40-7f6d-a240-5e9f4081bd44";
    /// A new delivery of an event.
    redelivery: DeliveryId, "01936f5e-73b0-75c3-a8a0-b4f5a6e7132a";
    /// The delivery of a test event.
    test_delivery: DeliveryId, "01936f5e-73b0-75c3-a8a0-b4f5a6e7134a";
    /// Entry of the audit log about the registration.
    registration_entry: AuditEntryId, "01936f60-84c0-76d4-b9b0-c506b7f8240b";
    /// Entry of the audit log about the verified address.
    verification_entry: AuditEntryId, "01936f60-84c0-76d4-b9b0-c506b7f8242b";
    /// Entry of the audit log about the login.
    login_entry: AuditEntryId, "01936f60-84c0-76d4-b9b0-c506b7f8244b";
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $type:ident, $text:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name() -> $type {
            $type::new_unchecked($text)
        }
    )*};
}

texts! {
    /// Name of Grace.
    grace_name: PersonName, "Grace Hopper";
    /// Address of Grace.
    grace_email: Email, "grace@example.com";
    /// Ada's second password.
    changed_password: Password, "even more correct horses";
    /// Ada's third password.
    reset_password: Password, "a fresh horse and a new battery";
    /// Token in the e-mail about a new password.
    reset_token: EmailToken, "mt_cmVzZXRzIG9uZSBmb3Jnb3R0ZW4gcGFzc3dvcmQuLi4";
    /// Token in the e-mail to a person whose address another person has registered.
    disowning_token: EmailToken, "mt_dG9rZW4gb2YgYW4gdW53ZWxjb21lIG5ldyBhY2NvdW4";
    /// Access token of a login.
    login_access_token: AccessToken, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTkzNmY0ZSJ9.bG9nZ2VkIGlu";
    /// Access token of a refreshed session.
    refreshed_access_token: AccessToken, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTkzNmY0ZSJ9.cmVmcmVzaGVk";
    /// Refresh token of a login.
    login_refresh_token: RefreshToken, "rt_cmVmcmVzaCB0b2tlbiBvZiB0aGUgZmlyc3QgbG9naW4";
    /// Refresh token of a refreshed session.
    next_refresh_token: RefreshToken, "rt_cmVmcmVzaCB0b2tlbiBvZiBhIGxhdGVyIHJlZnJlc2g";
    /// Secret of a webhook after a rotation.
    rotated_secret: WebhookSecret, "whsec_dGhlIHNlY29uZCBzZWNyZXQgb2YgdGhlIHdlYmhvb2s=";
    /// Position in the event feed. It looks different from a cursor of a list.
    event_cursor: Cursor, "AAAAAAAAEmcK2dLZbF3vNfX4pYJ5Kx0q";
}

/// Request id in examples.
pub(crate) const REQUEST_ID: &str = "0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f";
