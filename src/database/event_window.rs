//! Events of a reader of many projects, by their sequence.
//!
//! By project, a page of events costs an index lookup per project of the reader. But a reader of many projects probably
//! sees many of the next events, so those are searched first, up to a number; and a client that follows the feed soon
//! reaches its end.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::entities::event::{Column, Entity};
use super::entities::{event_sequence, member};
use super::events::{is_for_all, is_of_kind};
use super::mapping;
use super::pagination::{bounded_count, order};
use super::repositories::SeaRepositories;
use crate::contract::UserId;
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::repositories::{EventFilter, EventRange, StoreError};

/// Number of projects that are read one by one.
const FEW_PROJECTS: u64 = 100;

/// Number of events of any project that are searched for a page.
const WINDOW_SIZE: i64 = 1_000;

/// Query for the visible events in a part of a range, in order and without columns.
pub(super) struct EventWindow {
    pub(super) statement: SelectStatement,
    /// True if the rest of the range is empty.
    pub(super) is_rest: bool,
}

/// Sequence numbers of a window.
struct Extent {
    first: i64,
    last: i64,
    is_rest: bool,
}

/// Returns the window at the beginning of a range; `None` if its beginning is unknown.
fn extent(range: EventRange, feed_end: i64) -> Option<Extent> {
    match (range.direction, range.after) {
        (Direction::Asc, Some(after)) => {
            let last = after.saturating_add(WINDOW_SIZE);
            Some(Extent { first: after.saturating_add(1), last, is_rest: last >= feed_end })
        }
        // The oldest event may have any number.
        (Direction::Asc, None) => None,
        (Direction::Desc, after) => {
            let last = after.map_or(feed_end, |after| after.saturating_sub(1));
            let first = last.saturating_sub(WINDOW_SIZE - 1);
            Some(Extent { first, last, is_rest: first <= 1 })
        }
    }
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Query for the first events of a range; `None` unless all projects of a reader with many are listed.
    pub(super) async fn events_in_window(
        &self,
        reader: UserId,
        filter: &EventFilter,
        range: EventRange,
    ) -> Result<Option<EventWindow>, StoreError> {
        if filter.project.is_some() {
            return Ok(None);
        }
        let memberships = member::Entity::find().filter(member::Column::UserId.eq(reader.0));
        let projects = Expr::SubQuery(None, Box::new(bounded_count(memberships, FEW_PROJECTS).into()));
        let feed = event_sequence::Entity::find_by_id(1).select_only().column(event_sequence::Column::Sequence);
        let feed: Option<(i64, i64)> = feed.expr_as(projects, "projects").into_tuple().one(&self.0).await?;
        let (feed_end, projects) = feed.ok_or_else(|| mapping::corrupt("event_sequence"))?;
        if u64::try_from(projects).is_ok_and(|projects| projects <= FEW_PROJECTS) {
            return Ok(None);
        }
        Ok(extent(range, feed_end).map(|extent| events_in(&extent, reader, filter, range)))
    }
}

fn events_in(extent: &Extent, reader: UserId, filter: &EventFilter, range: EventRange) -> EventWindow {
    let mut role = Query::select();
    role.column((member::Entity, member::Column::Role))
        .from(member::Entity)
        .and_where(Expr::col((member::Entity, member::Column::ProjectId)).equals((Entity, Column::ProjectId)))
        .and_where(Expr::col((member::Entity, member::Column::UserId)).eq(reader.0));
    // Not a join, so that the events are read first, in order.
    let role = Expr::SubQuery(None, Box::new(role.into()));
    let is_owner = role.clone().eq(mapping::role_str(Role::Owner));
    let mut statement = Query::select();
    statement
        .from(Entity)
        .and_where(Column::Sequence.between(extent.first, extent.last))
        .cond_where(Condition::all().add_option(is_of_kind(filter)))
        .and_where(role.is_not_null())
        .cond_where(Condition::any().add(is_for_all()).add(is_owner))
        .order_by((Entity, Column::Sequence), order(range.direction))
        .limit(range.limit);
    EventWindow { statement, is_rest: extent.is_rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(direction: Direction, after: Option<i64>, feed_end: i64) -> Option<(i64, i64, bool)> {
        let range = EventRange { after, direction, limit: 20 };
        extent(range, feed_end).map(|extent| (extent.first, extent.last, extent.is_rest))
    }

    #[test]
    fn a_window_begins_after_the_cursor_and_knows_whether_it_reaches_the_end() {
        assert_eq!(window(Direction::Asc, Some(5), 1_005), Some((6, 1_005, true)));
        assert_eq!(window(Direction::Asc, Some(5), 1_006), Some((6, 1_005, false)));
        assert_eq!(window(Direction::Asc, None, 7), None);
        assert_eq!(window(Direction::Desc, None, 1_000), Some((1, 1_000, true)));
        assert_eq!(window(Direction::Desc, None, 1_001), Some((2, 1_001, false)));
        assert_eq!(window(Direction::Desc, Some(1_002), 5_000), Some((2, 1_001, false)));
    }
}
