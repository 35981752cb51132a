//! Groups of operations in the document.

use poem_openapi::Tags;

#[derive(Tags)]
pub(super) enum Tag {
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
