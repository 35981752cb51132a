//! The types of the API: resources, bodies, query parameters, lists and errors.
//!
//! The OpenAPI document, request validation and JSON responses are derived from these types, and services and
//! repositories use them as their domain types. Field comments are published to API users. Nothing here depends on HTTP
//! or on the database.

pub mod account;
pub mod email;
pub mod error;
pub mod event;
pub mod health;
pub mod ids;
mod macros;
pub mod page;
pub mod project;
pub mod resource;
pub mod strings;
pub mod task;
pub mod time;
pub mod unicode;
pub mod webhook;
pub(crate) mod world;

pub use ids::{
    ApiTokenId, AuditEntryId, AuditTargetId, CommentId, DeliveryId, EventId, InvitationId, ProjectId, SessionId,
    TaskId, UserId, WebhookId,
};
pub use time::Timestamp;
