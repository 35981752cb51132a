//! Query plans: frequent queries use indexes and avoid sorts.

use pocket_tasks::contract::TaskId;
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::page::{Direction, Sort};
use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::task::query::TaskSort;
use pocket_tasks::repositories::{CursorRequest, Queue, SortKey, SortValue, Store as _, TaskFilter};

use super::fixtures::{add_tasks, at, new_task, next_due, project, session, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::{TestDatabase, databases};

/// Sorts of tasks, each with its column and index.
pub(super) const SORT_ORDERS: [(TaskSort, &str, &str); 6] = [
    (TaskSort::CreatedAt, "created_at", "tasks_by_creation"),
    (TaskSort::UpdatedAt, "updated_at", "tasks_by_update"),
    (TaskSort::DueAt, "due_key", "tasks_by_due"),
    (TaskSort::Priority, "priority", "tasks_by_priority"),
    (TaskSort::Title, "title_key", "tasks_by_title"),
    (TaskSort::Position, "position", "tasks_by_position"),
];

/// Connection to a database with a few rows, for query plans.
pub(super) struct Planner {
    pub(super) raw: Raw,
    pub(super) user: User,
    pub(super) project: Project,
}

impl Planner {
    pub(super) async fn new(database: &TestDatabase) -> Self {
        let store = database.store().await;
        let user = user(&store).await;
        let project = project(&store, &user).await;
        session(&store, &user).await;
        add_tasks(&store, &[new_task(&project), new_task(&project)]).await;
        let mut raw = Raw::connect(database).await;
        if database.is_postgres() {
            // With small tables a full scan is always cheapest; these settings show the possible use of indexes. Bitmap scans
            // have no order.
            raw.execute("SET enable_seqscan = off; SET enable_bitmapscan = off").await;
        }
        Self { raw, user, project }
    }

    async fn plan(&mut self, sql: &str) -> String {
        let lines = match self.raw {
            Raw::Sqlite(_) => self.raw.texts(&format!("EXPLAIN QUERY PLAN {sql}"), "detail").await,
            Raw::Postgres(_) => self.raw.texts(&format!("EXPLAIN {sql}"), "QUERY PLAN").await,
        };
        lines.join("\n")
    }

    /// Statement for the next cursor page, as PostgreSQL received it.
    async fn sent_for_walk(&mut self, database: &TestDatabase, sort: Sort<TaskSort>, column: &str) -> String {
        let value = match sort.field {
            TaskSort::Title | TaskSort::Position => SortValue::Text("b".to_owned()),
            _ => SortValue::Number(3),
        };
        let walk = CursorRequest { sort, after: Some(SortKey { value, id: TaskId::generate() }), limit: 20 };
        let store = database.store().await;
        let filter = TaskFilter::default();
        let stretch =
            store.read().task_lists().list_in_project_by_cursor(self.project.id, self.user.id, &filter, &walk).await;
        assert!(stretch.unwrap().is_some());
        self.sent(&format!("ORDER BY \"tasks\".\"{column}\" {}", word(sort.direction))).await
    }

    /// Last statement with these words, as PostgreSQL received it.
    pub(super) async fn sent(&mut self, words: &str) -> String {
        let sql = format!(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND query LIKE '%{words}%' ORDER BY query_start DESC LIMIT 1"
        );
        let sent = self.raw.texts(&sql, "query").await;
        let sent = sent.into_iter().next().unwrap_or_else(|| panic!("nothing was sent with {words}"));
        // The last of 1,024 bytes terminates the text.
        assert_ne!(sent.len(), 1_023, "it is cut off; the server needs a track_activity_query_size of more than 1kB");
        sent
    }

    /// Asserts that due jobs are read from their index in order.
    async fn takes_what_is_due(&mut self, sql: &str) {
        let plan = self.generic_plan(sql).await;
        let (found, signs) = match self.raw {
            Raw::Sqlite(_) => ("SEARCH jobs USING INDEX jobs_due (queue=? AND run_at<?)", ["SCAN jobs", "TEMP B-TREE"]),
            Raw::Postgres(_) => ("Index Scan using jobs_due on jobs", ["Seq Scan", "Sort"]),
        };
        assert!(plan.contains(found), "{sql}:\n{plan}");
        for sign in signs {
            assert!(!plan.contains(sign), "{sql}:\n{plan}");
        }
    }

    /// Generic plan of a statement with parameters.
    pub(super) async fn generic_plan(&mut self, sql: &str) -> String {
        if matches!(self.raw, Raw::Sqlite(_)) {
            return self.plan(sql).await;
        }
        let parameters = vec!["NULL"; sql.matches('$').count()].join(", ");
        self.raw.execute(&format!("SET plan_cache_mode = force_generic_plan; PREPARE walk AS {sql}")).await;
        let plan = self.plan(&format!("EXECUTE walk({parameters})")).await;
        self.raw.execute("DEALLOCATE walk").await;
        plan
    }

    /// Asserts that the page starts at its position in the index, and neither sorts nor filters rows.
    async fn begins_in_index(&mut self, column: &str, index: &str, direction: Direction, sql: &str) {
        let plan = self.generic_plan(sql).await;
        let sign = if direction == Direction::Asc { '>' } else { '<' };
        let range = match (&self.raw, column) {
            // Positions are unique in a project, so the unique index has the same order, and SQLite prefers it.
            (Raw::Sqlite(_), "position") => {
                format!("USING INDEX tasks_unique_position (project_id=? AND position{sign}?)")
            }
            (Raw::Sqlite(_), _) => format!("USING INDEX {index} (project_id=? AND ({column},id){sign}(?,?))"),
            (Raw::Postgres(_), _) => format!("(ROW({column}, id) {sign} ROW($"),
        };
        // PostgreSQL quotes this column, because it is a keyword.
        let plan = plan.replace('"', "");
        let found = plan.lines().find(|line| line.contains("SEARCH") || line.contains("Index Cond:"));
        assert!(found.is_some_and(|line| line.contains(&range)), "{sql} does not go to {range}:\n{plan}");
        if matches!(self.raw, Raw::Postgres(_)) {
            assert!(
                plan.contains(&format!("Index Scan using {index} "))
                    || plan.contains(&format!("Index Scan Backward using {index} ")),
                "{sql} does not go by {index}:\n{plan}"
            );
        }
        for sign in ["SCAN ", "TEMP B-TREE", "Sort", "Seq Scan", "Filter:"] {
            assert!(!plan.contains(sign), "{sql}:\n{plan}");
        }
    }

    /// Asserts that the first job is read from the index.
    async fn goes_by_order(&mut self, sql: &str) {
        let plan = self.generic_plan(sql).await;
        assert!(plan.contains("jobs_due") && !plan.contains("TEMP B-TREE") && !plan.contains("Sort"), "{sql}:\n{plan}");
    }

    /// Asserts that the query uses one of the indexes without sorting.
    pub(super) async fn goes_by(&mut self, indexes: &[&str], sql: &str) {
        let plan = self.plan(sql).await;
        assert!(indexes.iter().any(|index| plan.contains(index)), "{sql} does not go by {indexes:?}:\n{plan}");
        for sign in ["SCAN ", "TEMP B-TREE", "Sort", "Seq Scan"] {
            assert!(!plan.contains(sign), "{sql}:\n{plan}");
        }
    }
}

pub(super) const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Asc => "ASC",
        Direction::Desc => "DESC",
    }
}

