//! The conformance suite of storage: the same tests on both databases.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

pub(crate) mod fixtures;
mod idempotency;
mod job_leases;
mod jobs;
mod migrations;
mod plans;
mod projects;
pub(crate) mod raw;
mod refresh_tokens;
mod schema;
mod sessions;
mod task_filters;
mod task_lists;
mod tasks;
mod transactions;
mod users;
mod visible_plans;
mod visible_tasks;
