//! Queries for the candidates of a search: tasks that may have a word or label, found by an index.

use sea_orm::sea_query::extension::sqlite::SqliteExpr as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query, SelectStatement, UnionType};
use sea_orm::{EntityName as _, EntityTrait as _, Iterable as _, QueryTrait, Select};

use super::entities::{member, task, task_label};
use super::pagination::UNLIMITED;
use crate::contract::strings::Label;
use crate::contract::unicode::fold;
use crate::contract::{ProjectId, UserId};

/// Number of characters in an entry of the indexes of words.
const ENTRY_LENGTH: usize = 3;

/// Name of the subquery with the candidates, which has one column.
const CANDIDATES: &str = "candidates";

/// Name of the column.
const TASK_ID: &str = "task_id";

/// The tasks that are searched.
#[derive(Clone, Copy)]
pub(super) enum SearchScope {
    Project(ProjectId),
    Visible(UserId),
}

/// The index of words on SQLite, the tasks in it, and those that are not in it yet.
const TRIGRAMS: &str = "task_trigrams";
const ROWS: &str = "task_trigram_rows";
const QUEUE: &str = "task_trigram_queue";

/// Name of the index of words on PostgreSQL, which exists only if its extension can be had.
const POSTGRES_INDEX: &str = "tasks_by_trigrams";

/// Query for tasks: those of a query for candidates, or all.
pub(super) fn tasks_of(candidates: Option<SelectStatement>) -> Select<task::Entity> {
    let mut tasks = task::Entity::find();
    if let Some(candidates) = candidates {
        let is_candidate = Expr::col((task::Entity, task::Column::Id)).equals((CANDIDATES, TASK_ID));
        let mut found = Query::select();
        // SQLite keeps the order of a CROSS JOIN. A subquery with a limit is planned by itself, and so without the other
        // conditions: with old statistics, an index for one of them can seem better.
        found
            .columns(task::Column::iter().map(|column| (task::Entity, column)))
            .from_subquery(candidates, CANDIDATES)
            .cross_join(task::Entity)
            .and_where(is_candidate)
            .limit(UNLIMITED);
        QueryTrait::query(&mut tasks).from_clear().from_subquery(found, task::Entity.table_name());
    }
    tasks
}

/// Query for the tasks with a label.
pub(super) fn labelled(scope: SearchScope, label: &Label) -> SelectStatement {
    let column = |column: task_label::Column| Expr::col((task_label::Entity, column));
    let mut tasks = Query::select();
    tasks.column((task_label::Entity, task_label::Column::TaskId));
    match scope {
        SearchScope::Project(project) => {
            tasks.from(task_label::Entity).and_where(column(task_label::Column::ProjectId).eq(project.0))
        }
        SearchScope::Visible(reader) => tasks
            .from(member::Entity)
            .cross_join(task_label::Entity)
            .and_where(Expr::col((member::Entity, member::Column::UserId)).eq(reader.0))
            .and_where(column(task_label::Column::ProjectId).equals((member::Entity, member::Column::ProjectId))),
    };
    tasks.and_where(column(task_label::Column::Label).eq(&**label)).take()
}

/// Returns whether a term is long enough for an entry.
pub(super) fn has_entries(terms: &[String]) -> bool {
    terms.iter().any(|term| fold(term).chars().nth(ENTRY_LENGTH - 1).is_some())
}

/// Expression of FTS5 for texts that contain entries of all terms; `None` if no term is long enough.
fn sqlite_match(terms: &[String]) -> Option<String> {
    let mut entries = Vec::new();
    for term in terms {
        let characters: Vec<char> = fold(term).chars().collect();
        // Entries that do not overlap, except the last, are found faster and distinguish nearly as well.
        let whole = characters.chunks_exact(ENTRY_LENGTH);
        let last = characters.last_chunk::<ENTRY_LENGTH>().filter(|_| !whole.remainder().is_empty());
        entries.extend(whole.chain(last.map(<[char; ENTRY_LENGTH]>::as_slice)).map(|entry| {
            let entry: String = entry.iter().collect();
            format!("\"{}\"", entry.replace('"', "\"\""))
        }));
    }
    (!entries.is_empty()).then(|| entries.join(" AND "))
}

