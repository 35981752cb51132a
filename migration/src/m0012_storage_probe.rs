//! The row that the readiness check writes to find out whether the database accepts writes.

use sea_orm_migration::prelude::*;

use crate::columns::{count, time};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum StorageProbe {
    Table,
    Id,
    CheckedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table(StorageProbe::Table)
                    .col(count(StorageProbe::Id).primary_key().check(Expr::col(StorageProbe::Id).eq(1)))
                    .col(time(StorageProbe::CheckedAt))
                    .to_owned(),
            )
            .await?;
        let row = Query::insert()
            .into_table(StorageProbe::Table)
            .columns([StorageProbe::Id, StorageProbe::CheckedAt])
            .values_panic([1.into(), 0.into()])
            .to_owned();
        manager.execute(row).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(StorageProbe::Table).to_owned()).await
    }
}
