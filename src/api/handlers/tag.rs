//! Groups of operations in the document.

use poem_openapi::Tags;

#[derive(Tags)]
pub(super) enum Tag {
    /// Registration, login and sessions.
    Auth,
    /// Your account, its sessions, API tokens and audit log.
    Account,
    /// Shared lists of tasks.
    Projects,
    /// Members of projects, and invitations to join them.
    Members,
    /// Tasks in projects.
    Tasks,
    /// Comments on tasks.
    Comments,
    /// One feed of all changes: to list, to stay in sync, and to stream.
    Events,
    /// URLs that receive events, and the log of their deliveries.
    Webhooks,
    /// Health checks for load balancers and containers.
    Health,
}