on_both_databases! {
    async fn each_sort_of_the_tasks_of_a_project_uses_an_index(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let project = planner.raw.id(planner.project.id.0);
        for (_, column, index) in SORT_ORDERS {
            // Positions are unique in a project, so the unique index has the same order.
            let indexes = if column == "position" { &[index, "tasks_unique_position"][..] } else { &[index] };
            for direction in ["ASC", "DESC"] {
                let sql = format!(
                    "SELECT * FROM tasks WHERE project_id = {project} AND deleted_at IS NULL \
                     ORDER BY {column} {direction}, id {direction} LIMIT 20 OFFSET 40"
                );
                planner.goes_by(indexes, &sql).await;
            }
        }
    }

    async fn each_cursor_page_starts_in_the_index_after_the_previous_one(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        for (field, column, index) in SORT_ORDERS {
            for direction in [Direction::Asc, Direction::Desc] {
                if !database.is_postgres() {
                    // Written by hand, because SQLite does not report its statements; verified below.
                    let (sign, word) = (if direction == Direction::Asc { '>' } else { '<' }, word(direction));
                    let sql = format!(
                        "SELECT * FROM tasks WHERE project_id = ? AND deleted_at IS NULL AND ({column}, id) {sign} (?, ?) \
                         ORDER BY {column} {word}, id {word} LIMIT ?"
                    );
                    planner.begins_in_index(column, index, direction, &sql).await;
                    continue;
                }
                let sent = planner.sent_for_walk(&database, Sort { field, direction }, column).await;
                planner.begins_in_index(column, index, direction, &sent).await;
                // The statement for SQLite differs only in the names of parameters.
                let sqlite = databases::sqlite().await;
                Planner::new(&sqlite).await.begins_in_index(column, index, direction, &sent).await;
                sqlite.remove().await;
            }
        }
    }

    async fn jobs_that_are_due_are_found_by_their_index(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        if !database.is_postgres() {
            // Written by hand, because SQLite does not report its statements; verified below.
            let sql = "WITH due AS (SELECT id FROM jobs WHERE finished_at IS NULL AND queue IN (?) AND kind IN (?, ?) AND run_at <= ? \
                       ORDER BY run_at, id LIMIT ?) UPDATE jobs SET state = ? WHERE id IN (SELECT id FROM due) RETURNING *";
            planner.takes_what_is_due(sql).await;
            let sql = "SELECT run_at FROM jobs WHERE finished_at IS NULL AND queue IN (?) AND kind IN (?, ?) \
                       ORDER BY run_at, id LIMIT ?";
            planner.goes_by_order(sql).await;
            return;
        }
        let store = database.store().await;
        let transaction = store.begin().await.unwrap();
        transaction.queue().claim(&[Queue::Mail], 4, at(0), at(1)).await.unwrap();
        let lease = planner.sent("SKIP LOCKED").await;
        drop(transaction);
        planner.takes_what_is_due(&lease).await;
        next_due(&*store, &[Queue::Mail]).await;
        let next_due = planner.sent("SELECT (SELECT \"run\\_at\" FROM").await;
        planner.goes_by_order(&next_due).await;
        // The statement for SQLite differs only in locks and the names of parameters.
        let sqlite = databases::sqlite().await;
        let mut planner = Planner::new(&sqlite).await;
        planner.takes_what_is_due(&lease.replace(" FOR UPDATE SKIP LOCKED", "")).await;
        planner.goes_by_order(&next_due).await;
        sqlite.remove().await;
    }

    async fn deleted_tasks_of_a_project_are_found_by_an_index(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let project = planner.raw.id(planner.project.id.0);
        let sql = format!("SELECT count(id) FROM tasks WHERE project_id = {project} AND deleted_at > 5");
        planner.goes_by(&["tasks_in_trash"], &sql).await;
    }

    async fn memberships_are_found_by_project_and_by_user(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let (project, user) = (planner.raw.id(planner.project.id.0), planner.raw.id(planner.user.id.0));
        let primary = ["sqlite_autoindex_members_1", "members_pkey", "members_by_user"];
        planner
            .goes_by(&primary, &format!("SELECT role FROM members WHERE project_id = {project} AND user_id = {user}"))
            .await;
        planner.goes_by(&["members_by_user"], &format!("SELECT project_id FROM members WHERE user_id = {user}")).await;
        let sql = format!(
            "SELECT p.*, m.role FROM projects p LEFT JOIN members m ON p.id = m.project_id AND m.user_id = {user} \
             WHERE p.id = {project}"
        );
        planner.goes_by(&primary, &sql).await;
    }

    async fn tokens_and_sessions_are_found_by_their_indexes(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let user = planner.raw.id(planner.user.id.0);
        let hash = if database.is_postgres() { r"'\x00'::bytea" } else { "x'00'" };
        let sql = format!(
            "SELECT t.*, s.user_id FROM refresh_tokens t JOIN sessions s ON t.session_id = s.id WHERE t.hash = {hash}"
        );
        planner.goes_by(&["sqlite_autoindex_refresh_tokens_1", "refresh_tokens_pkey"], &sql).await;
        for direction in ["ASC", "DESC"] {
            let sql = format!(
                "SELECT count(*) FROM sessions WHERE user_id = {user} AND ended_at IS NULL AND expires_at > 5 \
                 AND created_at > 0"
            );
            planner.goes_by(&["sessions_by_user"], &sql).await;
            // The id breaks the rare ties, so sorting them is cheap.
            let sql = format!("SELECT * FROM sessions WHERE user_id = {user} ORDER BY created_at {direction} LIMIT 20");
            planner.goes_by(&["sessions_by_user"], &sql).await;
        }
        planner.goes_by(&["sessions_by_end"], "SELECT id FROM sessions WHERE ended_at >= 5").await;
    }

    async fn accounts_are_found_by_their_address(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let indexes = ["sqlite_autoindex_users_2", "users_email_key"];
        planner.goes_by(&indexes, "SELECT * FROM users WHERE email = 'ada@example.com'").await;
    }
}
