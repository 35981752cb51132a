//! Webhooks and their deliveries, and the jobs that deliver: one for each webhook that has something to deliver.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::{
    bytes, count, flag, id, key, optional_bytes, optional_id, optional_key, optional_text, optional_time, text, time,
};
use crate::m0001_users_and_sessions::Users;
use crate::m0002_projects_and_members::Projects;
use crate::m0005_jobs;

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
    // Unique among all jobs but those that went well.
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

/// Columns that both forms of the queue have.
const KEPT: [m0005_jobs::Jobs; 13] = {
    use m0005_jobs::Jobs::{
        Attempts, CreatedAt, FinishedAt, Id, Kind, LastError, LeaseToken, OnceKey, Payload, RunAt, State, UserId,
        WaitingKey,
    };
    [
        Id, Kind, Payload, UserId, State, RunAt, Attempts, LeaseToken, WaitingKey, OnceKey, LastError, CreatedAt,
        FinishedAt,
    ]
};

/// Makes the queue anew, as it was: SQLite cannot put a column back between others.
async fn take_lanes_from_jobs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let with_lanes = "jobs_with_lanes";
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        // What is unique in a table has a name of its own there, which the new table needs.
        drop_jobs_due(manager).await?;
        manager.drop_index(Index::drop().name("jobs_open").to_owned()).await?;
        let column = flag(Jobs::IsSlow).default(false).take();
        manager.alter_table(Table::alter().table(Jobs::Table).add_column(column).to_owned()).await?;
        let fill = Query::update()
            .table(Jobs::Table)
            .value(Jobs::IsSlow, true)
            .and_where(Expr::col(Jobs::Lane).ne("quick"))
            .to_owned();
        manager.execute(fill).await?;
        for column in [Jobs::Lane, Jobs::OpenKey] {
            manager.alter_table(Table::alter().table(Jobs::Table).drop_column(column).to_owned()).await?;
        }
        return manager.create_index(jobs_due(Jobs::IsSlow)).await;
    }
    for name in ["jobs_due", "jobs_open", "jobs_finished", "jobs_by_user"] {
        manager.drop_index(Index::drop().name(name).table(Jobs::Table).to_owned()).await?;
    }
    manager.rename_table(Table::rename().table(Jobs::Table, with_lanes).to_owned()).await?;
    manager.create_table(m0005_jobs::table(manager)).await?;
    let rows = Query::select().columns(KEPT).expr(Expr::col(Jobs::Lane).ne("quick")).from(with_lanes).to_owned();
    let mut copy = Query::insert();
    copy.into_table(Jobs::Table)
        .columns(KEPT.into_iter().map(IntoIden::into_iden).chain([Jobs::IsSlow.into_iden()]))
        .select_from(rows)
        .map_err(|error| DbErr::Migration(error.to_string()))?;
    manager.execute(copy).await?;
    manager.drop_table(Table::drop().table(with_lanes).to_owned()).await?;
    for index in m0005_jobs::indexes() {
        manager.create_index(index).await?;
    }
    Ok(())
}
