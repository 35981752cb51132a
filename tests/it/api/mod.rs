//! Behaviour through HTTP.

mod accounts;
mod common;
mod cors;
mod docs;
mod encodings;
mod front;
mod malformed;
mod me;
pub(crate) mod memberships;
mod passwords;
mod project_lists;
mod projects;
mod rate_limits;
mod roles;
mod sessions;
mod task_filters;
mod task_lists;
mod task_trash;
mod tasks;
mod tasks_at_once;
mod tokens;
mod v1_snapshot;
mod validation;
mod validation_queries;
