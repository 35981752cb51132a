//! Database schema for SQLite and PostgreSQL, one migration per subject.
//!
//! Conventions: ids are UUIDs, times are milliseconds since 1970 (the unit of the API), and text that is compared or
//! sorted is compared byte by byte, regardless of the locale of the server. Rules that must survive a bug in the program are
//! constraints.

mod m0001_accounts;
mod m0002_projects;
mod m0003_tasks;
mod m0004_events;
mod m0005_webhooks;
mod m0006_infrastructure;
mod m0007_audit_log;
mod m0008_fold_text;
mod m0009_stream_tickets;
mod m0010_feed_epoch;
mod m0011_administration;
mod m0013_rate_limits;
mod m0014_task_search;
mod newer;
mod schema;

pub use newer::TolerantMigrator;
use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{Migration, MigratorTrait, MigratorTraitSelf};

/// All migrations, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_accounts::Migration),
            Box::new(m0002_projects::Migration),
            Box::new(m0003_tasks::Migration),
            Box::new(m0004_events::Migration),
            Box::new(m0005_webhooks::Migration),
            Box::new(m0006_infrastructure::Migration),
            Box::new(m0007_audit_log::Migration),
            Box::new(m0008_fold_text::Migration),
            Box::new(m0009_stream_tickets::Migration),
            Box::new(m0010_feed_epoch::Migration),
            Box::new(m0011_administration::Migration),
            Box::new(m0013_rate_limits::Migration),
            Box::new(m0014_task_search::Migration),
        ]
    }
}
