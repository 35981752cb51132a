//! The event feed: one event per change, in a total order.
//!
//! `event_append` enforces the order.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult as _, Iterable as _, QueryFilter, QueryOrder,
    QueryResult, QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use super::entities::event::{Column, Entity, Model};
use super::entities::{event_sequence, member, user};
use super::lateral::lateral_top_n;
use super::pagination::order;
use super::repositories::SeaRepositories;
use super::{mapping, text_search};
use crate::contract::event::{Event, EventType};
use crate::contract::page::Direction;
use crate::contract::project::Role;
use crate::contract::{EventId, ProjectId, Timestamp, UserId};
use crate::repositories::{
    EventFilter, EventHeader, EventRange, EventRepository, FeedBounds, LongTextRepository, LongTexts, NewEvent,
    StoreError, Write, insert_long_texts, referenced_texts,
};

/// Fields of events that hold a user id.
const USER_ID_FIELDS: [&str; 5] = ["assignee_id", "author_id", "created_by", "invited_by", "owner_id"];

/// Converts a row whose references to long texts are resolved.
fn event(row: Model, texts: &LongTexts) -> Result<Event, StoreError> {
    Ok(Event {
        id: EventId(row.id),
        sequence: row.sequence,
        kind: EventType::parse(&row.kind).ok_or_else(|| mapping::corrupt("EventType"))?,
        project_id: ProjectId(row.project_id),
        actor_id: row.actor_id.map(UserId),
        occurred_at: Timestamp(row.occurred_at),
        data: insert_long_texts(row.data, texts),
        previous: row.previous.map(|previous| insert_long_texts(previous, texts)),
        request_id: row.request_id,
    })
}

/// Columns of the header of an event.
const HEADER: [Column; 4] = [Column::Sequence, Column::Id, Column::Kind, Column::ProjectId];

fn header((sequence, id, kind, project): (i64, Uuid, String, Uuid)) -> EventHeader {
    EventHeader { sequence, id: EventId(id), kind: EventType::parse(&kind), project: ProjectId(project) }
}

/// Returns a field in the form that it has in a JSON object.
fn json_field(name: &str, value: &str) -> String {
    format!("{}:{}", json!(name), json!(value))
}

/// Condition that an event is of a type that all members may see.
pub(super) fn is_for_all() -> Expr {
    Column::Kind.is_not_in(EventType::OWNER_ONLY.map(EventType::as_str))
}

/// Condition that an event is of one of the types of a filter.
pub(super) fn is_of_kind(filter: &EventFilter) -> Option<Expr> {
    let kinds = &filter.kinds;
    (!kinds.is_empty()).then(|| Column::Kind.is_in(kinds.iter().map(|kind| kind.as_str())))
}

/// Query for the matching events in the project of the current row of a table.
fn events_of(table: &'static str, filter: &EventFilter, range: EventRange) -> SelectStatement {
    let is_owner = Expr::col((table, member::Column::Role)).eq(mapping::role_str(Role::Owner));
    let mut events = Query::select();
    events
        .from(Entity)
        .and_where(Expr::col((Entity, Column::ProjectId)).equals((table, member::Column::ProjectId)))
        .cond_where(Condition::any().add(is_for_all()).add(is_owner))
        .cond_where(Condition::all().add_option(is_of_kind(filter)));
    if let Some(after) = range.after {
        events.and_where(match range.direction {
            Direction::Asc => Column::Sequence.gt(after),
            Direction::Desc => Column::Sequence.lt(after),
        });
    }
    events
}

impl<C: ConnectionTrait + Send + Sync> SeaRepositories<C> {
    /// Converts rows to events, with their long texts.
    pub(super) async fn resolve_events(&self, rows: Vec<Model>) -> Result<Vec<Event>, StoreError> {
        let hashes: BTreeSet<_> = rows
            .iter()
            .flat_map(|row| {
                let (data, previous) = (referenced_texts(&row.data), row.previous.as_deref().map(referenced_texts));
                data.into_iter().chain(previous.into_iter().flatten()).map(|hash| (ProjectId(row.project_id), hash))
            })
            .collect();
        let hashes: Vec<_> = hashes.into_iter().collect();
        // Equal hashes mean equal texts, in any project.
        let texts = LongTextRepository::list(self, &hashes).await?;
        let texts: LongTexts = texts.into_iter().map(|((_, hash), text)| (hash, text)).collect();
        rows.into_iter().map(|row| event(row, &texts)).collect()
    }
}

impl<C: ConnectionTrait> SeaRepositories<C> {
    /// Reads columns of the events visible to a reader, in order.
    async fn visible_rows(
        &self,
        reader: UserId,
        filter: &EventFilter,
        range: EventRange,
        columns: impl IntoIterator<Item = Column>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let columns: Vec<_> = columns.into_iter().map(|column| (Entity, column)).collect();
        if let Some(mut window) = self.events_in_window(reader, filter, range).await? {
            let rows = self.0.query_all(window.statement.columns(columns.iter().copied())).await?;
            if window.is_rest || rows.len() as u64 == range.limit {
                return Ok(rows);
            }
        }
        let mut select = self.visible_events(reader, filter, range);
        Ok(self.0.query_all(select.clear_selects().columns(columns)).await?)
    }

    /// Query for the events visible to a reader, in order, by project.
    fn visible_events(&self, reader: UserId, filter: &EventFilter, range: EventRange) -> SelectStatement {
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
        lateral_top_n::<Entity>(self.is_postgres(), groups, range.limit, rows_of, sort).limit(range.limit).take()
    }

