//! Keys by which requests can be repeated, and one task to a place.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, id, key, optional_bytes, optional_id, optional_text, time};
use crate::m0001_users_and_sessions::Users;
use crate::m0003_tasks::Tasks;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum IdempotencyKeys {
    Table,
    UserId,
    Key,
    Fingerprint,
    ClaimedAt,
    Status,
    Location,
    Etag,
    SealedBody,
    ProjectId,
    LeastRole,
}

/// Those in the trash keep their place too, so that nothing else is there when they come back.
pub(crate) fn one_task_to_a_place() -> IndexCreateStatement {
    Index::create()
        .name("tasks_place")
        .table(Tasks::Table)
        .col(Tasks::ProjectId)
        .col(Tasks::Position)
        .unique()
        .to_owned()
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
                    .table(IdempotencyKeys::Table)
                    .col(id(IdempotencyKeys::UserId))
                    .col(key(manager, IdempotencyKeys::Key))
                    .col(bytes(IdempotencyKeys::Fingerprint))
                    .col(time(IdempotencyKeys::ClaimedAt))
                    // Unknown only within the transaction that claims the key.
                    .col(ColumnDef::new(IdempotencyKeys::Status).small_integer())
                    .col(optional_text(IdempotencyKeys::Location))
                    .col(optional_text(IdempotencyKeys::Etag))
                    .col(optional_bytes(IdempotencyKeys::SealedBody))
                    // Not bound to the project by a foreign key: the answer outlives it, to say that it is gone.
                    .col(optional_id(IdempotencyKeys::ProjectId))
                    .col(optional_text(IdempotencyKeys::LeastRole))
                    .primary_key(Index::create().col(IdempotencyKeys::UserId).col(IdempotencyKeys::Key))
                    .check(
                        Expr::col(IdempotencyKeys::ProjectId)
                            .is_null()
                            .eq(Expr::col(IdempotencyKeys::LeastRole).is_null()),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("idempotency_keys_user")
                            .from(IdempotencyKeys::Table, IdempotencyKeys::UserId)
                            .to(Users::Table, Users::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idempotency_keys_by_age")
                    .table(IdempotencyKeys::Table)
                    .col(IdempotencyKeys::ClaimedAt)
                    .to_owned(),
            )
            .await?;
        manager.create_index(one_task_to_a_place()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("tasks_place").table(Tasks::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(IdempotencyKeys::Table).to_owned()).await
    }
}
