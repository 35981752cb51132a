//! The schema: migrations in both directions on both databases, also concurrently, and its constraints.

use std::time::Duration;

use pocket_tasks::contract::TaskId;
use pocket_tasks::contract::task::{Task, TaskStatus};
use pocket_tasks::database::{MigrationState, SeaStore, Settings};
use pocket_tasks::repositories::{Store as _, StoreError};
use uuid::Uuid;

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, at, commit, new_session, new_task, project, task_counts, user};
use super::invitations::{add, new_invitation};
use super::raw::Raw;
use crate::on_both_databases;
use crate::support::TestDatabase;
use crate::support::databases::OnDatabase;

/// Database without the schema.
pub(super) struct Empty(pub(super) TestDatabase);

impl OnDatabase for Empty {
    async fn on(database: &TestDatabase) -> Self {
        Self(database.without_schema().await)
    }
}

impl Empty {
    pub(super) async fn open(&self, migrate: bool) -> Result<SeaStore, StoreError> {
        SeaStore::open(&Settings {
            url: self.0.url.as_str().into(),
            max_connections: 2,
            migrate,
            statement_timeout: Duration::from_secs(30),
        })
        .await
    }

    /// Tables and indexes as described by the database.
    pub(super) async fn schema(&self) -> Vec<String> {
        let mut raw = Raw::connect(&self.0).await;
        let mut schema = if self.0.is_postgres() {
            let tables = "SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, collation_name) \
                          AS line FROM information_schema.columns WHERE table_schema = 'public'";
            let indexes = "SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public'";
            let rules = "SELECT concat_ws(' ', conrelid::regclass, pg_get_constraintdef(oid)) AS line \
                         FROM pg_constraint WHERE connamespace = 'public'::regnamespace";
            [raw.texts(tables, "line").await, raw.texts(indexes, "line").await, raw.texts(rules, "line").await].concat()
        } else {
            let all = "SELECT coalesce(sql, name) AS line FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'";
            raw.texts(all, "line").await
        };
        schema.sort();
        schema
    }
}

pub(super) async fn applied(store: &SeaStore) -> Vec<bool> {
    store.migrations().await.unwrap().iter().map(|migration| migration.state == MigrationState::Applied).collect()
}

/// Asserts that the database rejects the first statement and accepts the second, which differs only in the violation.
async fn refuses(raw: &mut Raw, wrong: &str, right: &str) {
    let refused = raw.try_execute(wrong).await.expect_err(wrong);
    let error = refused.into_database_error().expect(wrong);
    assert!(
        error.is_check_violation() || error.is_unique_violation() || error.is_foreign_key_violation(),
        "{wrong}: {error}"
    );
    raw.execute(right).await;
}