/// Query for the tasks whose text may contain all terms on SQLite.
pub(super) fn worded_on_sqlite(terms: &[String]) -> Option<SelectStatement> {
    let expression = sqlite_match(terms)?;
    let queued = Query::select().column((QUEUE, TASK_ID)).from(QUEUE).take();
    let mut indexed = Query::select();
    indexed
        .column((ROWS, TASK_ID))
        .from(TRIGRAMS)
        .cross_join(ROWS)
        .and_where(Expr::col((ROWS, "number")).equals((TRIGRAMS, "rowid")))
        .and_where(Expr::col(TRIGRAMS).matches(expression))
        .union(UnionType::All, queued);
    Some(indexed)
}

/// Returns whether the index of PostgreSQL has entries of a term: it ignores all but letters and digits.
fn has_entry_on_postgres(term: &str) -> bool {
    term.split(|character: char| !character.is_alphanumeric()).any(|run| run.chars().nth(ENTRY_LENGTH - 1).is_some())
}

/// Query for the tasks whose text contains the terms that have entries on PostgreSQL.
pub(super) fn worded_on_postgres(terms: &[String]) -> Option<SelectStatement> {
    let mut terms = terms.iter().map(|term| fold(term)).filter(|term| has_entry_on_postgres(term)).peekable();
    terms.peek()?;
    let mut tasks = Query::select();
    tasks.expr_as(Expr::col((task::Entity, task::Column::Id)), TASK_ID).from(task::Entity);
    for term in terms {
        let escaped = term.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        tasks.and_where(Expr::col((task::Entity, task::Column::SearchText)).like(format!("%{escaped}%")));
    }
    Some(tasks)
}

