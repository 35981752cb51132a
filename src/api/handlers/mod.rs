//! The operations: each converts, makes one service call, and converts back.
//!
//! The doc comments are published: they are written for API users. All methods of a path stand in one `impl`, because
//! poem-openapi would write a path twice otherwise.

mod auth;
mod comments;
mod events;
mod health;
mod invitations;
mod me;
mod members;
mod projects;
mod tasks;
mod tasks_v2;
mod webhooks;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::{OpenApi, Tags};

use super::{extract, respond};
use crate::services::Services;
pub(super) use webhooks::webhook_schemas;

/// The services, as handlers take them.
type Service<'a> = Data<&'a Arc<Services>>;

/// All operations.
pub(super) const fn all() -> impl OpenApi + 'static {
    (
        auth::AuthApi,
        me::MeApi,
        projects::ProjectsApi,
        members::MembersApi,
        invitations::InvitationsApi,
        tasks::TasksApi,
        tasks_v2::TasksV2Api,
        comments::CommentsApi,
        events::EventsApi,
        webhooks::WebhooksApi,
        health::HealthApi,
    )
}

/// What the operations are grouped by.
#[derive(Tags)]
enum Tag {
    /// Registering, logging in and out, and keeping a session alive.
    Auth,
    /// Your account, and the places where you are logged in.
    Account,
    /// Projects: lists of tasks that people share.
    Projects,
    /// The people in projects, and invitations to join them.
    Members,
    /// Tasks, in projects.
    Tasks,
    /// What people say about tasks.
    Comments,
    /// What happens: one feed to read back, to stay in step, and to follow.
    Events,
    /// Addresses of yours that are told of what happens, and the log of what they were sent.
    Webhooks,
    /// Whether the service is up, for load balancers and containers.
    Health,
}
