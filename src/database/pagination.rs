//! Lists, in the order and in the portions that their readers ask for.

use sea_orm::{IntoSimpleExpr, Order, QueryOrder, QuerySelect};

use crate::contract::page::{Direction, Paging};

/// The SQL order of a direction.
pub(super) const fn order(direction: Direction) -> Order {
    match direction {
        Direction::Asc => Order::Asc,
        Direction::Desc => Order::Desc,
    }
}

/// Sorts by a column, and by the id where that leaves the order open: or one row could be on two pages, and another on
/// none.
pub(super) fn order_by<Q: QueryOrder>(
    query: Q,
    column: impl IntoSimpleExpr,
    id: impl IntoSimpleExpr,
    direction: Direction,
) -> Q {
    query.order_by(column, order(direction)).order_by(id, order(direction))
}

/// One page of what was sorted.
pub(super) fn paginate<Q: QuerySelect>(sorted: Q, paging: Paging) -> Q {
    sorted.offset(paging.offset()).limit(u64::from(paging.limit))
}
