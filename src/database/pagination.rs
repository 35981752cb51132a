//! Sorted pages.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoSimpleExpr, Order, QueryOrder, QuerySelect,
    QueryTrait as _, Select,
};

use super::repositories::SeaRepositories;
use crate::contract::page::{Direction, MAX_COUNTED, Page, Paging, Total};
use crate::repositories::StoreError;

/// A limit that no number of rows reaches: databases plan a subquery with a limit by itself.
pub(super) const UNLIMITED: u64 = i64::MAX.cast_unsigned();

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

/// Limits a sorted query to one page, and an extra row that shows whether there is a next one.
pub(super) fn paginate<Q: QuerySelect>(sorted: Q, paging: Paging) -> Q {
    sorted.offset(paging.offset()).limit(u64::from(paging.limit) + 1)
}

/// Query for the number of matching rows, at most one more than `max`.
pub(super) fn bounded_count<E: EntityTrait>(matching: Select<E>, max: u64) -> SelectStatement {
    let rows = matching.select_only().expr(Expr::val(1)).limit(max + 1);
    Query::select().expr(Expr::col(Asterisk).count()).from_subquery(rows.into_query(), "counted").take()
}

/// Returns the total of a bounded count.
pub(super) fn counted(count: i64) -> Total {
    Total::counted(u64::try_from(count).unwrap_or_default())
}

/// Converts the rows of a page and the extra row.
pub(super) fn page<M, T>(
    rows: Vec<M>,
    total: Total,
    paging: Paging,
    decode: impl Fn(M) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let (rows, has_more) = first_portion(rows, paging.limit.into());
    Ok(Page { items: rows.into_iter().map(decode).collect::<Result<_, _>>()?, total, has_more })
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Returns one page of a query with the number of matching rows.
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
        let sorted = paginate(order_by(matching.clone(), column, id, direction), paging);
        let rows = sorted.into_model::<M>().all(&self.0).await?;
        let (offset, read) = (paging.offset(), rows.len() as u64);
        let is_end = read <= paging.limit.into() && (offset == 0 || read > 0);
        let total = if is_end {
            Total::counted(offset + read)
        } else {
            let count = self.0.query_one(&bounded_count(matching, MAX_COUNTED)).await?;
            counted(count.map_or(Ok(0), |row| row.try_get_by_index(0))?)
        };
        page(rows, total, paging, decode)
    }
}

/// Drops the extra row that was read to learn whether there are more.
pub(super) fn first_portion<T>(mut rows: Vec<T>, limit: u64) -> (Vec<T>, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    (rows, has_more)
}
