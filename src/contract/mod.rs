//! The types of the API, declared once: resources, request bodies, query parameters, lists and the error envelope.
//!
//! The published document, the validation of requests, the JSON of responses and the words in which services and
//! repositories speak all come from here. Rules that a schema can express stand in the types; what is written about a
//! field here is read by API users. This module knows neither HTTP nor storage.

pub mod account;
pub mod error;
pub mod event;
pub mod health;
pub mod ids;
pub mod page;
pub mod project;
pub mod resource;
pub mod strings;
pub mod task;
pub mod time;
pub mod webhook;

pub use ids::{
    ApiTokenId, CommentId, DeliveryId, EventId, InvitationId, ProjectId, SessionId, TaskId, UserId, WebhookId,
};
pub use time::Timestamp;
