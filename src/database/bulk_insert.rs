//! Insertion of many rows.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use super::repositories::SeaRepositories;
use crate::repositories::StoreError;

/// Number of rows per statement.
const BATCH_SIZE: usize = 20;

/// Splits rows into full batches and single rows: two prepared statements.
pub(super) fn insert_chunks<A>(rows: &[A]) -> impl Iterator<Item = &[A]> {
    let (chunks, rest) = rows.as_chunks::<BATCH_SIZE>();
    chunks.iter().map(<[A; BATCH_SIZE]>::as_slice).chain(rest.chunks(1))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts rows in order.
    pub(super) async fn bulk_insert<A>(&self, rows: &[A]) -> Result<(), StoreError>
    where
        A: ActiveModelTrait + Clone,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        for chunk in insert_chunks(rows) {
            <A::Entity as EntityTrait>::insert_many(chunk.iter().cloned()).exec_without_returning(&self.0).await?;
        }
        Ok(())
    }
}
