//! Administration: accounts that the operator disabled, and the operator in the audit log.

use sea_orm_migration::prelude::*;

use crate::schema::{optional_text, optional_time, sparse_index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("users").add_column(optional_time("disabled_at")).take()).await?;
        // Polled to learn of the API tokens that stopped working.
        manager.create_index(sparse_index("users_disabled", "users", &["disabled_at"])).await?;
        // Name of the operating-system user.
        manager.alter_table(Table::alter().table("audit_entries").add_column(optional_text("operator")).take()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("audit_entries").drop_column("operator").take()).await?;
        manager.drop_index(Index::drop().name("users_disabled").table("users").to_owned()).await?;
        manager.alter_table(Table::alter().table("users").drop_column("disabled_at").take()).await
    }
}