    /// Removes a user from a range of events.
    pub(super) async fn anonymize_event_range(
        &self,
        user: UserId,
        email: Option<&str>,
        (after, last): (i64, i64),
    ) -> Result<(), StoreError> {
        let between = Column::Sequence.gt(after).and(Column::Sequence.lte(last));
        let about = |of: &[EventType]| Column::Kind.is_in(of.iter().map(|kind| kind.as_str()));
        let contains = |column: Column, text: &str| text_search::contains((Entity, column), text, self.is_postgres());
        let id = user.to_string();
        let members = about(&[EventType::MemberAdded, EventType::MemberUpdated, EventType::MemberRemoved]);
        let mut own = Condition::any().add(members.and(contains(Column::Data, &json_field("user_id", &id))));
        if let Some(email) = email {
            own = own.add(about(&EventType::OWNER_ONLY).and(contains(Column::Data, &json_field("email", email))));
        }
        Entity::delete_many().filter(between.clone()).filter(own).exec(&self.0).await?;
        let quoted = json!(id).to_string();
        // By field, because user text may contain the same id. Inside a JSON string a quotation mark is escaped, so it
        // never matches.
        let without = |column: Column| {
            let text = Expr::col(column);
            USER_ID_FIELDS.iter().fold(text, |text, name| {
                let null = format!("{}:null", json!(name));
                Func::cust("replace").arg(text).arg(json_field(name, &id)).arg(null).into()
            })
        };
        let is_actor = || Column::ActorId.eq(user.0);
        let actor = Expr::case(is_actor(), Expr::value(None::<Uuid>)).finally(Expr::col(Column::ActorId));
        Entity::update_many()
            .col_expr(Column::ActorId, actor.into())
            .col_expr(Column::Data, without(Column::Data))
            .col_expr(Column::Previous, without(Column::Previous))
            .filter(between)
            .filter(
                Condition::any()
                    .add(is_actor())
                    .add(contains(Column::Data, &quoted))
                    .add(contains(Column::Previous, &quoted)),
            )
            .exec(&self.0)
            .await?;
        Ok(())
    }

    /// Prunes the oldest events before a time, and records how far.
    pub(super) async fn prune_events(&self, before: i64, limit: u64) -> Result<u64, StoreError> {
        let old: Vec<i64> = Entity::find()
            .select_only()
            .column(Column::Sequence)
            .filter(Column::OccurredAt.lt(before))
            .order_by_asc(Column::OccurredAt)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        let Some(last) = old.iter().max() else { return Ok(0) };
        let pruned = Entity::delete_many()
            .filter(Column::Sequence.lte(*last))
            .filter(Column::OccurredAt.lt(before))
            .exec(&self.0)
            .await?;
        event_sequence::Entity::update_many()
            .col_expr(event_sequence::Column::PrunedThrough, Expr::value(*last))
            .filter(event_sequence::Column::PrunedThrough.lt(*last))
            .exec(&self.0)
            .await?;
        Ok(pruned.rows_affected)
    }
}

#[async_trait]
impl<C: ConnectionTrait + Send + Sync> EventRepository for SeaRepositories<C> {
    async fn write_and_append(&self, writes: &[Write<'_>], events: &[NewEvent]) -> Result<(), StoreError> {
        self.append_after(writes, events).await
    }

    async fn bounds(&self) -> Result<FeedBounds, StoreError> {
        let row = event_sequence::Entity::find_by_id(1)
            .one(&self.0)
            .await?
            .ok_or_else(|| mapping::corrupt("event_sequence"))?;
        Ok(FeedBounds { pruned_through: row.pruned_through, end: row.sequence, epoch: row.epoch })
    }

    async fn list(&self, reader: UserId, filter: &EventFilter, range: EventRange) -> Result<Vec<Event>, StoreError> {
        let rows = self.visible_rows(reader, filter, range, Column::iter()).await?;
        let rows = rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
        self.resolve_events(rows).await
    }

    async fn tail(&self, after: i64, limit: u64) -> Result<Vec<Event>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Sequence.gt(after))
            .order_by_asc(Column::Sequence)
            .limit(limit)
            .all(&self.0)
            .await?;
        self.resolve_events(rows).await
    }

    async fn list_headers(
        &self,
        reader: UserId,
        filter: &EventFilter,
        range: EventRange,
    ) -> Result<Vec<EventHeader>, StoreError> {
        let rows = self.visible_rows(reader, filter, range, HEADER).await?;
        let rows = rows.iter().map(|row| {
            let (sequence, id) = (row.try_get("", "sequence")?, row.try_get("", "id")?);
            Ok(header((sequence, id, row.try_get("", "type")?, row.try_get("", "project_id")?)))
        });
        rows.collect()
    }

    async fn tail_headers(&self, after: i64, limit: u64) -> Result<Vec<EventHeader>, StoreError> {
        let rows = Entity::find()
            .select_only()
            .columns(HEADER)
            .filter(Column::Sequence.gt(after))
            .order_by_asc(Column::Sequence)
            .limit(limit)
            .into_tuple()
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(header).collect())
    }

    async fn memberships(&self, user: UserId) -> Result<Option<Vec<(ProjectId, Role)>>, StoreError> {
        let account = user::Entity::find_by_id(user.0)
            .select_only()
            .column(user::Column::Id)
            .filter(user::Column::DeletedAt.is_null())
            .filter(user::Column::DisabledAt.is_null());
        if account.into_tuple::<Uuid>().one(&self.0).await?.is_none() {
            return Ok(None);
        }
        let members: Vec<(Uuid, String)> = member::Entity::find()
            .select_only()
            .columns([member::Column::ProjectId, member::Column::Role])
            .filter(member::Column::UserId.eq(user.0))
            .into_tuple()
            .all(&self.0)
            .await?;
        members
            .into_iter()
            .map(|(project, role)| Ok((ProjectId(project), mapping::role(&role)?)))
            .collect::<Result<_, _>>()
            .map(Some)
    }
}
