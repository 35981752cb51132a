//! The epoch of the event feed, which a restored database renews.

use sea_orm_migration::prelude::*;

use crate::schema::{optional_id, optional_text};

const TABLE: &str = "event_sequence";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Null until the epoch is first renewed, so that cursors of earlier versions stay valid.
        add_column(manager, optional_id("epoch")).await?;
        // The file in which a SQLite database was last served.
        add_column(manager, optional_text("file_id")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["file_id", "epoch"] {
            manager.alter_table(Table::alter().table(TABLE).drop_column(column).take()).await?;
        }
        Ok(())
    }
}

async fn add_column(manager: &SchemaManager<'_>, mut column: ColumnDef) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(TABLE).add_column(&mut column).take()).await
}
