//! The events of all projects of a reader.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{ColumnTrait as _, Condition, ConnectionTrait};

use super::entities::event::{Column, Entity};
use super::entities::member;
use super::lateral::lateral_top_n;
use super::mapping;
use super::pagination::order;
use super::repositories::SeaRepositories;
use crate::contract::UserId;
use crate::contract::event::EventType;
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::repositories::{EventFilter, EventRange};

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Query for the events visible to a reader, in order.
    pub(super) fn visible_events(&self, reader: UserId, filter: &EventFilter, range: EventRange) -> SelectStatement {
        let mut memberships = Query::select();
        memberships
            .columns([member::Column::ProjectId, member::Column::Role].map(|column| (member::Entity, column)))
            .from(member::Entity)
            .and_where(member::Column::UserId.eq(reader.0));
        if let Some(project) = filter.project {
            memberships.and_where(Expr::col((member::Entity, member::Column::ProjectId)).eq(project.0));
        }
        let rows_of = |table| events_of(table, filter, range);
        let sort = |select: &mut SelectStatement| {
            select.order_by((Entity, Column::Sequence), order(range.direction));
        };
        let groups = (memberships, "members");
        lateral_top_n::<Entity>(self.is_postgres(), groups, Column::Sequence, range.limit, rows_of, sort)
            .limit(range.limit)
            .take()
    }
}

/// Query for the matching events in the project of the current row of a table.
fn events_of(table: &'static str, filter: &EventFilter, range: EventRange) -> SelectStatement {
    let is_owner = Expr::col((table, member::Column::Role)).eq(mapping::role_str(Role::Owner));
    let is_for_all = Column::Kind.is_not_in(EventType::OWNER_ONLY.map(EventType::as_str));
    let mut events = Query::select();
    events
        .from(Entity)
        .and_where(Expr::col((Entity, Column::ProjectId)).equals((table, member::Column::ProjectId)))
        .cond_where(Condition::any().add(is_for_all).add(is_owner));
    if !filter.kinds.is_empty() {
        events.and_where(Column::Kind.is_in(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(after) = range.after {
        events.and_where(match range.direction {
            Direction::Asc => Column::Sequence.gt(after),
            Direction::Desc => Column::Sequence.lt(after),
        });
    }
    events
}
