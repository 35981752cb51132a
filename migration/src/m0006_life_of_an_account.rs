//! What an account needs from its proof to its end: tokens sent by mail, API tokens, the trash of accounts, the next
//! digest; and tasks that outlive who made them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::{bytes, flag, id, optional_time, text, time};
use crate::m0001_users_and_sessions::{RefreshTokens, Sessions, Users};
use crate::m0002_projects_and_members::Projects;
use crate::m0003_tasks::{self, Creator, Tasks};
use crate::m0004_safe_writes::one_task_to_a_place;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Added {
    DeletedAt,
    NextDigestAt,
    DeletedWithOwner,
}

#[derive(DeriveIden)]
enum MailTokens {
    Table,
    Hash,
    UserId,
    Purpose,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum ApiTokens {
    Table,
    Id,
    UserId,
    Hash,
    Name,
    CanRead,
    CanWrite,
    ExpiresAt,
    LastUsedAt,
    RevokedAt,
    CreatedAt,
}

/// The columns of a task, to copy them.
const COLUMNS: [Tasks; 19] = [
    Tasks::Id,
    Tasks::ProjectId,
    Tasks::Title,
    Tasks::TitleKey,
    Tasks::SearchText,
    Tasks::Description,
    Tasks::Status,
    Tasks::Priority,
    Tasks::DueAt,
    Tasks::DueKey,
    Tasks::AssigneeId,
    Tasks::Labels,
    Tasks::Position,
    Tasks::CreatedBy,
    Tasks::CompletedAt,
    Tasks::DeletedAt,
    Tasks::Version,
    Tasks::CreatedAt,
    Tasks::UpdatedAt,
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One column a statement: SQLite takes no more.
        for column in [optional_time(Added::DeletedAt), optional_time(Added::NextDigestAt)] {
            manager.alter_table(Table::alter().table(Users::Table).add_column(column).to_owned()).await?;
        }
        // Those who are there already get theirs: what is due for long is planned anew.
        let fill = Query::update()
            .table(Users::Table)
            .value(Added::NextDigestAt, 0)
            .and_where(Expr::col(Users::WeeklyDigest).eq(true))
            .to_owned();
        manager.execute(fill).await?;
        let with_owner = flag(Added::DeletedWithOwner).default(false).take();
        manager.alter_table(Table::alter().table(Projects::Table).add_column(with_owner).to_owned()).await?;
        manager.create_index(sparse("users_deleted", Users::Table, Added::DeletedAt)).await?;
        manager.create_index(sparse("users_digest", Users::Table, Added::NextDigestAt)).await?;
        manager.create_index(sparse("projects_deleted", Projects::Table, Added::DeletedAt)).await?;
        manager.create_index(by_end("sessions_by_expiry", Sessions::Table, Sessions::ExpiresAt)).await?;
        manager
            .create_index(by_end("refresh_tokens_by_expiry", RefreshTokens::Table, RefreshTokens::ExpiresAt))
            .await?;
        create_mail_tokens(manager).await?;
        create_api_tokens(manager).await?;
        rewrite_tasks(manager, Creator::MayBeGone).await?;
        manager.create_index(sparse("tasks_deleted", Tasks::Table, Tasks::DeletedAt)).await?;
        manager.create_index(sparse("tasks_by_creator", Tasks::Table, Tasks::CreatedBy)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["tasks_deleted", "tasks_by_creator"] {
            manager.drop_index(Index::drop().name(name).table(Tasks::Table).to_owned()).await?;
        }
        rewrite_tasks(manager, Creator::Stays).await?;
        manager.drop_table(Table::drop().table(ApiTokens::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(MailTokens::Table).to_owned()).await?;
        manager
            .drop_index(Index::drop().name("refresh_tokens_by_expiry").table(RefreshTokens::Table).to_owned())
            .await?;
        manager.drop_index(Index::drop().name("sessions_by_expiry").table(Sessions::Table).to_owned()).await?;
        manager.drop_index(Index::drop().name("projects_deleted").table(Projects::Table).to_owned()).await?;
        for name in ["users_deleted", "users_digest"] {
            manager.drop_index(Index::drop().name(name).table(Users::Table).to_owned()).await?;
        }
        let drop = Table::alter().table(Projects::Table).drop_column(Added::DeletedWithOwner).to_owned();
        manager.alter_table(drop).await?;
        for column in [Added::NextDigestAt, Added::DeletedAt] {
            manager.alter_table(Table::alter().table(Users::Table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

/// An index over a column that is null in most rows.
fn sparse(name: &str, table: impl IntoTableRef, column: impl IntoIden) -> IndexCreateStatement {
    let column = column.into_iden();
    Index::create().name(name).table(table).col(column.clone()).and_where(Expr::col(column).is_not_null()).to_owned()
}

/// An index by which what has ended is found.
fn by_end(name: &str, table: impl IntoTableRef, column: impl IntoIden) -> IndexCreateStatement {
    Index::create().name(name).table(table).col(column).to_owned()
}

/// Tokens that were sent by mail; only their hashes are kept.
async fn create_mail_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(MailTokens::Table)
                .col(bytes(MailTokens::Hash).primary_key())
                .col(id(MailTokens::UserId))
                .col(text(MailTokens::Purpose).check(Expr::col(MailTokens::Purpose).is_in(["verification", "reset"])))
                .col(time(MailTokens::ExpiresAt))
                .foreign_key(
                    ForeignKey::create()
                        .name("mail_tokens_user")
                        .from(MailTokens::Table, MailTokens::UserId)
                        .to(Users::Table, Users::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
    let by_user =
        Index::create().name("mail_tokens_by_user").table(MailTokens::Table).col(MailTokens::UserId).to_owned();
    manager.create_index(by_user).await?;
    manager.create_index(by_end("mail_tokens_by_expiry", MailTokens::Table, MailTokens::ExpiresAt)).await
}

async fn create_api_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(ApiTokens::Table)
                .col(id(ApiTokens::Id).primary_key())
                .col(id(ApiTokens::UserId))
                .col(bytes(ApiTokens::Hash).unique_key())
                .col(text(ApiTokens::Name))
                .col(flag(ApiTokens::CanRead))
                .col(flag(ApiTokens::CanWrite))
                .col(optional_time(ApiTokens::ExpiresAt))
                .col(optional_time(ApiTokens::LastUsedAt))
                .col(optional_time(ApiTokens::RevokedAt))
                .col(time(ApiTokens::CreatedAt))
                .foreign_key(
                    ForeignKey::create()
                        .name("api_tokens_user")
                        .from(ApiTokens::Table, ApiTokens::UserId)
                        .to(Users::Table, Users::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
    let by_user = Index::create()
        .name("api_tokens_by_user")
        .table(ApiTokens::Table)
        .col(ApiTokens::UserId)
        .col(ApiTokens::CreatedAt)
        .to_owned();
    manager.create_index(by_user).await?;
    manager.create_index(sparse("api_tokens_expiring", ApiTokens::Table, ApiTokens::ExpiresAt)).await?;
    manager.create_index(sparse("api_tokens_revoked", ApiTokens::Table, ApiTokens::RevokedAt)).await
}

/// Changes what becomes of a task when who made it is gone.
async fn rewrite_tasks(manager: &SchemaManager<'_>, creator: Creator) -> Result<(), DbErr> {
    if matches!(creator, Creator::Stays) {
        // There is no account to name any more; that of the owner of the project comes nearest.
        let owner = Query::select()
            .column(Projects::OwnerId)
            .from(Projects::Table)
            .and_where(Expr::col((Projects::Table, Projects::Id)).equals((Tasks::Table, Tasks::ProjectId)))
            .to_owned();
        let fill = Query::update()
            .table(Tasks::Table)
            .value(Tasks::CreatedBy, Expr::SubQuery(None, Box::new(owner.into())))
            .and_where(Expr::col(Tasks::CreatedBy).is_null())
            .to_owned();
        manager.execute(fill).await?;
    }
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        let mut column = ColumnDef::new(Tasks::CreatedBy).uuid().take();
        let mut key = TableForeignKey::new();
        key.name("tasks_creator")
            .from_tbl(Tasks::Table)
            .from_col(Tasks::CreatedBy)
            .to_tbl(Users::Table)
            .to_col(Users::Id);
        match creator {
            Creator::Stays => column.not_null(),
            Creator::MayBeGone => column.null(),
        };
        if matches!(creator, Creator::MayBeGone) {
            key.on_delete(ForeignKeyAction::SetNull);
        }
        let drop = Table::alter().table(Tasks::Table).drop_foreign_key("tasks_creator").to_owned();
        manager.alter_table(drop).await?;
        let change = Table::alter().table(Tasks::Table).modify_column(column).add_foreign_key(&key).to_owned();
        return manager.alter_table(change).await;
    }
    // SQLite cannot change a column: https://www.sqlite.org/lang_altertable.html#otheralter
    manager.create_table(m0003_tasks::table(manager, Tasks::Rewritten, creator)).await?;
    let rows = Query::select().columns(COLUMNS).from(Tasks::Table).to_owned();
    let mut copy = Query::insert();
    copy.into_table(Tasks::Rewritten).columns(COLUMNS);
    copy.select_from(rows).map_err(|error| DbErr::Custom(error.to_string()))?;
    manager.execute(copy).await?;
    manager.drop_table(Table::drop().table(Tasks::Table).to_owned()).await?;
    manager.rename_table(Table::rename().table(Tasks::Rewritten, Tasks::Table).to_owned()).await?;
    m0003_tasks::create_indexes(manager).await?;
    manager.create_index(one_task_to_a_place()).await
}
