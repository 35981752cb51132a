//! The event feed.

use sea_orm_migration::prelude::*;

use crate::schema::{bytes, count, create, drop, id, index, insert, optional_id, optional_text, text, time};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_event_sequence(manager).await?;
        create_events(manager).await?;
        create_long_texts(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["long_texts", "events", "event_sequence"]).await
    }
}

/// A single row, which a writer of events locks until its commit.
async fn create_event_sequence(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("event_sequence")
            .col(count("id").primary_key().check(Expr::col("id").eq(1)))
            // The greatest number that was assigned to an event.
            .col(count("sequence"))
            // The greatest number of an event that was pruned because of its age.
            .col(count("pruned_through")),
        [],
    )
    .await?;
    insert(manager, "event_sequence", [("id", 1), ("sequence", 0), ("pruned_through", 0)]).await
}

async fn create_events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("events")
            .col(count("sequence").primary_key())
            .col(id("id").unique_key())
            .col(text("type"))
            // No foreign keys: their checks would lock the project or the account, and appending must not wait.
            .col(id("project_id"))
            .col(optional_id("actor_id"))
            .col(time("occurred_at"))
            .col(text("data"))
            .col(optional_text("previous"))
            .col(optional_text("request_id")),
        [
            // With the type, so that a rare type is found in the index alone.
            index("events_by_project", "events", &["project_id", "sequence", "type"]),
            index("events_by_time", "events", &["occurred_at"]),
        ],
    )
    .await
}

/// Long texts of events and stored responses, each stored once per project.
async fn create_long_texts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("long_texts")
            // No foreign key, as for events.
            .col(id("project_id"))
            .col(bytes("hash"))
            .col(time("used_at"))
            .col(text("content"))
            .primary_key(Index::create().col("project_id").col("hash")),
        [index("long_texts_by_use", "long_texts", &["used_at"])],
    )
    .await
}
