//! Networks from which the owner of an account has logged in.

use async_trait::async_trait;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::entities::known_address::{ActiveModel, Column, Entity};
use super::repositories::SeaRepositories;
use crate::contract::{Timestamp, UserId};
use crate::repositories::{AddressHash, KnownAddressRepository, StoreError};

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> KnownAddressRepository for SeaRepositories<C> {
    async fn add(&self, user: UserId, address: &AddressHash, at: Timestamp) -> Result<(), StoreError> {
        let new = ActiveModel { user_id: Set(user.0), address: Set(address.to_vec()), last_login_at: Set(at.0) };
        let renewed =
            OnConflict::columns([Column::UserId, Column::Address]).update_column(Column::LastLoginAt).to_owned();
        Entity::insert(new).on_conflict(renewed).exec_without_returning(&self.0).await?;
        Ok(())
    }

    async fn find(&self, user: UserId, address: &AddressHash) -> Result<Option<Timestamp>, StoreError> {
        let row = Entity::find_by_id((user.0, address.to_vec())).one(&self.0).await?;
        Ok(row.map(|row| Timestamp(row.last_login_at)))
    }
}
