//! Webhooks and their deliveries.

mod backlogs;
mod concurrent_changes;
mod crud;
mod deliveries;
mod failures;
mod feed_cursor;
mod isolation;
mod limits;
mod permissions;
mod secrets;
mod stalled;
