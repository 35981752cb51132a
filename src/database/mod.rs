//! Storage on SQLite and PostgreSQL, with SeaORM: the only folder that may name it.
//!
//! One generic struct implements every repository, over pools and transactions. On SQLite a single connection writes, in
//! `IMMEDIATE` transactions: concurrent writers would fail at once, regardless of the busy timeout.

mod audit_log;
mod comments;
mod connect;
mod counters;
mod deliveries;
mod entities;
mod error;
mod events;
mod health;
mod idempotency;
mod invitations;
mod job_enqueue;
mod job_queue;
mod known_addresses;
mod lateral;
mod long_texts;
mod maintenance;
mod mapping;
mod members;
mod migrations;
mod notifier;
mod pagination;
mod projects;
mod read_pool;
mod relations;
mod repositories;
mod server_lock;
mod sessions;
mod sqlite_state;
mod store;
mod stored_bytes;
mod stream_tickets;
mod task_filter;
mod task_lists;
mod tasks;
mod text_search;
mod tokens;
mod transaction;
mod users;
mod visible_tasks;
mod webhook_maintenance;
mod webhooks;

pub use connect::{Engine, Settings};
pub use migrations::MigrationStatus;
pub use server_lock::ServerLock;
pub use store::SeaStore;

/// Log filter for libraries that log every migration and cancelled statement.
pub const QUIET_LIBRARIES: &str = "sea_orm_migration=warn,sqlx_core::pool=error";
