//! The conformance suite of storage: the same tests on both databases.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod fixtures;
mod idempotency;
mod plans;
mod projects;
mod raw;
mod refresh_tokens;
mod schema;
mod sessions;
mod task_filters;
mod task_lists;
mod tasks;
mod transactions;
mod users;
