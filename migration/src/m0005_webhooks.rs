//! Webhooks, their previous secrets, their deliveries, and the position of the fan-out.

use sea_orm_migration::prelude::*;

use crate::schema::{
    bytes, count, create, drop, flag, foreign_key, id, index, insert, key, one_of, optional_id, optional_text,
    optional_time, owned_by, sparse_index, text, time, version,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_webhooks(manager).await?;
        create_previous_secrets(manager).await?;
        create_deliveries(manager).await?;
        create_fan_out(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["webhook_fan_out", "deliveries", "previous_secrets", "webhooks"]).await
    }
}

async fn create_webhooks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let reference = |name, column, target| owned_by(name, ("webhooks", column), target);
    create(
        manager,
        Table::create()
            .table("webhooks")
            .col(id("id").primary_key())
            .col(id("user_id"))
            // Null for all projects of the user.
            .col(optional_id("project_id"))
            // API token that created or enabled the webhook, or changed its URL, last. Null if a person did.
            .col(optional_id("api_token_id"))
            .col(text("url"))
            // Event types with a comma before and after each, or `*`.
            .col(text("events"))
            .col(optional_text("description"))
            .col(flag("enabled"))
            .col(optional_text("disabled_reason"))
            .col(bytes("secret"))
            // Start of the current series of failed attempts.
            .col(optional_time("failing_since"))
            // True if the last run, tests included, failed or was slow.
            .col(flag("is_degraded").default(false))
            // Deliveries created up to this time are being cancelled.
            .col(optional_time("cancel_through"))
            // Cursor: the feed is handled through the first sequence number, and may hold events through the second.
            .col(count("feed_position"))
            .col(count("pending_through"))
            // Removed webhooks are kept until their deliveries are purged.
            .col(optional_time("removed_at"))
            .col(version())
            .col(time("created_at"))
            .col(time("updated_at"))
            .foreign_key(&mut reference("webhooks_user", "user_id", "users"))
            .foreign_key(&mut reference("webhooks_project", "project_id", "projects"))
            .foreign_key(&mut foreign_key(
                "webhooks_api_token",
                ("webhooks", "api_token_id"),
                "api_tokens",
                ForeignKeyAction::SetNull,
            )),
        [
            index("webhooks_by_user", "webhooks", &["user_id", "created_at", "id"]),
            sparse_index("webhooks_by_project", "webhooks", &["project_id"]),
            sparse_index("webhooks_by_api_token", "webhooks", &["api_token_id"]),
        ],
    )
    .await
}

async fn create_previous_secrets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("previous_secrets")
            .col(id("id").primary_key())
            .col(id("webhook_id"))
            .col(bytes("secret"))
            .col(time("valid_until"))
            .foreign_key(&mut owned_by("previous_secrets_webhook", ("previous_secrets", "webhook_id"), "webhooks")),
        [
            index("previous_secrets_by_webhook", "previous_secrets", &["webhook_id", "id"]),
            index("previous_secrets_by_expiry", "previous_secrets", &["valid_until"]),
        ],
    )
    .await
}

async fn create_deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let has_next_attempt = || Expr::col("next_attempt_at").is_not_null();
    create(
        manager,
        Table::create()
            .table("deliveries")
            .col(id("id").primary_key())
            .col(id("webhook_id"))
            // No foreign key: the event may be removed before the delivery.
            .col(id("event_id"))
            .col(key(manager, "event_type"))
            // Only for test events, which are not in the feed.
            .col(optional_text("payload"))
            .col(one_of("status", &["pending", "delivered", "failed"]))
            .col(text("attempts"))
            .col(count("attempt_count"))
            .col(optional_time("next_attempt_at"))
            .col(time("created_at"))
            .check(Expr::col("status").eq("pending").eq(has_next_attempt()))
            .foreign_key(&mut owned_by("deliveries_webhook", ("deliveries", "webhook_id"), "webhooks")),
        [
            index("deliveries_by_webhook", "deliveries", &["webhook_id", "created_at", "id"]),
            // By the time and not by the status: a generic plan does not know the status that a parameter stands for.
            index("deliveries_due", "deliveries", &["webhook_id", "next_attempt_at", "id"])
                .and_where(has_next_attempt())
                .take(),
            index("deliveries_by_time", "deliveries", &["created_at"]),
        ],
    )
    .await
}

/// A single row: the sequence number through which webhooks were told of events.
async fn create_fan_out(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("webhook_fan_out")
            .col(count("id").primary_key().check(Expr::col("id").eq(1)))
            .col(count("sequence")),
        [],
    )
    .await?;
    insert(manager, "webhook_fan_out", [("id", 1), ("sequence", 0)]).await
}
