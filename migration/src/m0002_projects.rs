//! Projects, members and invitations.

use sea_orm_migration::prelude::*;

use crate::schema::{
    count, create, drop, flag, foreign_key, id, index, key, one_of, optional_id, optional_text, optional_time,
    owned_by, sparse_index, text, time, version,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_projects(manager).await?;
        create_members(manager).await?;
        create_invitations(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["invitations", "members", "projects"]).await
    }
}

async fn create_projects(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let done = || Expr::col("task_done");
    create(
        manager,
        Table::create()
            .table("projects")
            .col(id("id").primary_key())
            .col(id("owner_id"))
            // Text of the project, its tasks and their comments, including the trash; before the long columns, so that the
            // sum over the projects of an owner reads none of them.
            .col(count("stored_bytes").default(0))
            .col(text("name"))
            .col(key(manager, "name_key"))
            .col(key(manager, "search_text"))
            .col(optional_text("description"))
            .col(optional_text("color"))
            .col(flag("archived"))
            .col(count("task_total").default(0))
            .col(count("task_done").default(0))
            .col(count("completion_percentage").default(0))
            .col(key(manager, "last_position"))
            .col(optional_time("deleted_at"))
            .col(flag("deleted_with_owner").default(false))
            .col(version())
            .col(time("created_at"))
            .col(time("updated_at"))
            .check(done().gte(0).and(Expr::col("task_total").gte(done())))
            .foreign_key(&mut foreign_key(
                "projects_owner",
                ("projects", "owner_id"),
                "users",
                ForeignKeyAction::NoAction,
            )),
        [
            index("projects_by_owner", "projects", &["owner_id"]),
            sparse_index("projects_deleted", "projects", &["deleted_at"]),
        ],
    )
    .await
}

async fn create_members(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("members")
            .col(id("project_id"))
            .col(id("user_id"))
            .col(one_of("role", &["owner", "editor", "viewer"]))
            .col(time("joined_at"))
            // True while the soft-deletion of the account is published in the project.
            .col(flag("hidden").default(false))
            .primary_key(Index::create().col("project_id").col("user_id"))
            .foreign_key(&mut owned_by("members_project", ("members", "project_id"), "projects"))
            .foreign_key(&mut foreign_key("members_user", ("members", "user_id"), "users", ForeignKeyAction::NoAction)),
        [
            index("members_by_user", "members", &["user_id", "project_id"]),
            index("members_one_owner", "members", &["project_id"])
                .unique()
                .and_where(Expr::col("role").eq("owner"))
                .take(),
        ],
    )
    .await
}

async fn create_invitations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_pending = || Expr::col("status").eq("pending");
    create(
        manager,
        Table::create()
            .table("invitations")
            .col(id("id").primary_key())
            .col(id("project_id"))
            .col(key(manager, "email"))
            .col(one_of("role", &["editor", "viewer"]))
            // An expired invitation may remain `pending` for a while.
            .col(one_of("status", &["pending", "accepted", "declined", "revoked", "expired"]))
            .col(optional_id("invited_by"))
            // Name at the time of the answer: an invitee who declined or left does not learn a newer one.
            .col(optional_text("resolved_project_name"))
            .col(time("expires_at"))
            .col(time("created_at"))
            .foreign_key(&mut owned_by("invitations_project", ("invitations", "project_id"), "projects"))
            .foreign_key(&mut foreign_key(
                "invitations_inviter",
                ("invitations", "invited_by"),
                "users",
                ForeignKeyAction::SetNull,
            )),
        [
            index("invitations_one_pending", "invitations", &["project_id", "email"])
                .unique()
                .and_where(is_pending())
                .take(),
            index("invitations_by_project", "invitations", &["project_id", "created_at", "id"]),
            index("invitations_by_email", "invitations", &["email", "created_at", "id"]),
            index("invitations_by_expiry", "invitations", &["expires_at"]).and_where(is_pending()).take(),
            sparse_index("invitations_by_inviter", "invitations", &["invited_by"]),
        ],
    )
    .await
}
