//! Webhooks and their deliveries.

mod backlogs;
mod concurrent_changes;
mod crud;
mod deliveries;
mod failures;
mod isolation;
mod permissions;
mod secrets;
mod stalled;
