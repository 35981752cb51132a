//! The world of all examples: in January 2026, Ada Lovelace renovates her kitchen and invites Grace Hopper.
//!
//! The example of a type is the resource as it was created. This file has the other ids, secrets and times;
//! `event::occurrences` has the order of the events. A test sends every example of a request to a server and compares
//! the responses.

use uuid::Uuid;

use super::strings::{AccessToken, Cursor, Email, EmailToken, Password, PersonName, RefreshToken, WebhookSecret};
use super::{AuditEntryId, DeliveryId, SessionId, TaskId, Timestamp, UserId};

/// Returns a time in January 2026, in UTC.
pub(crate) fn january(day: u16, hour: u16, minute: u16) -> Timestamp {
    /// 2026-01-01T00:00:00.000Z
    const NEW_YEAR: i64 = 1_767_225_600_000;
    let minutes = (i64::from(day - 1) * 24 + i64::from(hour)) * 60 + i64::from(minute);
    Timestamp(NEW_YEAR + minutes * 60_000)
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
    event_cursor: Cursor, "AAAAAAAAEmkK2dLZbF3vNfX4pYJ5Kx0q";
}

/// Request id in examples.
pub(crate) const REQUEST_ID: &str = "0199d0a0-5b7c-7d3e-9a41-6f2b8c0d1e2f";
