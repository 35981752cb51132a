//! Inserting many rows.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel};

use super::SeaRepositories;
use crate::repositories::StoreError;

/// As many rows are inserted by one statement.
const AT_ONCE: usize = 20;

/// Rows in their order, as many as one statement inserts: in groups of one size and then one by one, because each size
/// is a statement that the connection keeps prepared.
pub(super) fn groups<A>(rows: &[A]) -> impl Iterator<Item = &[A]> {
    let (groups, rest) = rows.as_chunks::<AT_ONCE>();
    groups.iter().map(<[A; AT_ONCE]>::as_slice).chain(rest.chunks(1))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Inserts rows in their order.
    pub(super) async fn insert_all<A>(&self, rows: &[A]) -> Result<(), StoreError>
    where
        A: ActiveModelTrait + Clone,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        for group in groups(rows) {
            <A::Entity as EntityTrait>::insert_many(group.iter().cloned()).exec_without_returning(&self.0).await?;
        }
        Ok(())
    }
}
