//! Handlers: each takes what the pipeline validated, makes one service call, and returns a response type.
//!
//! Their doc comments are published, so they are written for API users. All methods of a path belong to one `impl`,
//! otherwise poem-openapi publishes the path twice.

mod auth;
mod comments;
mod events;
mod health;
mod me;
mod members;
mod projects;
mod tag;
mod tasks;
mod webhooks;

use std::sync::Arc;

use super::settings::Draining;
use crate::services::Services;

/// All handlers.
pub(super) type Handlers = (
    auth::AuthApi,
    me::MeApi,
    projects::ProjectsApi,
    members::MembersApi,
    members::InvitationsApi,
    tasks::TasksApi,
    tasks::TasksV2Api,
    comments::CommentsApi,
    events::EventsApi,
    webhooks::WebhooksApi,
    health::HealthApi,
);

pub(super) fn new(services: Services, draining: Draining) -> Handlers {
    let shared = Arc::new(services);
    let services = || Arc::clone(&shared);
    (
        auth::AuthApi { services: services() },
        me::MeApi { services: services() },
        projects::ProjectsApi { services: services() },
        members::MembersApi { services: services() },
        members::InvitationsApi { services: services() },
        tasks::TasksApi { services: services() },
        tasks::TasksV2Api { services: services() },
        comments::CommentsApi { services: services() },
        events::EventsApi { services: services() },
        webhooks::WebhooksApi { services: services() },
        health::HealthApi { services: services(), draining },
    )
}
