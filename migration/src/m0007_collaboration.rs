//! What people need to work together: invitations into projects, and comments on tasks.

use sea_orm_migration::prelude::*;

use crate::columns::{count, id, key, optional_id, optional_text, text, time};
use crate::m0001_users_and_sessions::Users;
use crate::m0002_projects_and_members::Projects;
use crate::m0003_tasks::Tasks;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Invitations {
    Table,
    Id,
    ProjectId,
    Email,
    Role,
    Status,
    InvitedBy,
    SettledName,
    ExpiresAt,
    CreatedAt,
}

#[derive(DeriveIden)]
enum Comments {
    Table,
    Id,
    TaskId,
    AuthorId,
    Body,
    Version,
    CreatedAt,
    UpdatedAt,
}

/// Stored answers know the task that they are about: it may go to a project in which they may not be seen.
#[derive(DeriveIden)]
enum AnswerTo {
    #[sea_orm(iden = "idempotency_keys")]
    Table,
    TaskId,
}

/// What an invitation can be, as it is stored. One that is past its end may be `pending` for a while.
const STATUSES: [&str; 5] = ["pending", "accepted", "declined", "revoked", "expired"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_invitations(manager).await?;
        create_comments(manager).await?;
        let task = optional_id(AnswerTo::TaskId);
        manager.alter_table(Table::alter().table(AnswerTo::Table).add_column(task).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table(AnswerTo::Table).drop_column(AnswerTo::TaskId).to_owned()).await?;
        manager.drop_table(Table::drop().table(Comments::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Invitations::Table).to_owned()).await
    }
}

async fn create_invitations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_pending = || Expr::col(Invitations::Status).eq("pending");
    manager
        .create_table(
            Table::create()
                .table(Invitations::Table)
                .col(id(Invitations::Id).primary_key())
                .col(id(Invitations::ProjectId))
                .col(key(manager, Invitations::Email))
                .col(text(Invitations::Role).check(Expr::col(Invitations::Role).is_in(["editor", "viewer"])))
                .col(text(Invitations::Status).check(Expr::col(Invitations::Status).is_in(STATUSES)))
                // Nobody when the account is gone.
                .col(optional_id(Invitations::InvitedBy))
                // What the project was called when it was answered: who declined or left does not learn a newer name.
                .col(optional_text(Invitations::SettledName))
                .col(time(Invitations::ExpiresAt))
                .col(time(Invitations::CreatedAt))
                .foreign_key(
                    ForeignKey::create()
                        .name("invitations_project")
                        .from(Invitations::Table, Invitations::ProjectId)
                        .to(Projects::Table, Projects::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .name("invitations_inviter")
                        .from(Invitations::Table, Invitations::InvitedBy)
                        .to(Users::Table, Users::Id)
                        .on_delete(ForeignKeyAction::SetNull),
                )
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(Invitations::Table).to_owned();
    for index in [
        index("invitations_one_pending")
            .col(Invitations::ProjectId)
            .col(Invitations::Email)
            .unique()
            .and_where(is_pending()),
        index("invitations_by_project").col(Invitations::ProjectId).col(Invitations::CreatedAt).col(Invitations::Id),
        index("invitations_by_email").col(Invitations::Email).col(Invitations::CreatedAt).col(Invitations::Id),
        index("invitations_by_end").col(Invitations::ExpiresAt).and_where(is_pending()),
        index("invitations_by_inviter")
            .col(Invitations::InvitedBy)
            .and_where(Expr::col(Invitations::InvitedBy).is_not_null()),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    Ok(())
}

async fn create_comments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager
        .create_table(
            Table::create()
                .table(Comments::Table)
                .col(id(Comments::Id).primary_key())
                .col(id(Comments::TaskId))
                // Nobody when the account is gone.
                .col(optional_id(Comments::AuthorId))
                .col(text(Comments::Body))
                .col(count(Comments::Version).check(Expr::col(Comments::Version).gte(1)))
                .col(time(Comments::CreatedAt))
                .col(time(Comments::UpdatedAt))
                .foreign_key(
                    ForeignKey::create()
                        .name("comments_task")
                        .from(Comments::Table, Comments::TaskId)
                        .to(Tasks::Table, Tasks::Id)
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    ForeignKey::create()
                        .name("comments_author")
                        .from(Comments::Table, Comments::AuthorId)
                        .to(Users::Table, Users::Id)
                        .on_delete(ForeignKeyAction::SetNull),
                )
                .to_owned(),
        )
        .await?;
    let index = |name: &str| Index::create().name(name).table(Comments::Table).to_owned();
    for index in [
        index("comments_by_task").col(Comments::TaskId).col(Comments::CreatedAt).col(Comments::Id),
        index("comments_by_author").col(Comments::AuthorId).and_where(Expr::col(Comments::AuthorId).is_not_null()),
    ] {
        manager.create_index(index.to_owned()).await?;
    }
    Ok(())
}
