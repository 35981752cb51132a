//! Changes of the schema where there is data: nothing of it is lost, forwards or backwards.

use migration::{Migration, Migrator, MigratorTrait as _};
use pocket_tasks::contract::account::user::User;
use pocket_tasks::contract::task::Task;
use pocket_tasks::repositories::{FormerSecret, Health, Store as _};
use sea_orm::Database;

use super::comments::{add_comments, new_comment};
use super::fixtures::{add_tasks, at, commit, new_task, project, user};
use super::invitations::{add, new_invitation};
use super::raw::Raw;
use super::schema::Empty;
use super::tasks::full_task;
use super::webhook_plans::new_webhook;
use crate::on_both_databases;
use crate::support::TestDatabase;

/// How many changes came before this one, and how many with it and since.
fn around(name: &str) -> (u32, u32) {
    let changes = Migrator::get_migration_files();
    let before = changes.iter().filter(|change| Migration::name(change) < name).count();
    (u32::try_from(before).unwrap(), u32::try_from(changes.len() - before).unwrap())
}

/// The rows of a table, with all their columns, as text.
async fn rows(database: &TestDatabase, table: &str) -> Vec<String> {
    let mut raw = Raw::connect(database).await;
    let sql = if database.is_postgres() {
        format!("SELECT row_to_json({table})::text AS line FROM {table} ORDER BY id")
    } else {
        let names = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns: Vec<String> =
            raw.texts(&names, "name").await.iter().map(|name| format!("'{name}=' || quote({name})")).collect();
        format!("SELECT {} AS line FROM {table} ORDER BY id", columns.join(" || ', ' || "))
    };
    raw.texts(&sql, "line").await
}

