//! The events of all projects of a reader, in the order of the feed, without reading all of them: by the same steps as
//! the tasks in `visible_tasks`.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, Iterable, JoinType};

use super::entities::event::{Column, Entity};
use super::entities::member;
use super::pagination::order;
use super::{SeaRepositories, mapping};
use crate::contract::UserId;
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::repositories::{EventFilter, EventRange};

/// The few projects that have the first events.
const TOP: &str = "top";

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// The events that a reader may see, in the order of the walk.
    pub(super) fn visible_events(&self, reader: UserId, filter: &EventFilter, walk: EventRange) -> SelectStatement {
        let of = |projects: &str, limit| top_rows(projects, filter, walk, limit);
        let sorted = |select: &mut SelectStatement| {
            select.order_by((Entity, Column::Sequence), order(walk.direction)).limit(walk.limit).take()
        };

        let mut top = Query::select();
        top.columns([member::Column::ProjectId, member::Column::Role].map(|column| (member::Entity, column)))
            .from(member::Entity)
            .and_where(member::Column::UserId.eq(reader.0));
        if let Some(project) = filter.project {
            top.and_where(Expr::col((member::Entity, member::Column::ProjectId)).eq(project.0));
        }
        self.join_events(&mut top, of("members", 1));

        let mut events = Query::select();
        events.columns(Column::iter().map(|column| (Entity, column))).from_subquery(sorted(&mut top), TOP);
        self.join_events(&mut events, of(TOP, walk.limit));
        sorted(&mut events)
    }

    /// Joins each row of a table with the first events of its project.
    fn join_events(&self, select: &mut SelectStatement, mut first: SelectStatement) {
        if self.is_postgres() {
            first.column((Entity, Asterisk));
            select.join_lateral(JoinType::InnerJoin, first, "events", Condition::all());
            return;
        }
        // SQLite knows no LATERAL, but looks up each of the numbers that such a query gives.
        first.column((Entity, Column::Sequence));
        select.inner_join(Entity, Expr::col((Entity, Column::Sequence)).in_subquery(first));
    }
}

/// The first events that match in the project of each row of a table.
fn top_rows(projects: &str, filter: &EventFilter, walk: EventRange, limit: u64) -> SelectStatement {
    let owner = Expr::col((projects.to_owned(), member::Column::Role)).eq(mapping::role_str(Role::Owner));
    let for_all = Column::Kind.is_not_in(EventType::OWNER_ONLY.map(EventType::as_str));
    let mut events = Query::select();
    events
        .from(Entity)
        .and_where(Expr::col((Entity, Column::ProjectId)).equals((projects.to_owned(), member::Column::ProjectId)))
        .cond_where(Condition::any().add(for_all).add(owner));
    if !filter.kinds.is_empty() {
        events.and_where(Column::Kind.is_in(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(place) = walk.after {
        events.and_where(match walk.direction {
            Direction::Asc => Column::Sequence.gt(place),
            Direction::Desc => Column::Sequence.lt(place),
        });
    }
    events.order_by((Entity, Column::Sequence), order(walk.direction)).limit(limit).take()
}
