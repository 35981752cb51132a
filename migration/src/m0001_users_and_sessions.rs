//! Accounts, the sessions in which they are used, and the refresh tokens of these.

use sea_orm_migration::prelude::*;

use crate::columns::{bytes, count, flag, id, key, optional_bytes, optional_text, optional_time, text, time};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
pub(crate) enum Users {
    Table,
    Id,
    Email,
    Name,
    PasswordHash,
    Timezone,
    WeeklyDigest,
    EmailVerified,
    Version,
    CreatedAt,
    UpdatedAt,
}

#[derive(DeriveIden)]
pub(crate) enum Sessions {
    Table,
    Id,
    UserId,
    UserAgent,
    CreatedAt,
    LastUsedAt,
    ExpiresAt,
    EndedAt,
}

#[derive(DeriveIden)]
pub(crate) enum RefreshTokens {
    Table,
    Hash,
    SessionId,
    CreatedAt,
    ExpiresAt,
    SpentAt,
    SealedSuccessor,
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
                    .table(Users::Table)
                    .col(id(Users::Id).primary_key())
                    .col(key(manager, Users::Email).unique_key())
                    .col(text(Users::Name))
                    .col(text(Users::PasswordHash))
                    .col(text(Users::Timezone))
                    .col(flag(Users::WeeklyDigest))
                    .col(flag(Users::EmailVerified))
                    .col(count(Users::Version).check(Expr::col(Users::Version).gte(1)))
                    .col(time(Users::CreatedAt))
                    .col(time(Users::UpdatedAt))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(Sessions::Table)
                    .col(id(Sessions::Id).primary_key())
                    .col(id(Sessions::UserId))
                    .col(optional_text(Sessions::UserAgent))
                    .col(time(Sessions::CreatedAt))
                    .col(time(Sessions::LastUsedAt))
                    .col(time(Sessions::ExpiresAt))
                    .col(optional_time(Sessions::EndedAt))
                    .foreign_key(
                        ForeignKey::create()
                            .name("sessions_user")
                            .from(Sessions::Table, Sessions::UserId)
                            .to(Users::Table, Users::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("sessions_by_user")
                    .table(Sessions::Table)
                    .col(Sessions::UserId)
                    .col(Sessions::CreatedAt)
                    .to_owned(),
            )
            .await?;
        // Read at the start, and on PostgreSQL all the time, to learn of sessions that another process ended.
        manager
            .create_index(
                Index::create()
                    .name("sessions_by_end")
                    .table(Sessions::Table)
                    .col(Sessions::EndedAt)
                    .and_where(Expr::col(Sessions::EndedAt).is_not_null())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table(RefreshTokens::Table)
                    .col(bytes(RefreshTokens::Hash).primary_key())
                    .col(id(RefreshTokens::SessionId))
                    .col(time(RefreshTokens::CreatedAt))
                    .col(time(RefreshTokens::ExpiresAt))
                    .col(optional_time(RefreshTokens::SpentAt))
                    .col(optional_bytes(RefreshTokens::SealedSuccessor))
                    .check(
                        Expr::col(RefreshTokens::SpentAt)
                            .is_null()
                            .eq(Expr::col(RefreshTokens::SealedSuccessor).is_null()),
                    )
                    .foreign_key(
                        ForeignKey::create()
                            .name("refresh_tokens_session")
                            .from(RefreshTokens::Table, RefreshTokens::SessionId)
                            .to(Sessions::Table, Sessions::Id)
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("refresh_tokens_by_session")
                    .table(RefreshTokens::Table)
                    .col(RefreshTokens::SessionId)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(RefreshTokens::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Sessions::Table).to_owned()).await?;
        manager.drop_table(Table::drop().table(Users::Table).to_owned()).await
    }
}
