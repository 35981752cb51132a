//! Appending to the event feed.
//!
//! Sequence numbers come from the single row of `event_sequence`, which stays locked until the commit. A sequence of the
//! database would assign them in order, but transactions commit in any order: a reader at event 8 could miss event 7.
//! The price is that PostgreSQL serializes writers from here to their commit, so events are the last write of a
//! transaction. No lock is awaited while this one is held, so it cannot be part of a deadlock.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Asterisk, CommonTableExpression, Expr, ExprTrait as _, Query, UpdateStatement, WithClause};
use sea_orm::{ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, Iterable as _};

use super::entities::event::{ActiveModel, Column, Entity};
use super::entities::event_sequence;
use super::mapping;
use super::repositories::SeaRepositories;
use super::writes::{WriteStatement, nothing_written};
use crate::contract::{ProjectId, Timestamp};
use crate::repositories::{LongTextRepository, LongTexts, NewEvent, StoreError, Write, extract_long_texts};

/// Creates a row, and collects its long texts.
fn new_row(event: &NewEvent, texts: &mut LongTexts) -> ActiveModel {
    let mut short = |json: &String| extract_long_texts(json, texts).unwrap_or_else(|| json.clone());
    ActiveModel {
        sequence: NotSet,
        id: Set(event.id.0),
        kind: Set(event.kind.as_str().to_owned()),
        project_id: Set(event.project_id.0),
        actor_id: Set(event.actor_id.map(|user| user.0)),
        occurred_at: Set(event.occurred_at.0),
        data: Set(short(&event.data)),
        previous: Set(event.previous.as_ref().map(short)),
        request_id: Set(event.request_id.clone()),
    }
}

/// Statement that reserves sequence numbers, and returns the last one.
fn reserve_sequence_stmt(count: i64) -> UpdateStatement {
    Query::update()
        .table(event_sequence::Entity)
        .value(event_sequence::Column::Sequence, Expr::col(event_sequence::Column::Sequence).add(count))
        .and_where(event_sequence::Column::Id.eq(1))
        .returning_col(event_sequence::Column::Sequence)
        .take()
}

impl<C: ConnectionTrait + Send + Sync> SeaRepositories<C> {
    /// Runs writes, and then appends events.
    pub(super) async fn append_after(&self, writes: &[Write<'_>], events: &[NewEvent]) -> Result<(), StoreError> {
        let writes = writes.iter().map(WriteStatement::of).collect::<Result<Vec<_>, _>>()?;
        let mut rows = self.new_rows(events).await?;
        if self.is_postgres()
            && let [row] = &*rows
        {
            return self.append_single(writes, row).await;
        }
        self.run_writes(writes).await?;
        let Ok(count @ 1..) = i64::try_from(events.len()) else { return Ok(()) };
        let first = self.reserve_sequences(count).await?;
        for (sequence, row) in (first..).zip(&mut rows) {
            row.sequence = Set(sequence);
        }
        self.bulk_insert(&rows).await
    }

    /// Creates the rows of events, and adds their long texts.
    async fn new_rows(&self, events: &[NewEvent]) -> Result<Vec<ActiveModel>, StoreError> {
        let mut texts: BTreeMap<ProjectId, LongTexts> = BTreeMap::new();
        let rows = events.iter().map(|event| new_row(event, texts.entry(event.project_id).or_default())).collect();
        for (project, texts) in texts {
            let used_at = events.first().map_or(Timestamp(0), |event| event.occurred_at);
            LongTextRepository::add(self, project, &texts, used_at).await?;
        }
        Ok(rows)
    }

    /// Runs writes and appends an event with one statement, which saves round trips on PostgreSQL.
    async fn append_single(&self, writes: Vec<WriteStatement>, row: &ActiveModel) -> Result<(), StoreError> {
        const RESERVED: &str = "reserved";
        let (mut with, mut reserve) = (WithClause::new(), reserve_sequence_stmt(1));
        for (index, write) in writes.into_iter().enumerate() {
            let name = format!("write_{index}");
            // PostgreSQL runs the parts of a statement in any order, but this condition needs the result of the write.
            reserve.and_where(Expr::exists(Query::select().column(Asterisk).from(name.clone()).take()));
            with.cte(write.into_cte(name));
        }
        let mut reserved = CommonTableExpression::new();
        reserved.query(reserve).column(event_sequence::Column::Sequence).table_name(RESERVED);
        with.cte(reserved);
        let mut numbered = Query::select();
        numbered.column(event_sequence::Column::Sequence).from(RESERVED);
        let others = Column::iter().filter(|column| !matches!(column, Column::Sequence));
        for column in others.clone() {
            let value = row.get(column).into_value().ok_or_else(|| mapping::corrupt("event"))?;
            numbered.expr(Expr::value(value));
        }
        let mut insert = Query::insert();
        insert
            .into_table(Entity)
            .columns(std::iter::once(Column::Sequence).chain(others))
            .select_from(numbered)
            .map_err(|error| StoreError::Internal(Box::new(error)))?;
        let appended = self.0.execute(&insert.with(with)).await?;
        if appended.rows_affected() == 1 { Ok(()) } else { Err(nothing_written()) }
    }

    /// Reserves sequence numbers, and returns the first.
    async fn reserve_sequences(&self, count: i64) -> Result<i64, StoreError> {
        let row =
            self.0.query_one(&reserve_sequence_stmt(count)).await?.ok_or_else(|| mapping::corrupt("event_sequence"))?;
        let last: i64 = row.try_get("", "sequence")?;
        Ok(last - count + 1)
    }
}
