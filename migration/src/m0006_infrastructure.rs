//! The job queue, idempotency keys, usage counters and the readiness probe.

use sea_orm_migration::prelude::*;

use crate::schema::{
    bytes, count, create, drop, id, index, insert, key, one_of, optional_bytes, optional_id, optional_key,
    optional_text, optional_time, owned_by, sparse_index, text, time,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_jobs(manager).await?;
        create_idempotency_keys(manager).await?;
        create_counters(manager).await?;
        create_storage_probe(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["storage_probe", "counters", "idempotency_keys", "jobs"]).await
    }
}

async fn create_jobs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_running = Expr::col("state").eq("running");
    let is_finished = Expr::col("state").is_in(["done", "dead"]);
    create(
        manager,
        Table::create()
            .table("jobs")
            .col(id("id").primary_key())
            .col(text("kind"))
            .col(key(manager, "queue").default("default"))
            .col(text("payload"))
            // The job is removed with the account.
            .col(optional_id("user_id"))
            .col(one_of("state", &["pending", "running", "done", "dead"]))
            // Time from which the job may be claimed; of a running job, the end of its lease.
            .col(time("run_at"))
            .col(count("attempts").default(0))
            .col(optional_id("lease_token"))
            // Deduplication keys: unique among pending jobs, among all jobs but completed ones, and for ever.
            .col(optional_key(manager, "pending_key").unique_key())
            .col(optional_key(manager, "unfinished_key"))
            .col(optional_key(manager, "forever_key").unique_key())
            .col(optional_text("last_error"))
            .col(time("created_at"))
            .col(optional_time("finished_at"))
            .check(is_running.eq(Expr::col("lease_token").is_not_null()))
            .check(is_finished.eq(Expr::col("finished_at").is_not_null()))
            .foreign_key(&mut owned_by("jobs_user", ("jobs", "user_id"), "users")),
        [
            index("jobs_due", "jobs", &["queue", "run_at", "id"]).and_where(Expr::col("finished_at").is_null()).take(),
            sparse_index("jobs_finished", "jobs", &["finished_at"]),
            sparse_index("jobs_by_user", "jobs", &["user_id"]),
            index("jobs_unfinished", "jobs", &["unfinished_key"]).unique().take(),
        ],
    )
    .await
}

async fn create_idempotency_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("idempotency_keys")
            .col(id("user_id"))
            .col(key(manager, "key"))
            .col(bytes("fingerprint"))
            .col(time("claimed_at"))
            // Null only within the transaction that claims the key.
            .col(optional_text("effect"))
            .col(optional_text("etag"))
            .col(optional_bytes("encrypted_body"))
            // No foreign keys: the response outlives the project and the task.
            .col(optional_id("project_id"))
            .col(optional_text("min_role"))
            .col(optional_id("task_id"))
            .primary_key(Index::create().col("user_id").col("key"))
            .check(Expr::col("project_id").is_null().eq(Expr::col("min_role").is_null()))
            .foreign_key(&mut owned_by("idempotency_keys_user", ("idempotency_keys", "user_id"), "users")),
        [index("idempotency_keys_by_age", "idempotency_keys", &["claimed_at"])],
    )
    .await
}

/// Counters of what was used within a window of time.
async fn create_counters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("counters")
            // Keyed hash of what is counted, such as the mails to an address.
            .col(bytes("key").primary_key())
            .col(count("count").check(Expr::col("count").gte(0)))
            .col(time("ends_at")),
        [index("counters_by_end", "counters", &["ends_at"])],
    )
    .await
}

/// A single row, which the readiness check updates.
async fn create_storage_probe(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("storage_probe")
            .col(count("id").primary_key().check(Expr::col("id").eq(1)))
            .col(time("checked_at")),
        [],
    )
    .await?;
    insert(manager, "storage_probe", [("id", 1), ("checked_at", 0)]).await
}
