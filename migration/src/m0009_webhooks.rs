//! Webhooks and their deliveries, and the jobs that deliver: one for each webhook that has something to deliver.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::{
    bytes, count, flag, id, key, optional_bytes, optional_id, optional_key, optional_text, optional_time, text, time,
};
use crate::m0001_users_and_sessions::Users;
use crate::m0002_projects_and_members::Projects;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Webhooks {
    Table,
    Id,
    UserId,
    ProjectId,
    Url,
    Events,
    Description,
    Enabled,
    DisabledReason,
    Secret,
    PreviousSecret,
    PreviousUntil,
    FailingSince,
    Version,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Deliveries {
    Table,
    Id,
    WebhookId,
    EventId,
    EventType,
    Payload,
    Status,
    Attempts,
    AttemptCount,
    NextAttemptAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Jobs {
    Table,
    Id,
    IsSlow,
    Lane,
    OpenKey,
    RunAt,
    FinishedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_webhooks(manager).await?;
        create_deliveries(manager).await?;
        give_jobs_lanes(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        take_lanes_from_jobs(manager).await?;
        manager.drop_table(Table::drop().table(Deliveries::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Webhooks::Table).to_owned()).await
    }
}

async fn create_webhooks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Webhooks::Table)
                .col(id(Webhooks::Id).primary_key())
                .col(id(Webhooks::UserId))
                // None for all projects of the user.
                .col(optional_id(Webhooks::ProjectId))
                .col(text(Webhooks::Url))
                // With a comma on both sides of each type, or `*`.
                .col(text(Webhooks::Events))
                .col(optional_text(Webhooks::Description))
                .col(flag(Webhooks::Enabled))
                .col(optional_text(Webhooks::DisabledReason))
                // Encrypted, and during a rotation the one before too.
                .col(bytes(Webhooks::Secret))
                .col(optional_bytes(Webhooks::PreviousSecret))
                .col(optional_time(Webhooks::PreviousUntil))
                // Since when every attempt has failed.
                .col(optional_time(Webhooks::FailingSince))
                .col(count(Webhooks::Version).check(Expr::col(Webhooks::Version).gte(1)))
                .col(time(Webhooks::CreatedAt))
                .col(time(Webhooks::UpdatedAt))
                .foreign_key(
                    ForeignKey::create()
                        .name("webhooks_user")
                        .from(Webhooks::Table, Webhooks::UserId)
                        .to(Users::Table, Users::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .name("webhooks_project")
                        .from(Webhooks::Table, Webhooks::ProjectId)
                        .to(Projects::Table, Projects::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(Webhooks::Table).to_owned();
    for index in [
        index("webhooks_by_user").col(Webhooks::UserId).col(Webhooks::CreatedAt).col(Webhooks::Id),
        index("webhooks_by_project").col(Webhooks::ProjectId).and_where(Expr::col(Webhooks::ProjectId).is_not_null()),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    Ok(())
}

async fn create_deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_pending = || Expr::col(Deliveries::Status).eq("pending");
    manager
        .create_table(
            Table::create()
                .table(Deliveries::Table)
                .col(id(Deliveries::Id).primary_key())
                .col(id(Deliveries::WebhookId))
                // Not bound to the event, which may go before the delivery does.
                .col(id(Deliveries::EventId))
                .col(key(manager, Deliveries::EventType))
                // Of what is no event of the feed: a test.
                .col(optional_text(Deliveries::Payload))
                .col(text(Deliveries::Status).check(Expr::col(Deliveries::Status).is_in([
                    "pending",
                    "delivered",
                    "failed",
                ])))
                // As JSON, as it is published.
                .col(text(Deliveries::Attempts))
                .col(count(Deliveries::AttemptCount))
                .col(optional_time(Deliveries::NextAttemptAt))
                .col(time(Deliveries::CreatedAt))
                .check(is_pending().eq(Expr::col(Deliveries::NextAttemptAt).is_not_null()))
                .foreign_key(
                    ForeignKey::create()
                        .name("deliveries_webhook")
                        .from(Deliveries::Table, Deliveries::WebhookId)
                        .to(Webhooks::Table, Webhooks::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(Deliveries::Table).to_owned();
    for index in [
        index("deliveries_by_webhook").col(Deliveries::WebhookId).col(Deliveries::CreatedAt).col(Deliveries::Id),
        index("deliveries_due").col(Deliveries::WebhookId).col(Deliveries::NextAttemptAt).and_where(is_pending()),
        index("deliveries_by_time").col(Deliveries::CreatedAt),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    Ok(())
}

/// The index by which jobs that are due are found.
fn jobs_due(lane: impl IntoIden) -> IndexCreateStatement {
    Index::create()
        .name("jobs_due")
        .table(Jobs::Table)
        .col(lane.into_iden())
        .col(Jobs::RunAt)
        .col(Jobs::Id)
        .and_where(Expr::col(Jobs::FinishedAt).is_null())
        .to_owned()
}

async fn drop_jobs_due(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut drop = Index::drop().name("jobs_due").to_owned();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        drop.table(Jobs::Table);
    }
    manager.drop_index(drop).await
}

async fn give_jobs_lanes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_jobs_due(manager).await?;
    let add = |column: ColumnDef| Table::alter().table(Jobs::Table).add_column(column).to_owned();
    manager.alter_table(add(key(manager, Jobs::Lane).default("quick").take())).await?;
    // Unique among the jobs that are not done.
    manager.alter_table(add(optional_key(manager, Jobs::OpenKey))).await?;
    let fill = Query::update()
        .table(Jobs::Table)
        .value(Jobs::Lane, "slow")
        .and_where(Expr::col(Jobs::IsSlow).eq(true))
        .to_owned();
    manager.execute(fill).await?;
    manager.alter_table(Table::alter().table(Jobs::Table).drop_column(Jobs::IsSlow).to_owned()).await?;
    let open = Index::create().name("jobs_open").table(Jobs::Table).col(Jobs::OpenKey).unique().to_owned();
    manager.create_index(open).await?;
    manager.create_index(jobs_due(Jobs::Lane)).await
}

async fn take_lanes_from_jobs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_jobs_due(manager).await?;
    let drop = |name: Jobs| Table::alter().table(Jobs::Table).drop_column(name).to_owned();
    let mut open = Index::drop().name("jobs_open").to_owned();
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        open.table(Jobs::Table);
    }
    manager.drop_index(open).await?;
    let column = flag(Jobs::IsSlow).default(false).take();
    manager.alter_table(Table::alter().table(Jobs::Table).add_column(column).to_owned()).await?;
    let fill = Query::update()
        .table(Jobs::Table)
        .value(Jobs::IsSlow, true)
        .and_where(Expr::col(Jobs::Lane).ne("quick"))
        .to_owned();
    manager.execute(fill).await?;
    manager.alter_table(drop(Jobs::Lane)).await?;
    manager.alter_table(drop(Jobs::OpenKey)).await?;
    manager.create_index(jobs_due(Jobs::IsSlow)).await
}
