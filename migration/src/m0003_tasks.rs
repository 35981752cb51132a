//! Tasks and comments.

use sea_orm_migration::prelude::*;

use crate::schema::{
    create, drop, foreign_key, id, index, key, one_of, optional_id, optional_text, optional_time, sparse_index, text,
    time, version,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Indexes for the sort orders of a project's tasks, without deleted ones.
const SORT_INDEXES: [(&str, &str); 6] = [
    ("tasks_by_creation", "created_at"),
    ("tasks_by_update", "updated_at"),
    ("tasks_by_due", "due_key"),
    ("tasks_by_priority", "priority"),
    ("tasks_by_title", "title_key"),
    ("tasks_by_position", "position"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_tasks(manager).await?;
        create_comments(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["comments", "tasks"]).await
    }
}

async fn create_tasks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let reference = |name, column, target, on_delete| foreign_key(name, ("tasks", column), target, on_delete);
    let sorted = SORT_INDEXES.map(|(name, column)| {
        index(name, "tasks", &["project_id", column, "id"]).and_where(Expr::col("deleted_at").is_null()).take()
    });
    let others = [
        // Deleted tasks keep their position, so that it is free when they are restored.
        index("tasks_unique_position", "tasks", &["project_id", "position"]).unique().take(),
        index("tasks_in_trash", "tasks", &["project_id", "deleted_at"])
            .and_where(Expr::col("deleted_at").is_not_null())
            .take(),
        sparse_index("tasks_by_assignee", "tasks", &["assignee_id", "project_id"]),
        sparse_index("tasks_by_creator", "tasks", &["created_by"]),
        sparse_index("tasks_deleted", "tasks", &["deleted_at"]),
    ];
    create(
        manager,
        Table::create()
            .table("tasks")
            .col(id("id").primary_key())
            .col(id("project_id"))
            .col(text("title"))
            .col(key(manager, "title_key"))
            .col(key(manager, "search_text"))
            .col(optional_text("description"))
            .col(one_of("status", &["todo", "in_progress", "done"]))
            .col(ColumnDef::new("priority").small_integer().not_null().check(Expr::col("priority").between(0, 4)))
            .col(optional_time("due_at"))
            // The due time, or the greatest value: a missing one sorts last on both engines.
            .col(time("due_key"))
            .col(optional_id("assignee_id"))
            .col(key(manager, "labels"))
            .col(key(manager, "position"))
            .col(optional_id("created_by"))
            .col(optional_time("completed_at"))
            .col(optional_time("deleted_at"))
            .col(version())
            .col(time("created_at"))
            .col(time("updated_at"))
            .check(Expr::col("status").eq("done").eq(Expr::col("completed_at").is_not_null()))
            .foreign_key(&mut reference("tasks_project", "project_id", "projects", ForeignKeyAction::Cascade))
            .foreign_key(&mut reference("tasks_assignee", "assignee_id", "users", ForeignKeyAction::SetNull))
            .foreign_key(&mut reference("tasks_creator", "created_by", "users", ForeignKeyAction::SetNull)),
        sorted.into_iter().chain(others),
    )
    .await
}

async fn create_comments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let reference = |name, column, target, on_delete| foreign_key(name, ("comments", column), target, on_delete);
    create(
        manager,
        Table::create()
            .table("comments")
            .col(id("id").primary_key())
            .col(id("task_id"))
            .col(optional_id("author_id"))
            .col(text("body"))
            .col(version())
            .col(time("created_at"))
            .col(time("updated_at"))
            .foreign_key(&mut reference("comments_task", "task_id", "tasks", ForeignKeyAction::Cascade))
            .foreign_key(&mut reference("comments_author", "author_id", "users", ForeignKeyAction::SetNull)),
        [
            index("comments_by_task", "comments", &["task_id", "created_at", "id"]),
            sparse_index("comments_by_author", "comments", &["author_id"]),
        ],
    )
    .await
}
