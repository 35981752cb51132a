//! Inserting many rows.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use super::SeaRepositories;
use crate::repositories::StoreError;

/// As many rows are inserted by one statement.
const BATCH_SIZE: usize = 20;

/// Rows in their order, as many as one statement inserts: in insert_chunks of one size and then one by one, because each size
/// is a statement that the connection keeps prepared.
pub(super) fn insert_chunks<A>(rows: &[A]) -> impl Iterator<Item = &[A]> {
    let (groups, rest) = rows.as_chunks::<BATCH_SIZE>();
    groups.iter().map(<[A; BATCH_SIZE]>::as_slice).chain(rest.chunks(1))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts rows in their order.
    pub(super) async fn bulk_insert<A>(&self, rows: &[A]) -> Result<(), StoreError>
    where
        A: ActiveModelTrait + Clone,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        for group in insert_chunks(rows) {
            <A::Entity as EntityTrait>::insert_many(group.iter().cloned()).exec_without_returning(&self.0).await?;
        }
        Ok(())
    }
}
