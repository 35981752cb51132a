//! The databases find what is often asked for by an index, and do not sort what an index has in order.

use pocket_tasks::contract::project::Project;
use pocket_tasks::contract::user::User;

use super::fixtures::{add_tasks, new_task, project, session, user};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// A database with a little in it, and its connection.
struct Planner {
    raw: Raw,
    user: User,
    project: Project,
}

impl Planner {
    async fn new(database: &TestDatabase) -> Self {
        let store = database.store().await;
        let user = user(&store).await;
        let project = project(&store, &user).await;
        session(&store, &user).await;
        add_tasks(&store, &[new_task(&project), new_task(&project)]).await;
        let mut raw = Raw::connect(database).await;
        if database.is_postgres() {
            // In tables of one page reading everything is always cheapest; these show what indexes can do. Bitmaps give
            // no order.
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

    /// Sees that the query goes by one of the indexes, and that nothing is sorted.
    async fn goes_by(&mut self, indexes: &[&str], sql: &str) {
        let plan = self.plan(sql).await;
        assert!(indexes.iter().any(|index| plan.contains(index)), "{sql} does not go by {indexes:?}:\n{plan}");
        for sign in ["SCAN ", "TEMP B-TREE", "Sort", "Seq Scan"] {
            assert!(!plan.contains(sign), "{sql}:\n{plan}");
        }
    }
}

on_both_databases! {
    async fn each_order_of_the_tasks_of_a_project_is_that_of_an_index(database: TestDatabase) {
        let mut planner = Planner::new(&database).await;
        let project = planner.raw.id(planner.project.id.0);
        for (column, index) in [
            ("created_at", ["tasks_by_creation"].as_slice()),
            ("updated_at", &["tasks_by_update"]),
            ("due_key", &["tasks_by_due"]),
            ("priority", &["tasks_by_priority"]),
            ("title_key", &["tasks_by_title"]),
            // No two tasks have the same place, so the index that sees to that has the same order.
            ("position", &["tasks_by_position", "tasks_place"]),
        ] {
            for direction in ["ASC", "DESC"] {
                let sql = format!(
                    "SELECT * FROM tasks WHERE project_id = {project} AND deleted_at IS NULL \
                     ORDER BY {column} {direction}, id {direction} LIMIT 20 OFFSET 40"
                );
                planner.goes_by(index, &sql).await;
            }
        }
    }

    async fn the_trash_of_a_project_is_found_by_its_index(database: TestDatabase) {
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
            // The id comes last and breaks ties, of which there are few: sorting them is no matter.
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
