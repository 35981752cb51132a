//! Query plans of the reader's lists: memberships are found first, and no table is scanned.

use std::io::Write as _;

use pocket_tasks::contract::TaskId;
use pocket_tasks::contract::page::{Direction, Paging, Sort};
use pocket_tasks::contract::project::ProjectSort;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::repositories::{CursorRequest, ProjectFilter, SortKey, SortValue, Store as _, TaskFilter};

use super::fixtures::desc;
use super::plans::{Planner, SORT_ORDERS, word};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{TestDatabase, databases};

/// Join of each row of a table with the first tasks of its project, on PostgreSQL and on SQLite.
const JOINS: [(&str, &str); 2] = [
    (r#"INNER JOIN LATERAL (SELECT "tasks".*"#, r#"CROSS JOIN "tasks" ON "tasks"."rowid" IN (SELECT "tasks"."rowid""#),
    (r#") AS "tasks" ON TRUE"#, ")"),
];

/// Sort of the list of all tasks.
struct Order {
    sort: Sort<TaskSort>,
    column: &'static str,
    index: &'static str,
}

impl Order {
    fn all() -> impl Iterator<Item = Self> {
        SORT_ORDERS.into_iter().flat_map(|(field, column, index)| {
            [Direction::Asc, Direction::Desc].map(|direction| Self { sort: Sort { field, direction }, column, index })
        })
    }

    fn sign(&self) -> char {
        if self.sort.direction == Direction::Asc { '>' } else { '<' }
    }

    /// The statement for SQLite.
    fn on_sqlite(&self, beyond: bool) -> String {
        let (column, word) = (self.column, word(self.sort.direction));
        let beyond =
            if beyond { format!("AND (tasks.{column}, tasks.id) {} (?, ?)", self.sign()) } else { String::new() };
        let order = format!("ORDER BY tasks.{column} {word}, tasks.id {word}");
        let first = |of: &str| {
            format!(
                "CROSS JOIN tasks ON tasks.rowid IN (SELECT tasks.rowid FROM tasks WHERE tasks.project_id = {of}.project_id \
                 AND tasks.deleted_at IS NULL AND TRUE {beyond} {order} LIMIT ?)"
            )
        };
        let (head, top) = (first("members"), first("top"));
        format!(
            "SELECT tasks.* FROM (SELECT members.project_id FROM members INNER JOIN projects \
             ON projects.id = members.project_id {head} WHERE members.user_id = ? AND projects.deleted_at IS NULL \
             {order} LIMIT ?) AS top {top} {order} LIMIT ? OFFSET ?"
        )
    }

    /// Reads the list, and returns the statement as PostgreSQL received it.
    async fn sent(&self, database: &TestDatabase, planner: &mut Planner, beyond: bool) -> String {
        let value = match self.sort.field {
            TaskSort::Title | TaskSort::Position => SortValue::Text("b".to_owned()),
            _ => SortValue::Number(3),
        };
        let after = beyond.then(|| SortKey { value, id: TaskId::generate() });
        let walk = CursorRequest { sort: self.sort, after, limit: 20 };
        let store = database.store().await;
        store.read().task_lists().list_visible_by_cursor(planner.user.id, &TaskFilter::default(), &walk).await.unwrap();
        let (column, word) = (self.column, word(self.sort.direction));
        planner.sent(&format!(r#""top"%ORDER BY "tasks"."{column}" {word}"#)).await
    }

    /// Asserts that memberships and the tasks of each project are found by their indexes, that tasks are read in order from
    /// the start of the page, and that only the first tasks of each project are sorted.
    async fn steps_into_index(&self, planner: &mut Planner, sql: &str, beyond: bool) {
        let plan = planner.generic_plan(sql).await.replace('"', "");
        let (column, sign, index) = (self.column, self.sign(), self.index);
        let (member, task, sort) = match planner.raw {
            Raw::Sqlite(_) => {
                let member = "SEARCH members USING COVERING INDEX members_by_user (user_id=?)".to_owned();
                // Positions are unique in a project, so the unique index has the same order.
                let task = match (column, beyond) {
                    ("position", false) => "USING INDEX tasks_unique_position (project_id=?)".to_owned(),
                    ("position", true) => {
                        format!("USING INDEX tasks_unique_position (project_id=? AND position{sign}?)")
                    }
                    (_, false) => format!("USING INDEX {index} (project_id=?)"),
                    (_, true) => format!("USING INDEX {index} (project_id=? AND ({column},id){sign}(?,?))"),
                };
                (member, task, "USE TEMP B-TREE FOR ORDER BY")
            }
            Raw::Postgres(_) => {
                let beyond = if beyond { format!(" AND (ROW({column}, id) {sign} ROW($") } else { String::new() };
                // With parentheses around several conditions.
                let task = format!("(project_id = members.project_id){beyond}");
                ("using members_by_user".to_owned(), task, "Sort Key:")
            }
        };
        for (found, times) in [(&*member, 1), (&*task, 2), (index, 2), (sort, 2)] {
            let is_other = found == index && task.contains("tasks_unique_position");
            let count = plan.matches(found).count();
            assert!(is_other || count == times, "{found} {count} times:\n{sql}:\n{plan}");
        }
        reads_no_table(sql, &plan);
        for line in plan.lines().filter(|line| line.contains("Filter:")) {
            assert!(line.contains("(deleted_at IS NULL)"), "{sql}:\n{plan}");
        }
    }
}

/// Returns whether the server reports statements of this length. The server of `.ci/with-postgres` does; another server is
/// asked only where nothing may be skipped.
pub(super) async fn keeps_whole_statements(planner: &mut Planner) -> bool {
    let setting = "SELECT setting FROM pg_settings WHERE name = 'track_activity_query_size'";
    let kept: usize = planner.raw.texts(setting, "setting").await[0].parse().unwrap();
    let keeps = kept >= 8_192 || std::env::var_os("REQUIRE_POSTGRES").is_some();
    if !keeps {
        // Bypasses the output capture of the test harness.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED on PostgreSQL: plans of statements that it cuts off; set track_activity_query_size=16kB"
        );
    }
    keeps
}

fn reads_no_table(sql: &str, plan: &str) {
    for sign in ["SCAN tasks", "SCAN members", "SCAN projects", "Seq Scan", "AUTOMATIC"] {
        assert!(!plan.contains(sign), "{sql}:\n{plan}");
    }
}

async fn finds_projects_by_membership(planner: &mut Planner, sql: &str) {
    let plan = planner.generic_plan(sql).await;
    let indexes = match planner.raw {
        Raw::Sqlite(_) => ["INDEX members_by_user (user_id=?)", "INDEX sqlite_autoindex_projects_1 (id=?)"],
        Raw::Postgres(_) => ["using members_by_user on", "using projects_pkey on"],
    };
    for index in indexes {
        // For the page and for the total.
        assert_eq!(plan.matches(index).count(), 2, "{index}: {sql}:\n{plan}");
    }
    reads_no_table(sql, &plan);
}

on_both_databases! {
    async fn all_tasks_are_read_by_one_index_seek_per_project(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        if database.is_postgres() && !keeps_whole_statements(&mut planner).await {
            return;
        }
        for order in Order::all() {
            for beyond in [false, true] {
                if !database.is_postgres() {
                    // Written by hand, because SQLite does not report its statements; verified below.
                    order.steps_into_index(&mut planner, &order.on_sqlite(beyond), beyond).await;
                    continue;
                }
                let sent = order.sent(&database, &mut planner, beyond).await;
                order.steps_into_index(&mut planner, &sent, beyond).await;
                // The statement for SQLite differs only in the joins and the names of parameters.
                let sqlite = databases::sqlite().await;
                let sent = JOINS.iter().fold(sent, |sent, (postgres, sqlite)| sent.replace(postgres, sqlite));
                order.steps_into_index(&mut Planner::new(&sqlite).await, &sent, beyond).await;
                sqlite.remove().await;
            }
        }
    }

    async fn project_pages_and_totals_are_read_by_membership(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let count = "SELECT COUNT(projects.id) FROM projects INNER JOIN members ON projects.id = members.project_id \
                     AND members.user_id = ? WHERE TRUE AND projects.deleted_at IS NULL";
        let sql = format!(
            "SELECT projects.*, members.role AS member_role, ({count}) AS total FROM projects INNER JOIN members \
             ON projects.id = members.project_id AND members.user_id = ? WHERE TRUE AND projects.deleted_at IS NULL \
             ORDER BY projects.created_at DESC, projects.id DESC LIMIT ? OFFSET ?"
        );
        if !database.is_postgres() {
            finds_projects_by_membership(&mut planner, &sql).await;
            return;
        }
        if !keeps_whole_statements(&mut planner).await {
            return;
        }
        let store = database.store().await;
        let (filter, sort) = (ProjectFilter::default(), desc(ProjectSort::CreatedAt));
        let page = store.read().projects().list(planner.user.id, &filter, sort, Paging::default()).await.unwrap();
        assert_eq!((page.items.len(), page.total.count), (1, 1));
        let sent = planner.sent(r#"AS "total" FROM "projects""#).await;
        finds_projects_by_membership(&mut planner, &sent).await;
        let sqlite = databases::sqlite().await;
        finds_projects_by_membership(&mut Planner::new(&sqlite).await, &sent).await;
        sqlite.remove().await;
    }
}
