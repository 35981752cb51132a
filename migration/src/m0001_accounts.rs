//! Accounts, sessions and tokens.

use sea_orm_migration::prelude::*;

use crate::schema::{
    bytes, count, create, drop, flag, id, index, key, one_of, optional_bytes, optional_text, optional_time, owned_by,
    sparse_index, text, time, version,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_users(manager).await?;
        create_sessions(manager).await?;
        create_refresh_tokens(manager).await?;
        create_email_tokens(manager).await?;
        create_api_tokens(manager).await?;
        create_known_addresses(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop(manager, &["known_addresses", "api_tokens", "email_tokens", "refresh_tokens", "sessions", "users"]).await
    }
}

async fn create_users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("users")
            .col(id("id").primary_key())
            .col(key(manager, "email").unique_key())
            .col(text("name"))
            .col(text("password_hash"))
            // Binary logarithm of the rounds of the hash.
            .col(count("password_cost"))
            .col(text("timezone"))
            .col(flag("weekly_digest"))
            .col(flag("email_verified"))
            .col(optional_time("next_digest_at"))
            .col(optional_time("deleted_at"))
            .col(version())
            .col(time("created_at"))
            .col(time("updated_at")),
        [
            sparse_index("users_deleted", "users", &["deleted_at"]),
            sparse_index("users_digest", "users", &["next_digest_at"]),
            index("users_by_password_cost", "users", &["password_cost"]),
        ],
    )
    .await
}

async fn create_sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("sessions")
            .col(id("id").primary_key())
            .col(id("user_id"))
            .col(optional_text("user_agent"))
            .col(time("created_at"))
            .col(time("last_used_at"))
            .col(time("expires_at"))
            .col(optional_time("ended_at"))
            .foreign_key(&mut owned_by("sessions_user", ("sessions", "user_id"), "users")),
        [
            index("sessions_by_user", "sessions", &["user_id", "created_at"]),
            // Polled to learn of the sessions that other processes have ended.
            sparse_index("sessions_by_end", "sessions", &["ended_at"]),
            index("sessions_by_expiry", "sessions", &["expires_at"]),
        ],
    )
    .await
}

async fn create_refresh_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("refresh_tokens")
            .col(bytes("hash").primary_key())
            .col(id("session_id"))
            .col(time("created_at"))
            .col(time("expires_at"))
            .col(optional_time("used_at"))
            .col(optional_bytes("encrypted_successor"))
            .check(Expr::col("used_at").is_null().eq(Expr::col("encrypted_successor").is_null()))
            .foreign_key(&mut owned_by("refresh_tokens_session", ("refresh_tokens", "session_id"), "sessions")),
        [
            index("refresh_tokens_by_session", "refresh_tokens", &["session_id"]),
            index("refresh_tokens_by_expiry", "refresh_tokens", &["expires_at"]),
        ],
    )
    .await
}

async fn create_email_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("email_tokens")
            .col(bytes("hash").primary_key())
            .col(id("user_id"))
            .col(one_of("purpose", &["verification", "reset"]))
            .col(time("expires_at"))
            .foreign_key(&mut owned_by("email_tokens_user", ("email_tokens", "user_id"), "users")),
        [
            index("email_tokens_by_user", "email_tokens", &["user_id"]),
            index("email_tokens_by_expiry", "email_tokens", &["expires_at"]),
        ],
    )
    .await
}

async fn create_api_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("api_tokens")
            .col(id("id").primary_key())
            .col(id("user_id"))
            .col(bytes("hash").unique_key())
            .col(text("name"))
            .col(flag("can_read"))
            .col(flag("can_write"))
            .col(optional_time("expires_at"))
            .col(optional_time("last_used_at"))
            .col(optional_time("revoked_at"))
            .col(time("created_at"))
            .foreign_key(&mut owned_by("api_tokens_user", ("api_tokens", "user_id"), "users")),
        [
            index("api_tokens_by_user", "api_tokens", &["user_id", "created_at"]),
            sparse_index("api_tokens_expiring", "api_tokens", &["expires_at"]),
            sparse_index("api_tokens_revoked", "api_tokens", &["revoked_at"]),
        ],
    )
    .await
}

/// Networks from which the owner of an account has logged in.
async fn create_known_addresses(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    create(
        manager,
        Table::create()
            .table("known_addresses")
            .col(id("user_id"))
            // Keyed hash, so that the table does not reveal where a user lives.
            .col(bytes("address"))
            .col(time("last_login_at"))
            .primary_key(Index::create().col("user_id").col("address"))
            .foreign_key(&mut owned_by("known_addresses_user", ("known_addresses", "user_id"), "users")),
        [index("known_addresses_by_age", "known_addresses", &["last_login_at"])],
    )
    .await
}
