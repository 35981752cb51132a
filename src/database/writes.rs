//! Short forms of common writes.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, UpdateMany};

use super::repositories::SeaRepositories;
use crate::repositories::StoreError;

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts a row.
    pub(super) async fn insert_row<A>(&self, row: A) -> Result<(), StoreError>
    where
        A: ActiveModelTrait,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        <A::Entity as EntityTrait>::insert(row).exec_without_returning(&self.0).await?;
        Ok(())
    }

    /// Runs an update.
    pub(super) async fn run_update<E: EntityTrait>(&self, update: UpdateMany<E>) -> Result<(), StoreError> {
        update.exec(&self.0).await?;
        Ok(())
    }

    /// Runs an update, and returns whether it matched a row.
    pub(super) async fn update_one<E: EntityTrait>(&self, update: UpdateMany<E>) -> Result<bool, StoreError> {
        Ok(update.exec(&self.0).await?.rows_affected == 1)
    }
}
