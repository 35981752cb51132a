//! The database schema of Pocket Tasks: one file per change, forwards and backwards, on SQLite and PostgreSQL.
//!
//! What holds everywhere: ids are UUIDs in the database's own type, times are whole milliseconds since 1970 (the unit
//! of the API, the same number on both databases), and text that is sorted or compared is compared byte by byte,
//! whatever the locale of the server. Rules that must survive a bug in the program stand here as constraints.

mod columns;
mod m0001_users_and_sessions;
mod m0002_projects_and_members;
mod m0003_tasks;
mod m0004_safe_writes;
mod m0005_jobs;
mod m0006_life_of_an_account;
mod m0007_collaboration;
mod m0008_feed;
mod m0009_webhooks;
mod m0010_lasting_webhooks;
mod m0011_events_by_type;
mod m0012_storage_probe;

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{Migration, MigratorTrait};

/// All changes, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_users_and_sessions::Migration),
            Box::new(m0002_projects_and_members::Migration),
            Box::new(m0003_tasks::Migration),
            Box::new(m0004_safe_writes::Migration),
            Box::new(m0005_jobs::Migration),
            Box::new(m0006_life_of_an_account::Migration),
            Box::new(m0007_collaboration::Migration),
            Box::new(m0008_feed::Migration),
            Box::new(m0009_webhooks::Migration),
            Box::new(m0010_lasting_webhooks::Migration),
            Box::new(m0011_events_by_type::Migration),
            Box::new(m0012_storage_probe::Migration),
        ]
    }
}
