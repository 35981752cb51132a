//! Accounts.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait as _};

use super::entities::api_token;
use super::entities::user::{Column, Entity, Model};
use super::mapping;
use super::repositories::SeaRepositories;
use crate::contract::account::user::User;
use crate::contract::{ApiTokenId, Timestamp, UserId};
use crate::repositories::{Credentials, StoreError, UserFilter, UserRepository};

fn credentials(row: Model) -> Credentials {
    Credentials {
        password_hash: row.password_hash.clone(),
        deleted_at: row.deleted_at.map(Timestamp),
        disabled_at: row.disabled_at.map(Timestamp),
        next_digest_at: row.next_digest_at.map(Timestamp),
        user: mapping::user(row),
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> UserRepository for SeaRepositories<C> {
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(Entity::find_by_id(id.0).one(&self.0).await?.map(mapping::user))
    }

    async fn lock(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        // Without conflicting with foreign keys: a creator of a task may hold what this waits for.
        let user = Entity::find_by_id(id.0).lock(LockType::NoKeyUpdate).one(&self.0).await?;
        Ok(user.map(credentials))
    }

    async fn find_credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        Ok(Entity::find_by_id(id.0).one(&self.0).await?.map(credentials))
    }

    async fn find_credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        Ok(Entity::find().filter(Column::Email.eq(email)).one(&self.0).await?.map(credentials))
    }

    async fn list(&self, filter: UserFilter, limit: u64) -> Result<Vec<Credentials>, StoreError> {
        let is_set = |column: Column, is_set: bool| if is_set { column.is_not_null() } else { column.is_null() };
        let rows = Entity::find()
            .apply_if(filter.deleted, |query, deleted| query.filter(is_set(Column::DeletedAt, deleted)))
            .apply_if(filter.disabled, |query, disabled| query.filter(is_set(Column::DisabledAt, disabled)))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(credentials).collect())
    }

    async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError> {
        let inserted = Entity::insert(mapping::new_user(user, password_hash))
            .on_conflict(OnConflict::column(Column::Email).do_nothing().to_owned())
            .exec_without_returning(&self.0)
            .await?;
        Ok(inserted == 1)
    }

    async fn set_deleted(&self, id: UserId, deleted_at: Option<Timestamp>, now: Timestamp) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::DeletedAt, Expr::value(deleted_at.map(|at| at.0)))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::value(now.0))
            .filter(Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn set_disabled(&self, id: UserId, disabled_at: Option<Timestamp>) -> Result<(), StoreError> {
        let value = Expr::value(disabled_at.map(|at| at.0));
        let update = Entity::update_many().col_expr(Column::DisabledAt, value).filter(Column::Id.eq(id.0));
        self.run_update(update).await?;
        if disabled_at.is_none() {
            return Ok(());
        }
        // Other processes refuse the API tokens by their account, but must also end the open streams.
        let tokens = api_token::Entity::find()
            .filter(api_token::Column::UserId.eq(id.0))
            .filter(api_token::Column::RevokedAt.is_null());
        let tokens = self.fetch_ids(tokens, api_token::Column::Id, ApiTokenId).await?;
        self.announce_api_tokens(&tokens).await
    }

    async fn disown(&self, id: UserId, placeholder: &str) -> Result<(), StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::Email, Expr::value(placeholder))
            // Long enough ago for every retention period.
            .col_expr(Column::DeletedAt, Expr::value(0_i64))
            .filter(Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn schedule_digest(&self, id: UserId, at: Option<Timestamp>) -> Result<(), StoreError> {
        let next = Expr::value(at.map(|at| at.0));
        let update = Entity::update_many().col_expr(Column::NextDigestAt, next).filter(Column::Id.eq(id.0));
        self.run_update(update).await
    }

    async fn list_due_digests(&self, now: Timestamp, limit: u64) -> Result<Vec<(User, Timestamp)>, StoreError> {
        let due = Entity::find()
            .filter(Column::NextDigestAt.lte(now.0))
            .order_by_asc(Column::NextDigestAt)
            .order_by_asc(Column::Id)
            .limit(limit)
            .lock(LockType::NoKeyUpdate);
        let rows = due.all(&self.0).await?;
        let due = rows.into_iter().filter_map(|row| Some((row.next_digest_at.map(Timestamp)?, mapping::user(row))));
        Ok(due.map(|(at, user)| (user, at)).collect())
    }

    async fn update(&self, user: &User) -> Result<(), StoreError> {
        let update = Entity::update_many().set(mapping::user_update(user)).filter(Column::Id.eq(user.id.0));
        self.run_update(update).await
    }

    async fn renew_password_hash(&self, id: UserId, current: &str, next: &str) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::PasswordHash, Expr::value(next))
            .col_expr(Column::PasswordCost, Expr::value(mapping::password_cost(next)))
            .filter(Column::Id.eq(id.0))
            .filter(Column::PasswordHash.eq(current));
        self.update_one(update).await
    }

    async fn find_max_password_cost(&self) -> Result<Option<u32>, StoreError> {
        let highest = Entity::find().select_only().column(Column::PasswordCost).order_by_desc(Column::PasswordCost);
        let cost: Option<i64> = highest.into_tuple().one(&self.0).await?;
        Ok(cost.and_then(|cost| u32::try_from(cost).ok()))
    }

    async fn replace_password(&self, id: UserId, current: &str, next: &str, at: Timestamp) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::PasswordHash, Expr::value(next))
            .col_expr(Column::PasswordCost, Expr::value(mapping::password_cost(next)))
            .col_expr(Column::UpdatedAt, Expr::value(at.0))
            .filter(Column::Id.eq(id.0))
            .filter(Column::PasswordHash.eq(current));
        self.update_one(update).await
    }
}
