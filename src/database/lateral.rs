//! Top-N-per-group queries with LATERAL.
//!
//! An index holds the rows of each group in order, so one step into it finds the first row of a group. The first n rows
//! of all groups are in the n groups whose first rows come first. The cost depends on the number of groups, not of rows.

use sea_orm::sea_query::{Asterisk, Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{Condition, EntityTrait, Iterable as _, JoinType};

/// Name of the subquery that selects the groups with the first rows.
const TOP: &str = "top";

/// Key of every table of SQLite: each index holds it, so it is found without a look at another one.
const ROWID: &str = "rowid";

/// Returns the query for the first `limit` rows of all groups.
///
/// `groups` selects the groups from `table`. `rows_of` selects the rows in the group of the current row of a table,
/// without columns. `sort` orders rows. SQLite has no LATERAL, but looks up each row whose key such a subquery returns.
pub(super) fn lateral_top_n<E: EntityTrait>(
    is_postgres: bool,
    (mut groups, table): (SelectStatement, &'static str),
    limit: u64,
    rows_of: impl Fn(&'static str) -> SelectStatement,
    sort: impl Fn(&mut SelectStatement),
) -> SelectStatement {
    let join_rows = |select: &mut SelectStatement, table, limit| {
        let mut rows = rows_of(table);
        sort(&mut rows);
        rows.limit(limit);
        if is_postgres {
            rows.column((E::default(), Asterisk));
            select.join_lateral(JoinType::InnerJoin, rows, E::default().table_name(), Condition::all());
        } else {
            rows.column((E::default(), ROWID));
            // SQLite keeps the order of a CROSS JOIN. Otherwise, statistics from when the table was small can lead it to
            // scan the table, with the subquery for each row.
            select.cross_join(E::default()).and_where(Expr::col((E::default(), ROWID)).in_subquery(rows));
        }
        sort(select);
    };
    join_rows(&mut groups, table, 1);
    groups.limit(limit);
    let mut select = Query::select();
    select.columns(E::Column::iter().map(|column| (E::default(), column))).from_subquery(groups, TOP);
    join_rows(&mut select, TOP, limit);
    select
}

#[cfg(test)]
mod tests {
    use sea_orm::ColumnTrait as _;
    use sea_orm::sea_query::{Order, PostgresQueryBuilder, SqliteQueryBuilder};

    use super::*;
    use crate::database::entities::{event, member};

    fn query(is_postgres: bool) -> SelectStatement {
        let groups = Query::select().column((member::Entity, member::Column::ProjectId)).from(member::Entity).take();
        let rows_of = |table| {
            let project = Expr::col((event::Entity, event::Column::ProjectId));
            Query::select()
                .from(event::Entity)
                .and_where(project.equals((table, member::Column::ProjectId)))
                .and_where(event::Column::Sequence.gt(7))
                .take()
        };
        let sort = |select: &mut SelectStatement| {
            select.order_by((event::Entity, event::Column::Sequence), Order::Asc);
        };
        lateral_top_n::<event::Entity>(is_postgres, (groups, "members"), 5, rows_of, sort)
    }

    #[test]
    fn sqlite_reads_the_groups_before_their_rows() {
        let sqlite = query(false).to_string(SqliteQueryBuilder);
        assert_eq!(sqlite.matches(r#"CROSS JOIN "events" WHERE "events"."rowid" IN (SELECT"#).count(), 2, "{sqlite}");
        assert!(!sqlite.contains("INNER JOIN"), "{sqlite}");
        let postgres = query(true).to_string(PostgresQueryBuilder);
        assert_eq!(postgres.matches("INNER JOIN LATERAL (SELECT").count(), 2, "{postgres}");
    }
}
