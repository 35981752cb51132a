//! Tasks: changes, moves, order and lists.

mod batch;
mod batch_rejections;
mod concurrency;
mod crud;
mod cursor_pagination;
mod cursor_scope;
pub(crate) mod cursors;
mod filters;
mod lists;
mod move_concurrency;
pub(crate) mod move_deadlocks;
mod move_rejections;
mod moves;
mod order;
mod order_rebalancing;
mod permissions_after_move;
mod slow_searches;
mod trash;
