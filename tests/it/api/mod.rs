//! Behaviour through HTTP.

mod account;
mod administration;
pub(crate) mod authorization;
mod comment;
mod event;
mod event_stream;
pub(crate) mod fixtures;
mod http;
mod idempotency;
mod maintenance;
mod project;
mod task;
mod webhook;
