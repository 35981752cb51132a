//! Tasks, with an index for each way in which the tasks of a project can be sorted.

use sea_orm_migration::prelude::*;

use crate::columns::{count, id, key, optional_id, optional_text, optional_time, text, time};
use crate::m0001_users_and_sessions::Users;
use crate::m0002_projects_and_members::Projects;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden, Clone, Copy)]
pub(crate) enum Tasks {
    Table,
    /// The table that takes the place of the other, for databases that cannot change a column.
    #[sea_orm(iden = "tasks_rewritten")]
    Rewritten,
    Id,
    ProjectId,
    Title,
    TitleKey,
    SearchText,
    Description,
    Status,
    Priority,
    DueAt,
    DueKey,
    AssigneeId,
    Labels,
    Position,
    CreatedBy,
    CompletedAt,
    DeletedAt,
    Version,
    CreatedAt,
    UpdatedAt,
}

/// Each with the project in front and the id, which breaks ties, behind; those in the trash stay out.
const SORTED: [(&str, Tasks); 6] = [
    ("tasks_by_creation", Tasks::CreatedAt),
    ("tasks_by_update", Tasks::UpdatedAt),
    ("tasks_by_due", Tasks::DueKey),
    ("tasks_by_priority", Tasks::Priority),
    ("tasks_by_title", Tasks::TitleKey),
    ("tasks_by_position", Tasks::Position),
];

/// What becomes of a task when the account of who made it is removed for good.
#[derive(Clone, Copy)]
pub(crate) enum Creator {
    /// The account cannot be removed.
    Stays,
    /// The task stays, made by nobody.
    MayBeGone,
}

/// The table, under any name.
pub(crate) fn table(manager: &SchemaManager<'_>, table: Tasks, creator: Creator) -> TableCreateStatement {
    let (creator, on_delete) = match creator {
        Creator::Stays => (id(Tasks::CreatedBy), ForeignKeyAction::NoAction),
        Creator::MayBeGone => (optional_id(Tasks::CreatedBy), ForeignKeyAction::SetNull),
    };
    Table::create()
        .table(table)
        .col(id(Tasks::Id).primary_key())
        .col(id(Tasks::ProjectId))
        .col(text(Tasks::Title))
        .col(key(manager, Tasks::TitleKey))
        .col(key(manager, Tasks::SearchText))
        .col(optional_text(Tasks::Description))
        .col(text(Tasks::Status).check(Expr::col(Tasks::Status).is_in(["todo", "in_progress", "done"])))
        .col(ColumnDef::new(Tasks::Priority).small_integer().not_null().check(Expr::col(Tasks::Priority).between(0, 4)))
        .col(optional_time(Tasks::DueAt))
        // The due time, or what is later than any: so that "no due time" sorts alike on every database.
        .col(time(Tasks::DueKey))
        .col(optional_id(Tasks::AssigneeId))
        .col(key(manager, Tasks::Labels))
        .col(key(manager, Tasks::Position))
        .col(creator)
        .col(optional_time(Tasks::CompletedAt))
        .col(optional_time(Tasks::DeletedAt))
        .col(count(Tasks::Version).check(Expr::col(Tasks::Version).gte(1)))
        .col(time(Tasks::CreatedAt))
        .col(time(Tasks::UpdatedAt))
        .check(Expr::col(Tasks::Status).eq("done").eq(Expr::col(Tasks::CompletedAt).is_not_null()))
        .foreign_key(
            ForeignKey::create()
                .name("tasks_project")
                .from(table, Tasks::ProjectId)
                .to(Projects::Table, Projects::Id)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .foreign_key(
            ForeignKey::create()
                .name("tasks_assignee")
                .from(table, Tasks::AssigneeId)
                .to(Users::Table, Users::Id)
                .on_delete(ForeignKeyAction::SetNull),
        )
        .foreign_key(
            ForeignKey::create()
                .name("tasks_creator")
                .from(table, Tasks::CreatedBy)
                .to(Users::Table, Users::Id)
                .on_delete(on_delete),
        )
        .to_owned()
}

/// The indexes that the table has had from the start.
pub(crate) async fn create_indexes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (name, column) in SORTED {
        manager
            .create_index(
                Index::create()
                    .name(name)
                    .table(Tasks::Table)
                    .col(Tasks::ProjectId)
                    .col(column)
                    .col(Tasks::Id)
                    .and_where(Expr::col(Tasks::DeletedAt).is_null())
                    .to_owned(),
            )
            .await?;
    }
    manager
        .create_index(
            Index::create()
                .name("tasks_in_trash")
                .table(Tasks::Table)
                .col(Tasks::ProjectId)
                .col(Tasks::DeletedAt)
                .and_where(Expr::col(Tasks::DeletedAt).is_not_null())
                .to_owned(),
        )
        .await?;
    manager
        .create_index(
            Index::create()
                .name("tasks_by_assignee")
                .table(Tasks::Table)
                .col(Tasks::AssigneeId)
                .col(Tasks::ProjectId)
                .and_where(Expr::col(Tasks::AssigneeId).is_not_null())
                .to_owned(),
        )
        .await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(table(manager, Tasks::Table, Creator::Stays)).await?;
        create_indexes(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Tasks::Table).to_owned()).await
    }
}
