//! The conformance suite of storage: the same tests on both databases.

#![expect(clippy::expect_used, reason = "the helpers of a test fail it like the test itself")]

mod account_references;
mod backup;
mod comments;
mod counters;
mod feed_order;
mod feed_plans;
pub(crate) mod fixtures;
mod idempotency;
mod invitation_lists;
mod invitations;
mod job_leases;
mod jobs;
mod members;
mod migrations;
mod open_jobs;
mod opening;
mod plans;
mod projects;
mod rate_limits;
pub(crate) mod raw;
mod readiness;
mod refresh_tokens;
mod released_schema;
mod revocations;
mod schema;
mod search_plans;
mod sessions;
mod shared_plans;
mod task_filters;
mod task_indexes;
mod task_lists;
mod task_ranges;
mod task_search;
mod tasks;
mod totals;
mod transactions;
mod users;
mod visible_events;
mod visible_plans;
mod visible_tasks;
mod webhook_plans;