/// Number of candidates, up to one more than a bound; null if there is no index.
pub(super) fn count_up_to(mut candidates: SelectStatement, bound: u64, needs_index: bool) -> SelectStatement {
    let count = Query::select()
        .expr(Func::count(Expr::col((CANDIDATES, TASK_ID))))
        .from_subquery(candidates.limit(bound + 1).take(), CANDIDATES)
        .take();
    let count = Expr::SubQuery(None, Box::new(count.into()));
    if !needs_index {
        return Query::select().expr_as(count, "candidates").take();
    }
    let index = Func::cust("to_regclass").arg(POSTGRES_INDEX);
    let valid = Query::select()
        .expr(Expr::val(1))
        .from("pg_index")
        .and_where(Expr::col("indexrelid").eq(index))
        .and_where(Expr::col("indisvalid"))
        .take();
    let count = Expr::case(Expr::exists(valid), count).finally(Expr::null());
    Query::select().expr_as(count, "candidates").take()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use migration::{Migrator, MigratorTraitSelf as _};
    use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, QueryFilter as _, Statement};
    use tempfile::TempDir;

    use super::*;
    use crate::contract::TaskId;
    use crate::contract::ids::new_uuid;
    use crate::contract::page::{Direction, Sort};
    use crate::contract::task::query::TaskSort;
    use crate::database::repositories::SeaRepositories;
    use crate::database::sqlite::{self, Access};
    use crate::database::task_filter::{self, TaskWindow};
    use crate::repositories::{SortKey, SortValue, TaskFilter};

    const WINDOW: TaskWindow<'static> = TaskWindow {
        sort: Sort { field: TaskSort::CreatedAt, direction: Direction::Desc },
        after: None,
        offset: 0,
        limit: 21,
    };

    /// Database without rows, and with statistics of that time.
    async fn empty() -> (TempDir, SeaRepositories<DatabaseConnection>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plans.db");
        std::fs::File::create(&file).unwrap();
        let connection = sqlite::connect(&file, Access::ReadWrite, Duration::ZERO).await.unwrap();
        Migrator.up(&connection, None).await.unwrap();
        connection.execute_unprepared("ANALYZE").await.unwrap();
        (folder, SeaRepositories(connection))
    }

    impl SeaRepositories<DatabaseConnection> {
        /// The plan of a statement, without spaces at the beginning.
        async fn plan(&self, mut statement: Statement) -> String {
            statement.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
            let rows = self.0.query_all_raw(statement).await.unwrap();
            let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
            lines.join("\n")
        }
    }

    fn terms(terms: &[&str]) -> Vec<String> {
        terms.iter().map(|term| (*term).to_owned()).collect()
    }

    #[tokio::test]
    async fn sqlite_reads_the_candidates_before_their_tasks() {
        let (_folder, repositories) = empty().await;
        let (project, reader) = (ProjectId::generate(), UserId::generate());
        let filter = TaskFilter { terms: terms(&["zanzibar"]), ..TaskFilter::default() };
        let words = worded_on_sqlite(&filter.terms).unwrap();
        let words_plan = [
            "SCAN task_trigrams VIRTUAL TABLE INDEX 0:M",
            "SEARCH task_trigram_rows USING INTEGER PRIMARY KEY (rowid=?)",
            "SCAN task_trigram_queue",
        ];
        let label = Label::new_unchecked("rare");
        for (scope, candidates, expected) in [
            (SearchScope::Project(project), words.clone(), &words_plan[..]),
            (SearchScope::Visible(reader), words, &words_plan),
            (
                SearchScope::Project(project),
                labelled(SearchScope::Project(project), &label),
                &["SEARCH task_labels USING PRIMARY KEY (label=? AND project_id=?)"],
            ),
            (
                SearchScope::Visible(reader),
                labelled(SearchScope::Visible(reader), &label),
                &[
                    "SEARCH members USING COVERING INDEX members_by_user (user_id=?)",
                    "SEARCH task_labels USING PRIMARY KEY (label=? AND project_id=?)",
                ],
            ),
        ] {
            let matching = match scope {
                SearchScope::Project(id) => repositories.matching_in_project(id, &filter, Some(candidates.clone())),
                SearchScope::Visible(id) => repositories.matching_visible(id, &filter, Some(candidates.clone())),
            };
            let page = task_filter::window_stmt(matching, WINDOW).build(DbBackend::Sqlite);
            let plan = repositories.plan(page).await;
            let task = "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)";
            for line in expected.iter().chain(&[task]) {
                assert!(plan.contains(line), "{line}:\n{plan}");
            }
            assert!(!plan.contains("USING INDEX tasks_by"), "{plan}");
            let count = DbBackend::Sqlite.build(&count_up_to(candidates, 20, false));
            let plan = repositories.plan(count).await;
            assert!(plan.contains(expected[0]) && !plan.contains("SCAN tasks"), "{plan}");
        }
    }

    #[tokio::test]
    async fn the_first_rows_of_a_list_are_a_range_of_its_index() {
        let (_folder, repositories) = empty().await;
        let project = ProjectId::generate();
        let key = |number| SortKey { value: SortValue::Number(number), id: TaskId(new_uuid()) };
        let (after, end) = (key(9), key(5));
        let filter = TaskFilter { terms: terms(&["zanzibar"]), ..TaskFilter::default() };
        let near =
            repositories.matching_in_project(project, &filter, None).filter(task_filter::before_key(&end, WINDOW.sort));
        let window = TaskWindow { after: Some(&after), ..WINDOW };
        let plan = repositories.plan(task_filter::window_stmt(near, window).build(DbBackend::Sqlite)).await;
        let range = "tasks_by_creation (project_id=? AND (created_at,id)>(?,?) AND (created_at,id)<(?,?))";
        assert!(plan.contains(range) && !plan.contains("TEMP B-TREE"), "{plan}");
    }

    #[test]
    fn entries_cover_a_term_and_quotes_are_doubled() {
        for (words, expected) in [
            (&["ab", "x"][..], None),
            (&["abc"], Some(r#""abc""#)),
            (&["abcd", "e"], Some(r#""abc" AND "bcd""#)),
            (&["a\"bcdef"], Some(r#""a""b" AND "cde" AND "def""#)),
            (&["GRÖSSE", "İST"], Some(r#""grö" AND "sse" AND "ist""#)),
        ] {
            assert_eq!(sqlite_match(&terms(words)).as_deref(), expected, "{words:?}");
        }
    }

    #[test]
    fn postgres_has_entries_of_three_letters_or_digits() {
        for (term, expected) in [("abc", true), ("größe", true), ("a-b-cd", false), ("-----", false), ("x_100", true)]
        {
            assert_eq!(has_entry_on_postgres(term), expected, "{term}");
        }
    }
}
