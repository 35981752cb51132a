//! What keeps webhooks going: those that take long are known like those that fail, a backlog goes in portions, and an
//! old secret stays as long as it was promised.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::{bytes, flag, id, optional_bytes, optional_time, time};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(Clone, Copy, DeriveIden)]
enum Webhooks {
    Table,
    Id,
    PreviousSecret,
    PreviousUntil,
    FailingSince,
    IsAiling,
    GivingUp,
    RemovedAt,
}

#[derive(Clone, Copy, DeriveIden)]
enum FormerSecrets {
    Table,
    Id,
    WebhookId,
    Secret,
    GoodUntil,
}

#[derive(Clone, Copy, DeriveIden)]
enum Deliveries {
    Table,
    Id,
    WebhookId,
    Status,
    NextAttemptAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Whether the last run was slow or failed, that of a test too: those wait in a lane of their own.
        add(manager, flag(Webhooks::IsAiling).default(false).take()).await?;
        // What was pending at this time is being given up.
        add(manager, optional_time(Webhooks::GivingUp)).await?;
        // For everybody but who removes its deliveries it is gone.
        add(manager, optional_time(Webhooks::RemovedAt)).await?;
        let failing = Query::update()
            .table(Webhooks::Table)
            .value(Webhooks::IsAiling, true)
            .and_where(Expr::col(Webhooks::FailingSince).is_not_null())
            .to_owned();
        manager.execute(failing).await?;
        drop_index_of_what_is_due(manager).await?;
        manager.create_index(index_of_what_is_due().col(Deliveries::Id).and_where(has_time()).to_owned()).await?;
        create_former_secrets(manager).await?;
        take(manager, &[Webhooks::PreviousSecret, Webhooks::PreviousUntil]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let removed = Query::delete()
            .from_table(Webhooks::Table)
            .and_where(Expr::col(Webhooks::RemovedAt).is_not_null())
            .to_owned();
        manager.execute(removed).await?;
        add(manager, optional_bytes(Webhooks::PreviousSecret)).await?;
        add(manager, optional_time(Webhooks::PreviousUntil)).await?;
        // There was room for one.
        let fill = Query::update()
            .table(Webhooks::Table)
            .value(Webhooks::PreviousSecret, newest(FormerSecrets::Secret))
            .value(Webhooks::PreviousUntil, newest(FormerSecrets::GoodUntil))
            .to_owned();
        manager.execute(fill).await?;
        manager.drop_table(Table::drop().table(FormerSecrets::Table).to_owned()).await?;
        drop_index_of_what_is_due(manager).await?;
        let is_pending = Expr::col(Deliveries::Status).eq("pending");
        manager.create_index(index_of_what_is_due().and_where(is_pending).to_owned()).await?;
        take(manager, &[Webhooks::IsAiling, Webhooks::GivingUp, Webhooks::RemovedAt]).await
    }
}

async fn add(manager: &SchemaManager<'_>, column: ColumnDef) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(Webhooks::Table).add_column(column).to_owned()).await
}

/// One at a time, because SQLite knows no other way.
async fn take(manager: &SchemaManager<'_>, columns: &[Webhooks]) -> Result<(), DbErr> {
    for column in columns {
        manager.alter_table(Table::alter().table(Webhooks::Table).drop_column(*column).to_owned()).await?;
    }
    Ok(())
}

const DUE: &str = "deliveries_due";

async fn drop_index_of_what_is_due(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut drop = Index::drop().name(DUE).to_owned();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        drop.table(Deliveries::Table);
    }
    manager.drop_index(drop).await
}

fn index_of_what_is_due() -> IndexCreateStatement {
    Index::create()
        .name(DUE)
        .table(Deliveries::Table)
        .col(Deliveries::WebhookId)
        .col(Deliveries::NextAttemptAt)
        .to_owned()
}

/// What is pending has a time. A statement with parameters does not say which status it asks for, so a plan that is
/// made once for all of them cannot go by an index of those that are pending; that there is a time it says by comparing
/// it.
fn has_time() -> SimpleExpr {
    Expr::col(Deliveries::NextAttemptAt).is_not_null()
}

/// The secrets before the present one that are good still; each was encrypted for its webhook.
async fn create_former_secrets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(FormerSecrets::Table)
                .col(id(FormerSecrets::Id).primary_key())
                .col(id(FormerSecrets::WebhookId))
                .col(bytes(FormerSecrets::Secret))
                .col(time(FormerSecrets::GoodUntil))
                .foreign_key(
                    ForeignKey::create()
                        .name("former_secrets_webhook")
                        .from(FormerSecrets::Table, FormerSecrets::WebhookId)
                        .to(Webhooks::Table, Webhooks::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(FormerSecrets::Table).to_owned();
    for index in [
        index("former_secrets_by_webhook").col(FormerSecrets::WebhookId).col(FormerSecrets::Id),
        index("former_secrets_by_end").col(FormerSecrets::GoodUntil),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    // The id of the webhook will do for the first: what comes later has a greater one.
    let known = Query::select()
        .columns([Webhooks::Id, Webhooks::Id, Webhooks::PreviousSecret, Webhooks::PreviousUntil])
        .from(Webhooks::Table)
        .and_where(Expr::col(Webhooks::PreviousSecret).is_not_null())
        .and_where(Expr::col(Webhooks::PreviousUntil).is_not_null())
        .to_owned();
    let mut copy = Query::insert();
    copy.into_table(FormerSecrets::Table)
        .columns([FormerSecrets::Id, FormerSecrets::WebhookId, FormerSecrets::Secret, FormerSecrets::GoodUntil])
        .select_from(known)
        .map_err(|error| DbErr::Migration(error.to_string()))?;
    manager.execute(copy).await
}

/// A column of the newest secret that a webhook had before.
fn newest(column: FormerSecrets) -> SelectStatement {
    Query::select()
        .column(column)
        .from(FormerSecrets::Table)
        .and_where(Expr::col((FormerSecrets::Table, FormerSecrets::WebhookId)).equals((Webhooks::Table, Webhooks::Id)))
        .order_by(FormerSecrets::Id, Order::Desc)
        .limit(1)
        .to_owned()
}
