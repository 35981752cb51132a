//! The types of the API, declared once: resources, request bodies, query parameters, lists and the error envelope.
//!
//! The published document, the validation of requests, the JSON of responses and the words in which services and
//! repositories speak all come from here. Rules that a schema can express stand in the types; what is written about a
//! field here is read by API users. This module knows neither HTTP nor storage.

pub mod api_token;
pub mod comment;
pub mod delivery;
pub mod error;
pub mod event;
mod event_examples;
pub mod feed;
pub mod health;
pub mod ids;
pub mod invitation;
pub mod list;
pub mod member;
pub mod previous;
pub mod project;
pub mod resource;
pub mod session;
pub mod task;
mod task_changes;
mod task_query;
pub mod text;
pub mod time;
pub mod user;
pub mod webhook;
pub mod webhook_message;

pub use ids::{
    ApiTokenId, CommentId, DeliveryId, EventId, InvitationId, ProjectId, SessionId, TaskId, UserId, WebhookId,
};
pub use time::Timestamp;
