//! Sorted pages.

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoSimpleExpr, Order, PaginatorTrait, QueryOrder,
    QuerySelect, Select,
};

use super::repositories::SeaRepositories;
use crate::contract::page::{Direction, Page, Paging};
use crate::repositories::StoreError;

/// Returns the SQL order of a direction.
pub(super) const fn order(direction: Direction) -> Order {
    match direction {
        Direction::Asc => Order::Asc,
        Direction::Desc => Order::Desc,
    }
}

/// Sorts by a column and then by id, so that no row is on two pages.
pub(super) fn order_by<Q: QueryOrder>(
    query: Q,
    column: impl IntoSimpleExpr,
    id: impl IntoSimpleExpr,
    direction: Direction,
) -> Q {
    query.order_by(column, order(direction)).order_by(id, order(direction))
}

/// Limits a sorted query to one page.
pub(super) fn paginate<Q: QuerySelect>(sorted: Q, paging: Paging) -> Q {
    sorted.offset(paging.offset()).limit(u64::from(paging.limit))
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Returns one page of a query with the number of all matching rows.
    pub(super) async fn page<E, M, T>(
        &self,
        matching: Select<E>,
        (column, id): (E::Column, E::Column),
        direction: Direction,
        paging: Paging,
        decode: impl Fn(M) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError>
    where
        E: EntityTrait<Model: FromQueryResult + Send + Sync>,
        E::Column: ColumnTrait,
        M: FromQueryResult + Send + Sync,
    {
        let total = matching.clone().count(&self.0).await?;
        let page = paginate(order_by(matching, column, id, direction), paging);
        let rows = page.into_model::<M>().all(&self.0).await?;
        Ok(Page { items: rows.into_iter().map(decode).collect::<Result<_, _>>()?, total })
    }
}

/// Drops the extra row that was read to learn whether there are more.
pub(super) fn first_portion<T>(mut rows: Vec<T>, limit: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}
