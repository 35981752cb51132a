//! The audit log.

use sea_orm_migration::prelude::*;

use crate::schema::{
    count, create, drop, id, index, optional_id, optional_key, optional_text, sparse_index, text, time,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_audit_entries(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["audit_entries"]).await
    }
}

async fn create_audit_entries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("audit_entries")
            .col(id("id").primary_key())
            // No foreign keys: their checks would lock accounts, and sessions, tokens and projects are removed earlier.
            // Account whose log has the entry. Null for logins with an unknown address.
            .col(optional_id("user_id"))
            .col(text("type"))
            .col(optional_id("actor_id"))
            .col(optional_id("session_id"))
            .col(optional_id("api_token_id"))
            .col(optional_text("client_address"))
            .col(optional_text("user_agent"))
            .col(optional_text("request_id"))
            .col(optional_id("target_id"))
            .col(optional_id("project_id"))
            .col(optional_text("role"))
            .col(count("count").default(1).check(Expr::col("count").gte(1)))
            // Entries with the same key are one row with a count.
            .col(optional_key(manager, "repeat_key").unique_key())
            .col(time("created_at"))
            .col(time("last_at")),
        [
            index("audit_entries_by_user", "audit_entries", &["user_id", "created_at", "id"]),
            index("audit_entries_by_time", "audit_entries", &["created_at", "id"]),
            sparse_index("audit_entries_by_actor", "audit_entries", &["actor_id"]),
            sparse_index("audit_entries_by_target", "audit_entries", &["target_id"]),
        ],
    )
    .await
}