on_both_databases! {
    async fn tasks_outlive_that_they_get_by_without_who_made_them(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let of_bob = Task { created_by: Some(bob.id), ..full_task(&project, bob.id) };
        let plain = new_task(&project);
        let of_nobody = Task { created_by: None, ..new_task(&project) };
        add_tasks(&store, [&of_bob, &plain]).await;
        let both = rows(&database, "tasks").await;
        assert_eq!(both.len(), 2);
        add_tasks(&store, [&of_nobody]).await;
        let others = [rows(&database, "users").await, rows(&database, "projects").await];
        let (before, since) = around("m0006");
        let now = Empty(database.clone());
        let schema = now.schema().await;

        let connection = Database::connect(&database.url).await.unwrap();
        Migrator::down(&connection, Some(since)).await.unwrap();
        let old = rows(&database, "tasks").await;
        assert_eq!(old.iter().filter(|row| both.contains(row)).count(), 2, "{old:#?}\n{both:#?}");
        // The schema is the one that was there before the change, with all its indexes and foreign keys.
        let fresh = <Empty as crate::support::databases::OnDatabase>::on(&database).await;
        if !database.is_postgres() {
            std::fs::create_dir_all(std::path::Path::new(&fresh.0.url["sqlite://".len()..]).parent().unwrap()).unwrap();
        }
        let how = if database.is_postgres() { "" } else { "?mode=rwc" };
        let other = Database::connect(format!("{}{how}", fresh.0.url)).await.unwrap();
        Migrator::up(&other, Some(before)).await.unwrap();
        assert_eq!(now.schema().await, fresh.schema().await);
        other.close().await.unwrap();
        fresh.0.remove().await;
        connection.close().await.unwrap();

        store.migrate().await.unwrap();
        assert_eq!(now.schema().await, schema);
        assert_eq!([rows(&database, "users").await, rows(&database, "projects").await], others);
        // What nobody had made was the owner's in between: then every task was somebody's.
        let of_owner = Task { created_by: Some(ada.id), ..of_nobody };
        for task in [&of_bob, &plain, &of_owner] {
            assert_eq!(&store.read().tasks().find(task.id, ada.id).await.unwrap().unwrap().task, task);
        }
        // The foreign keys are those of this table, not of one that was there meanwhile.
        commit(&store, async |transaction| transaction.upkeep().purge_user(bob.id).await).await.unwrap();
        let left = store.read().tasks().find(of_bob.id, ada.id).await.unwrap().unwrap().task;
        assert_eq!((left.created_by, left.assignee_id), (None, None));
        commit(&store, async |transaction| transaction.upkeep().purge_project(project.id).await).await.unwrap();
        assert_eq!(rows(&database, "tasks").await, Vec::<String>::new());
    }
    async fn who_was_there_before_there_were_digests_gets_the_next_one(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        assert!(!bob.weekly_digest);
        let willing = User { weekly_digest: true, ..ada };
        commit(&store, async |transaction| transaction.users().update(&willing).await).await.unwrap();
        let connection = Database::connect(&database.url).await.unwrap();
        Migrator::down(&connection, Some(around("m0006").1)).await.unwrap();
        connection.close().await.unwrap();
        store.migrate().await.unwrap();
        let due = store.read().users().list_due_digests(at(0), 9).await.unwrap();
        assert_eq!(due.iter().map(|(user, _)| user.id).collect::<Vec<_>>(), [willing.id]);
    }

    async fn secrets_of_webhooks_outlive_that_there_may_be_several(database: TestDatabase) {
        let store = database.store().await;
        let ada = user(&store).await;
        let records = [new_webhook(&ada), new_webhook(&ada), new_webhook(&ada)];
        let [rotated, plain, removed] = [0, 1, 2].map(|number| records[number].webhook.id);
        commit(&store, async |transaction| {
            let webhooks = transaction.webhooks();
            for record in &records {
                webhooks.add(record).await.unwrap();
            }
            let failing = Health { failing_since: Some(at(4)), ..Health::default() };
            webhooks.update(&records[0].webhook, &failing).await.unwrap();
            for (secret, before, until) in [(b"two", b"one", 500), (b"six", b"two", 900)] {
                let former = FormerSecret { secret: before.to_vec(), until: at(until) };
                webhooks.replace_secret(rotated, secret, Some(&former), at(9)).await.unwrap();
            }
            webhooks.remove(removed, at(9)).await.unwrap();
        })
        .await;
        let schema = Empty(database.clone()).schema().await;
        let connection = Database::connect(&database.url).await.unwrap();
        Migrator::down(&connection, Some(around("m0010").1)).await.unwrap();
        let old = Empty(database.clone()).schema().await;
        assert!(!old.iter().any(|line| line.contains("former_secrets")), "{old:#?}");
        connection.close().await.unwrap();
        // There was room for the newest, and nobody who is gone comes back.
        let kept = rows(&database, "webhooks").await;
        let hex = "74776f";
        assert_eq!(kept.iter().filter(|row| row.to_lowercase().contains(hex)).count(), 1, "{kept:#?}");
        assert_eq!(kept.len(), 2, "{kept:#?}");

        store.migrate().await.unwrap();
        assert_eq!(Empty(database.clone()).schema().await, schema);
        let webhooks = store.read().webhooks();
        let former = webhooks.list_former_secrets(rotated, at(10)).await.unwrap();
        assert_eq!(former.iter().map(|one| (&one.secret[..], one.until)).collect::<Vec<_>>(), [(&b"two"[..], at(900))]);
        assert!(webhooks.list_former_secrets(plain, at(10)).await.unwrap().is_empty());
        let found = webhooks.find(rotated).await.unwrap().unwrap();
        assert_eq!(found.secret, b"six");
        // Who fails is taken for slow.
        assert_eq!(found.health, Health { failing_since: Some(at(4)), is_ailing: true, giving_up: None });
        assert_eq!(webhooks.find(plain).await.unwrap().unwrap().health, Health::default());
        // The next comes before it.
        commit(&store, async |transaction| {
            let former = FormerSecret { secret: b"six".to_vec(), until: at(900) };
            transaction.webhooks().replace_secret(rotated, b"ten", Some(&former), at(10)).await.unwrap();
        })
        .await;
        let former = webhooks.list_former_secrets(rotated, at(10)).await.unwrap();
        assert_eq!(former.iter().map(|one| &one.secret[..]).collect::<Vec<_>>(), [b"six", b"two"]);
    }

    async fn what_people_share_comes_and_goes_and_nothing_else_with_it(database: TestDatabase) {
        let store = database.store().await;
        let (ada, bob) = (user(&store).await, user(&store).await);
        let project = project(&store, &ada).await;
        let task = full_task(&project, bob.id);
        add_tasks(&store, [&task]).await;
        let (comment, invitation) = (new_comment(&task, &bob), new_invitation(&project, &ada, "grace@example.com"));
        add_comments(&store, std::slice::from_ref(&comment)).await;
        assert!(add(&store, &invitation).await);
        let others = async || {
            let mut others = Vec::new();
            for table in ["users", "projects", "tasks"] {
                others.push(rows(&database, table).await);
            }
            others
        };
        let (before, schema) = (others().await, Empty(database.clone()).schema().await);
        let connection = Database::connect(&database.url).await.unwrap();
        Migrator::down(&connection, Some(around("m0007").1)).await.unwrap();
        let old = Empty(database.clone()).schema().await;
        assert!(!old.iter().any(|line| line.contains("comments") || line.contains("invitations")), "{old:#?}");
        assert_eq!(others().await, before);
        connection.close().await.unwrap();

        store.migrate().await.unwrap();
        assert_eq!(Empty(database.clone()).schema().await, schema);
        assert_eq!(others().await, before);
        for table in ["comments", "invitations"] {
            assert_eq!(rows(&database, table).await, Vec::<String>::new());
        }
        add_comments(&store, std::slice::from_ref(&comment)).await;
        assert!(add(&store, &invitation).await);
        let found = store.read().comments().find(comment.id, ada.id).await.unwrap().unwrap();
        assert_eq!(found.comment, comment);
        // With what is in them the changes before this one go and come back too, however far.
        let connection = Database::connect(&database.url).await.unwrap();
        Migrator::down(&connection, Some(around("m0004").1)).await.unwrap();
        connection.close().await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(Empty(database.clone()).schema().await, schema);
        let restored = store.read().tasks().find(task.id, ada.id).await.unwrap().unwrap().task;
        assert_eq!(restored, task);
    }
}
