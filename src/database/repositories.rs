//! The type that implements every repository, and short forms of common statements.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QuerySelect, Select,
    UpdateMany,
};
use uuid::Uuid;

use crate::repositories::StoreError;

/// Number of rows per statement of a bulk insertion.
const BATCH_SIZE: usize = 20;

/// All repositories over a pool or a transaction.
pub(super) struct SeaRepositories<C>(pub(super) C);

/// Splits rows into full batches and single rows: two prepared statements.
pub(super) fn insert_chunks<A>(rows: &[A]) -> impl Iterator<Item = &[A]> {
    let (chunks, rest) = rows.as_chunks::<BATCH_SIZE>();
    chunks.iter().map(<[A; BATCH_SIZE]>::as_slice).chain(rest.chunks(1))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    pub(super) fn is_postgres(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    /// Inserts a row.
    pub(super) async fn insert_row<A>(&self, row: A) -> Result<(), StoreError>
    where
        A: ActiveModelTrait,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        <A::Entity as EntityTrait>::insert(row).exec_without_returning(&self.0).await?;
        Ok(())
    }

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

    /// Runs an update.
    pub(super) async fn run_update<E: EntityTrait>(&self, update: UpdateMany<E>) -> Result<(), StoreError> {
        update.exec(&self.0).await?;
        Ok(())
    }

    /// Runs an update, and returns whether it matched a row.
    pub(super) async fn update_one<E: EntityTrait>(&self, update: UpdateMany<E>) -> Result<bool, StoreError> {
        Ok(update.exec(&self.0).await?.rows_affected == 1)
    }

    /// Returns the ids in a column of a query.
    pub(super) async fn fetch_ids<T>(
        &self,
        query: Select<impl EntityTrait>,
        column: impl ColumnTrait,
        id: fn(Uuid) -> T,
    ) -> Result<Vec<T>, StoreError> {
        let ids = query.select_only().column(column).into_tuple::<Uuid>().all(&self.0).await?;
        Ok(ids.into_iter().map(id).collect())
    }
}
