//! Tokens sent by e-mail, and API tokens.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, PaginatorTrait as _, QueryFilter,
    QuerySelect, RelationDef, Select,
};

use super::entities::{api_token, email_token, user};
use super::repositories::SeaRepositories;
use crate::contract::account::api_token::{ApiToken, ApiTokenSort, Scope};
use crate::contract::page::{Page, Paging, Sort};
use crate::contract::strings::ApiTokenName;
use crate::contract::{ApiTokenId, Timestamp, UserId};
use crate::repositories::{ApiTokenRecord, ApiTokenRepository, EmailTokenPurpose, EmailTokenRepository, StoreError};

/// Condition that a token is valid.
fn valid_token(hash: &[u8; 32], purpose: EmailTokenPurpose, now: Timestamp) -> Condition {
    Condition::all()
        .add(email_token::Column::Hash.eq(hash.to_vec()))
        .add(email_token::Column::Purpose.eq(<&str>::from(purpose)))
        .add(email_token::Column::ExpiresAt.gt(now.0))
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> EmailTokenRepository for SeaRepositories<C> {
    async fn add(
        &self,
        hash: &[u8; 32],
        user: UserId,
        purpose: EmailTokenPurpose,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        let new = email_token::ActiveModel {
            hash: Set(hash.to_vec()),
            user_id: Set(user.0),
            purpose: Set(<&str>::from(purpose).to_owned()),
            expires_at: Set(expires_at.0),
        };
        self.insert_row(new).await
    }

    async fn find(
        &self,
        hash: &[u8; 32],
        purpose: EmailTokenPurpose,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        let row = email_token::Entity::find().filter(valid_token(hash, purpose, now)).one(&self.0).await?;
        Ok(row.map(|row| UserId(row.user_id)))
    }

    async fn consume(
        &self,
        hash: &[u8; 32],
        purpose: EmailTokenPurpose,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        let consumed = email_token::Entity::delete_many()
            .filter(valid_token(hash, purpose, now))
            .exec_with_returning(&self.0)
            .await?;
        let Some(user) = consumed.first().map(|row| row.user_id) else { return Ok(None) };
        email_token::Entity::delete_many()
            .filter(email_token::Column::UserId.eq(user))
            .filter(email_token::Column::Purpose.eq(<&str>::from(purpose)))
            .exec(&self.0)
            .await?;
        Ok(Some(UserId(user)))
    }

    async fn revoke_all(&self, user: UserId, purpose: EmailTokenPurpose, now: Timestamp) -> Result<(), StoreError> {
        // Expired tokens are left to the pruning job, so that the two never wait for each other.
        email_token::Entity::delete_many()
            .filter(email_token::Column::UserId.eq(user.0))
            .filter(email_token::Column::Purpose.eq(<&str>::from(purpose)))
            .filter(email_token::Column::ExpiresAt.gt(now.0))
            .exec(&self.0)
            .await?;
        Ok(())
    }
}

#[derive(FromQueryResult)]
struct ApiTokenRow {
    #[sea_orm(nested)]
    token: api_token::Model,
    owner_deleted_at: Option<i64>,
    owner_disabled_at: Option<i64>,
}

fn api_token(row: api_token::Model) -> ApiToken {
    let scopes = [(row.can_read, Scope::Read), (row.can_write, Scope::Write)];
    ApiToken {
        id: ApiTokenId(row.id),
        name: ApiTokenName::new_unchecked(row.name),
        scopes: scopes.into_iter().filter(|(has, _)| *has).map(|(_, scope)| scope).collect(),
        expires_at: row.expires_at.map(Timestamp),
        last_used_at: row.last_used_at.map(Timestamp),
        created_at: Timestamp(row.created_at),
    }
}

fn owner() -> RelationDef {
    api_token::Entity::belongs_to(user::Entity).from(api_token::Column::UserId).to(user::Column::Id).into()
}

fn with_owner(query: Select<api_token::Entity>) -> Select<api_token::Entity> {
    query
        .join(JoinType::InnerJoin, owner())
        .column_as(user::Column::DeletedAt, "owner_deleted_at")
        .column_as(user::Column::DisabledAt, "owner_disabled_at")
}

fn record(row: ApiTokenRow) -> ApiTokenRecord {
    ApiTokenRecord {
        user_id: UserId(row.token.user_id),
        is_owner_active: row.owner_deleted_at.is_none() && row.owner_disabled_at.is_none(),
        revoked_at: row.token.revoked_at.map(Timestamp),
        token: api_token(row.token),
    }
}

/// API tokens of a user that were not revoked.
fn of_user(user: UserId) -> Select<api_token::Entity> {
    api_token::Entity::find()
        .filter(api_token::Column::UserId.eq(user.0))
        .filter(api_token::Column::RevokedAt.is_null())
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> ApiTokenRepository for SeaRepositories<C> {
    async fn add(&self, token: &ApiToken, user: UserId, hash: &[u8; 32]) -> Result<(), StoreError> {
        let new = api_token::ActiveModel {
            id: Set(token.id.0),
            user_id: Set(user.0),
            hash: Set(hash.to_vec()),
            name: Set(token.name.to_string()),
            can_read: Set(token.scopes.contains(&Scope::Read)),
            can_write: Set(token.scopes.contains(&Scope::Write)),
            expires_at: Set(token.expires_at.map(|time| time.0)),
            last_used_at: Set(None),
            revoked_at: Set(None),
            created_at: Set(token.created_at.0),
        };
        self.insert_row(new).await
    }

    async fn find(&self, id: ApiTokenId) -> Result<Option<ApiTokenRecord>, StoreError> {
        let query = with_owner(api_token::Entity::find_by_id(id.0));
        Ok(query.into_model::<ApiTokenRow>().one(&self.0).await?.map(record))
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiTokenRecord>, StoreError> {
        let query = with_owner(api_token::Entity::find().filter(api_token::Column::Hash.eq(hash.to_vec())));
        Ok(query.into_model::<ApiTokenRow>().one(&self.0).await?.map(record))
    }

    async fn list(&self, user: UserId, sort: Sort<ApiTokenSort>, paging: Paging) -> Result<Page<ApiToken>, StoreError> {
        let column = match sort.field {
            ApiTokenSort::CreatedAt => api_token::Column::CreatedAt,
        };
        let columns = (column, api_token::Column::Id);
        self.page(of_user(user), columns, sort.direction, paging, |row| Ok(api_token(row))).await
    }

    async fn count(&self, user: UserId, now: Timestamp) -> Result<u64, StoreError> {
        let valid =
            Condition::any().add(api_token::Column::ExpiresAt.is_null()).add(api_token::Column::ExpiresAt.gt(now.0));
        Ok(of_user(user).filter(valid).count(&self.0).await?)
    }

    async fn touch(&self, id: ApiTokenId, at: Timestamp) -> Result<(), StoreError> {
        let update = api_token::Entity::update_many()
            .col_expr(api_token::Column::LastUsedAt, Expr::value(at.0))
            .filter(api_token::Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn revoke(&self, id: ApiTokenId, at: Timestamp) -> Result<bool, StoreError> {
        let update = api_token::Entity::update_many()
            .col_expr(api_token::Column::RevokedAt, Expr::value(at.0))
            .filter(api_token::Column::Id.eq(id.0))
            .filter(api_token::Column::RevokedAt.is_null());
        let was_valid = self.update_one(update).await?;
        if was_valid {
            self.announce_api_tokens(&[id]).await?;
        }
        Ok(was_valid)
    }

    async fn revoke_all(&self, user: UserId, at: Timestamp) -> Result<Vec<ApiTokenId>, StoreError> {
        let revoked = api_token::Entity::update_many()
            .col_expr(api_token::Column::RevokedAt, Expr::value(at.0))
            .filter(api_token::Column::UserId.eq(user.0))
            .filter(api_token::Column::RevokedAt.is_null())
            .exec_with_returning(&self.0)
            .await?;
        let revoked: Vec<_> = revoked.into_iter().map(|token| ApiTokenId(token.id)).collect();
        self.announce_api_tokens(&revoked).await?;
        Ok(revoked)
    }

    async fn list_revoked(&self, since: Timestamp) -> Result<Vec<ApiTokenId>, StoreError> {
        let revoked = api_token::Entity::find().filter(api_token::Column::RevokedAt.gte(since.0));
        let mut ids = self.fetch_ids(revoked, api_token::Column::Id, ApiTokenId).await?;
        let disabled = api_token::Entity::find()
            .join(JoinType::InnerJoin, owner())
            .filter(user::Column::DisabledAt.gte(since.0))
            .filter(api_token::Column::RevokedAt.is_null());
        ids.extend(self.fetch_ids(disabled, api_token::Column::Id, ApiTokenId).await?);
        Ok(ids)
    }
}
