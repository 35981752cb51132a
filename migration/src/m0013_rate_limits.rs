//! Rate limits that several processes share.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::schema::{bytes, create, drop, index, time};

/// A crash of PostgreSQL empties the table, which costs a minute's worth of counts, and no write waits for the disk.
const UNLOGGED: &str = "ALTER TABLE rate_limits SET UNLOGGED";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(
            manager,
            Table::create()
                .table("rate_limits")
                // Keyed hash of the limit and of the client or user.
                .col(bytes("key").primary_key())
                // Time at which the bucket is full again, in microseconds since 1970.
                .col(time("full_at")),
            [index("rate_limits_by_end", "rate_limits", &["full_at"])],
        )
        .await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.get_connection().execute_unprepared(UNLOGGED).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["rate_limits"]).await
    }
}
