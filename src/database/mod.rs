//! Storage on SQLite and PostgreSQL, with SeaORM: the only folder that may name it.
//!
//! One generic struct implements every repository, over pools and transactions. On SQLite a single connection writes, in
//! `IMMEDIATE` transactions: concurrent writers would fail at once, regardless of the busy timeout.

mod audit_log;
mod backup;
mod comments;
mod connect;
mod counters;
mod decode;
mod deliveries;
mod entities;
mod error;
mod event_append;
mod event_window;
mod events;
mod feed_epoch;
mod file_lock;
mod free_pages;
mod health;
mod idempotency;
mod integrity;
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
mod plain_pages;
mod postgres_reader;
mod prepared;
mod project_counts;
mod projects;
mod rate_limits;
mod read_pool;
mod relations;
mod repositories;
mod revocations;
mod sealed_values;
mod server_wait;
mod sessions;
mod sqlite;
mod statistics;
mod store;
mod stored_bytes;
mod stream_tickets;
mod task_candidates;
mod task_filter;
mod task_lists;
mod task_ranges;
mod task_rows;
mod task_search;
mod tasks;
mod text_search;
mod tokens;
mod transaction;
mod users;
mod visible_tasks;
mod webhook_maintenance;
mod webhooks;
mod writes;

pub use backup::{BackupError, back_up, restore};
pub use connect::{Engine, Settings, sqlite_path};
pub use file_lock::FileLock;
pub use migrations::{MigrationState, MigrationStatus};

pub use server_wait::wait_for_server;
pub use store::SeaStore;
