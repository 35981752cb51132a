//! Tickets for event streams.

use sea_orm_migration::prelude::*;

use crate::schema::{bytes, create, drop, id, index, optional_id, optional_time, owned_by, text, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(
            manager,
            Table::create()
                .table("stream_tickets")
                .col(bytes("hash").primary_key())
                .col(id("user_id"))
                // One of the two credentials.
                .col(optional_id("session_id"))
                .col(optional_id("api_token_id"))
                .col(optional_time("credential_expires_at"))
                .col(optional_id("project_id"))
                .col(text("kinds"))
                .col(time("expires_at"))
                .check(Expr::col("session_id").is_null().ne(Expr::col("api_token_id").is_null()))
                .foreign_key(&mut owned_by("stream_tickets_user", ("stream_tickets", "user_id"), "users")),
            [
                index("stream_tickets_by_user", "stream_tickets", &["user_id"]),
                index("stream_tickets_by_expiry", "stream_tickets", &["expires_at"]),
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["stream_tickets"]).await
    }
}