on_both_databases! {
    async fn migrations_of_a_newer_version_are_left_alone(empty: Empty) {
        let store = empty.open(true).await.unwrap();
        let mut raw = Raw::connect(&empty.0).await;
        raw.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 7)").await;
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        store.roll_back(Some(1)).await.unwrap_err();
        let status = store.migrations().await.unwrap();
        let (last, known) = status.split_last().unwrap();
        assert_eq!((&*last.name, last.state), ("m9999_future", MigrationState::Newer));
        assert!(known.iter().all(|migration| migration.state == MigrationState::Applied), "{known:?}");
        store.close().await;
        // The newer version has a column that this one does not know, and this one starts.
        raw.execute("ALTER TABLE users ADD COLUMN added text").await;
        let store = empty.open(true).await.unwrap();
        user(&store).await;
        store.close().await;
        drop(raw);
        empty.0.remove().await;
    }

    async fn migrations_run_up_down_and_up_again(empty: Empty) {
        let store = empty.open(false).await.unwrap();
        let names: Vec<String> =
            store.migrations().await.unwrap().into_iter().map(|migration| migration.name).collect();
        assert!(names.len() >= 3 && names.is_sorted() && names[0].starts_with("m0001_"), "{names:?}");
        assert_eq!(applied(&store).await, vec![false; names.len()]);
        store.migrate().await.unwrap();
        assert_eq!(applied(&store).await, vec![true; names.len()]);
        let first = empty.schema().await;
        store.roll_back(None).await.unwrap();
        assert_eq!(applied(&store).await, vec![false; names.len()]);
        let none = empty.schema().await;
        assert!(none.iter().all(|line| line.contains("seaql_migrations")), "{none:#?}");
        store.migrate().await.unwrap();
        assert_eq!(empty.schema().await, first);
        user(&store).await;
        store.close().await;
        empty.0.remove().await;
    }

    async fn migrating_once_more_changes_nothing(empty: Empty) {
        let store = empty.open(true).await.unwrap();
        let (before, ada) = (empty.schema().await, user(&store).await);
        store.migrate().await.unwrap();
        let again = empty.open(true).await.unwrap();
        assert_eq!(empty.schema().await, before);
        assert_eq!(again.read().users().find(ada.id).await.unwrap(), Some(ada));
        store.close().await;
        again.close().await;
        empty.0.remove().await;
    }

    async fn without_the_schema_the_database_is_not_ready(empty: Empty) {
        let store = empty.open(false).await.unwrap();
        let before = store.check().await;
        store.migrate().await.unwrap();
        store.check().await.unwrap();
        store.roll_back(None).await.unwrap();
        let after = store.check().await;
        store.close().await;
        empty.0.remove().await;
        assert!(before.is_err() && after.is_err(), "check() reports whether the schema is current");
    }

    async fn a_project_has_one_owner(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let mut raw = Raw::connect(&database).await;
        let (id, bob) = (raw.id(project.id.0), raw.id(bob.id.0));
        let member = |role: &str| format!("INSERT INTO members VALUES ({id}, {bob}, '{role}', 7, FALSE)");
        refuses(&mut raw, &member("owner"), &member("editor")).await;
        let promote = format!("UPDATE members SET role = 'owner' WHERE project_id = {id} AND user_id = {bob}");
        let demote = format!("UPDATE members SET role = 'viewer' WHERE project_id = {id}");
        refuses(&mut raw, &promote, &demote).await;
        raw.execute(&promote).await;
        refuses(&mut raw, &member("viewer"), &format!("DELETE FROM members WHERE user_id = {bob}")).await;
        refuses(&mut raw, &member("admin"), &member("viewer")).await;
    }

    async fn counters_are_not_negative_and_done_does_not_exceed_total(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let mut raw = Raw::connect(&database).await;
        let id = raw.id(project.id.0);
        let set = |total: i64, done: i64| {
            format!("UPDATE projects SET task_total = {total}, task_done = {done} WHERE id = {id}")
        };
        refuses(&mut raw, &set(-1, -1), &set(0, 0)).await;
        refuses(&mut raw, &set(-1, 0), &set(1, 0)).await;
        refuses(&mut raw, &set(1, -1), &set(1, 1)).await;
        refuses(&mut raw, &set(1, 2), &set(2, 2)).await;
        drop(raw);
        let transaction = store.begin().await.unwrap();
        assert!(transaction.projects().adjust_counters(project.id, task_counts(-3, 0), None).await.is_err());
    }

    async fn a_task_is_done_exactly_if_it_has_a_time_of_completion(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let project = project(&store, &ada).await;
        let done = Task { status: TaskStatus::Done, completed_at: Some(at(9)), ..new_task(&project) };
        add_tasks(&store, [&done]).await;
        let mut raw = Raw::connect(&database).await;
        let id = raw.id(done.id.0);
        let set = |what: &str| format!("UPDATE tasks SET {what} WHERE id = {id}");
        refuses(&mut raw, &set("status = 'todo'"), &set("status = 'todo', completed_at = NULL")).await;
        refuses(&mut raw, &set("completed_at = 9"), &set("completed_at = 9, status = 'done'")).await;
        refuses(&mut raw, &set("completed_at = NULL"), &set("completed_at = 10")).await;
        refuses(&mut raw, &set("status = 'gone', completed_at = NULL"), &set("title = 'gone'")).await;
        refuses(&mut raw, &set("priority = 5"), &set("priority = 4")).await;
        refuses(&mut raw, &set("priority = -1"), &set("priority = 0")).await;
        refuses(&mut raw, &set("version = 0"), &set("version = 1")).await;
    }

    async fn a_used_token_has_a_successor(database: TestDatabase) {
        let store = database.store().await;
        let session = new_session(&user(&store).await);
        commit(&store, async |transaction| transaction.sessions().add(&session).await).await.unwrap();
        let mut raw = Raw::connect(&database).await;
        let bytes = if database.is_postgres() { r"'\x0a'::bytea" } else { "x'0a'" };
        let token = |spent: &str, successor: &str, id: &str| {
            format!("INSERT INTO refresh_tokens VALUES ({bytes}, {id}, 1, 2, {spent}, {successor})")
        };
        let (id, stranger) = (raw.id(session.id.0), raw.id(session.user_id.0));
        refuses(&mut raw, &token("3", "NULL", &id), "SELECT 1").await;
        refuses(&mut raw, &token("NULL", bytes, &id), "SELECT 1").await;
        refuses(&mut raw, &token("NULL", "NULL", &stranger), &token("NULL", "NULL", &id)).await;
        let use_it = |what: &str| format!("UPDATE refresh_tokens SET {what}");
        refuses(&mut raw, &use_it("used_at = 3"), &use_it(&format!("used_at = 3, encrypted_successor = {bytes}"))).await;
    }

    async fn an_invitation_has_a_status_a_role_and_an_address_of_its_own(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let (here, there) = (project(&store, &ada).await, project(&store, &ada).await);
        let mut raw = Raw::connect(&database).await;
        let (inviter, unknown) = (raw.id(ada.id.0), raw.id(TaskId::generate().0));
        let [here, there] = [raw.id(here.id.0), raw.id(there.id.0)];
        let mut made = 0..;
        let mut new = |raw: &Raw, project: &str, email: &str, role: &str, status: &str, by: &str| {
            let id = raw.id(Uuid::from_u128(made.next().unwrap()));
            format!("INSERT INTO invitations VALUES ({id}, {project}, '{email}', '{role}', '{status}', {by}, NULL, 9, 8)")
        };
        let right = new(&raw, &here, "a@b.example", "editor", "pending", &inviter);
        for wrong in [
            new(&raw, &here, "a@b.example", "owner", "pending", &inviter),
            new(&raw, &here, "a@b.example", "editor", "gone", &inviter),
            new(&raw, &unknown, "a@b.example", "editor", "pending", &inviter),
            new(&raw, &here, "a@b.example", "editor", "pending", &unknown),
        ] {
            refuses(&mut raw, &wrong, "SELECT 1").await;
        }
        raw.execute(&right).await;
        // One pending invitation, and any number of resolved ones.
        for status in ["accepted", "declined", "revoked", "expired"] {
            let twin = new(&raw, &here, "a@b.example", "viewer", "pending", &inviter);
            let other = new(&raw, &here, "a@b.example", "viewer", status, "NULL");
            refuses(&mut raw, &twin, &other).await;
        }
        let twin = new(&raw, &here, "a@b.example", "viewer", "pending", &inviter);
        let elsewhere = new(&raw, &there, "a@b.example", "viewer", "pending", &inviter);
        refuses(&mut raw, &twin, &elsewhere).await;
        let again = format!("UPDATE invitations SET status = 'pending' WHERE project_id = {here}");
        let over = format!("UPDATE invitations SET status = 'expired' WHERE project_id = {here}");
        refuses(&mut raw, &again, &over).await;
    }

    async fn a_comment_has_a_task_and_a_version(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let task = new_task(&project(&store, &ada).await);
        add_tasks(&store, [&task]).await;
        let mut raw = Raw::connect(&database).await;
        let (author, unknown) = (raw.id(ada.id.0), raw.id(TaskId::generate().0));
        let (task, id) = (raw.id(task.id.0), raw.id(Uuid::from_u128(1)));
        let new = |task: &str, author: &str, version: i64| {
            format!("INSERT INTO comments VALUES ({id}, {task}, {author}, 'x', {version}, 8, 9)")
        };
        for wrong in [new(&unknown, &author, 1), new(&task, &unknown, 1), new(&task, &author, 0)] {
            refuses(&mut raw, &wrong, "SELECT 1").await;
        }
        refuses(&mut raw, &new(&unknown, "NULL", 1), &new(&task, "NULL", 1)).await;
        refuses(&mut raw, "UPDATE comments SET version = 0", "UPDATE comments SET version = 2").await;
    }

    async fn owned_rows_are_deleted_in_cascade_and_created_content_is_kept(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let (kept, gone) = (new_task(&project), new_task(&project));
        add_tasks(&store, [&kept, &gone]).await;
        add_comments(&store, &[new_comment(&kept, &bob), new_comment(&gone, &bob), new_comment(&kept, &ada)]).await;
        assert!(add(&store, &new_invitation(&project, &bob, "a@b.example")).await);
        let mut raw = Raw::connect(&database).await;
        let (gone, bob, project) = (raw.id(gone.id.0), raw.id(bob.id.0), raw.id(project.id.0));
        let statements = [
            "SELECT 1".to_owned(),
            format!("DELETE FROM tasks WHERE id = {gone}"),
            format!("DELETE FROM users WHERE id = {bob}"),
            format!("DELETE FROM projects WHERE id = {project}"),
        ];
        // Comments and invitations, each as content of the user or in the user's project.
        for (statement, expected) in statements.iter().zip(["3 3 1 1", "2 2 1 1", "2 1 1 0", "0 0 0 0"]) {
            raw.execute(statement).await;
            let mut counts = Vec::new();
            for counted in ["(id) AS text) AS n FROM comments", "(author_id) AS text) AS n FROM comments",
                "(id) AS text) AS n FROM invitations", "(invited_by) AS text) AS n FROM invitations"] {
                counts.extend(raw.texts(&format!("SELECT CAST(count{counted}"), "n").await);
            }
            assert_eq!(counts.join(" "), expected, "{statement}");
        }
    }
}
