//! Projects, and who may do what in them.

use sea_orm_migration::prelude::*;

use crate::columns::{count, flag, id, key, optional_text, optional_time, text, time};
use crate::m0001_users_and_sessions::Users;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
pub(crate) enum Projects {
    Table,
    Id,
    OwnerId,
    Name,
    NameKey,
    SearchText,
    Description,
    Color,
    Archived,
    TaskTotal,
    TaskDone,
    LastPosition,
    DeletedAt,
    Version,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Members {
    Table,
    ProjectId,
    UserId,
    Role,
    JoinedAt,
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
                    .table(Projects::Table)
                    .col(id(Projects::Id).primary_key())
                    .col(id(Projects::OwnerId))
                    .col(text(Projects::Name))
                    .col(key(manager, Projects::NameKey))
                    .col(key(manager, Projects::SearchText))
                    .col(optional_text(Projects::Description))
                    .col(optional_text(Projects::Color))
                    .col(flag(Projects::Archived))
                    .col(count(Projects::TaskTotal).default(0))
                    .col(count(Projects::TaskDone).default(0))
                    .col(key(manager, Projects::LastPosition))
                    .col(optional_time(Projects::DeletedAt))
                    .col(count(Projects::Version).check(Expr::col(Projects::Version).gte(1)))
                    .col(time(Projects::CreatedAt))
                    .col(time(Projects::UpdatedAt))
                    .check(
                        Expr::col(Projects::TaskDone)
                            .gte(0)
                            .and(Expr::col(Projects::TaskTotal).gte(Expr::col(Projects::TaskDone))),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("projects_owner")
                            .from(Projects::Table, Projects::OwnerId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create().name("projects_by_owner").table(Projects::Table).col(Projects::OwnerId).to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Members::Table)
                    .col(id(Members::ProjectId))
                    .col(id(Members::UserId))
                    .col(text(Members::Role).check(Expr::col(Members::Role).is_in(["owner", "editor", "viewer"])))
                    .col(time(Members::JoinedAt))
                    .primary_key(Index::create().col(Members::ProjectId).col(Members::UserId))
                    .foreign_key(
                        ForeignKey::create()
                            .name("members_project")
                            .from(Members::Table, Members::ProjectId)
                            .to(Projects::Table, Projects::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("members_user")
                            .from(Members::Table, Members::UserId)
                            .to(Users::Table, Users::Id),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("members_by_user")
                    .table(Members::Table)
                    .col(Members::UserId)
                    .col(Members::ProjectId)
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("members_one_owner")
                    .table(Members::Table)
                    .col(Members::ProjectId)
                    .unique()
                    .and_where(Expr::col(Members::Role).eq("owner"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Members::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Projects::Table).to_owned()).await
    }
}
