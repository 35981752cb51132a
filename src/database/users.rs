//! Accounts.

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use super::entities::user::{Column, Entity, Model};
use super::{SeaRepositories, rows};
use crate::contract::user::User;
use crate::contract::{Timestamp, UserId};
use crate::repositories::{Credentials, StoreError, UserRepository};

fn credentials(row: Model) -> Credentials {
    let password_hash = row.password_hash.clone();
    Credentials { user: rows::user(row), password_hash }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> UserRepository for SeaRepositories<C> {
    async fn find(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(Entity::find_by_id(id.0).one(&self.0).await?.map(rows::user))
    }

    async fn lock(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(Entity::find_by_id(id.0).lock_exclusive().one(&self.0).await?.map(rows::user))
    }

    async fn find_credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        Ok(Entity::find_by_id(id.0).one(&self.0).await?.map(credentials))
    }

    async fn find_credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        Ok(Entity::find().filter(Column::Email.eq(email)).one(&self.0).await?.map(credentials))
    }

    async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError> {
        let inserted = Entity::insert(rows::new_user(user, password_hash))
            .on_conflict(OnConflict::column(Column::Email).do_nothing().to_owned())
            .exec_without_returning(&self.0)
            .await?;
        Ok(inserted == 1)
    }

    async fn update(&self, user: &User) -> Result<(), StoreError> {
        Entity::update_many().set(rows::user_changes(user)).filter(Column::Id.eq(user.id.0)).exec(&self.0).await?;
        Ok(())
    }

    async fn replace_password(&self, id: UserId, current: &str, next: &str, at: Timestamp) -> Result<bool, StoreError> {
        let result = Entity::update_many()
            .col_expr(Column::PasswordHash, Expr::value(next))
            .col_expr(Column::UpdatedAt, Expr::value(at.0))
            .filter(Column::Id.eq(id.0))
            .filter(Column::PasswordHash.eq(current))
            .exec(&self.0)
            .await?;
        Ok(result.rows_affected == 1)
    }
}
