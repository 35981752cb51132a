//! The indexes of words and labels follow each change of the tasks.

use std::collections::BTreeSet;

use pocket_tasks::contract::strings::{Label, TaskDescription};
use pocket_tasks::contract::task::Task;
use pocket_tasks::database::back_up;
use pocket_tasks::repositories::{Store as _, TaskFilter};

use super::fixtures::{at, commit};
use super::raw::Raw;
use super::task_search::{Crowd, TASKS, labels, terms, titled};
use crate::on_both_databases;
use crate::support::TestDatabase;
use crate::support::databases::sqlite;

/// Rows of the indexes that are not those of the tasks, or lack.
async fn index_errors(database: &TestDatabase) -> Vec<String> {
    let mut raw = Raw::connect(database).await;
    let mut queries = Vec::new();
    let labels = "SELECT CAST(project_id AS text) || CAST(task_id AS text) || label AS line FROM task_labels";
    let errors = if database.is_postgres() {
        let expected = "SELECT CAST(project_id AS text) || CAST(id AS text) || label AS line \
                        FROM tasks, unnest(string_to_array(labels, ',')) AS label WHERE label <> ''";
        queries.push((labels.to_owned(), expected.to_owned()));
        raw.texts("SELECT '' AS line WHERE FALSE", "line").await
    } else {
        // Without the function that the triggers use.
        let expected = "WITH RECURSIVE split (project_id, id, label, rest) AS ( \
                        SELECT project_id, id, '', substr(labels, 2) FROM tasks UNION ALL \
                        SELECT project_id, id, substr(rest, 1, instr(rest, ',') - 1), substr(rest, instr(rest, ',') + 1) \
                        FROM split WHERE rest <> '') \
                        SELECT hex(project_id) || hex(id) || label AS line FROM split WHERE label <> ''";
        queries.push((
            labels
                .replace("CAST(project_id AS text)", "hex(project_id)")
                .replace("CAST(task_id AS text)", "hex(task_id)"),
            expected.to_owned(),
        ));
        queries.push((
            "SELECT hex(task_id) AS line FROM task_trigram_rows UNION ALL SELECT hex(task_id) FROM task_trigram_queue"
                .to_owned(),
            "SELECT hex(id) AS line FROM tasks".to_owned(),
        ));
        queries.push((
            "SELECT CAST(rowid AS text) AS line FROM task_trigrams".to_owned(),
            "SELECT CAST(number AS text) AS line FROM task_trigram_rows".to_owned(),
        ));
        raw.texts("SELECT integrity_check AS line FROM pragma_integrity_check WHERE integrity_check <> 'ok'", "line")
            .await
    };
    let mut found = errors;
    for (query, expected) in queries {
        let mut pair = Vec::new();
        for sql in [&query, &expected] {
            let mut rows = raw.texts(sql, "line").await;
            rows.sort();
            pair.push(rows);
        }
        if pair[0] != pair[1] {
            found.push(format!("{query}: {} rows instead of {}", pair[0].len(), pair[1].len()));
        }
    }
    found
}

on_both_databases! {
    async fn each_change_of_a_task_is_searched_at_once(database: TestDatabase) {
        let crowd = Crowd::new(&database, |_, task| task).await;
        // Of an earlier portion of the index, and one that is not indexed yet on SQLite.
        for number in [1_000, TASKS - 1] {
            let name = format!("quixotic{number}");
            let (words, label) = (terms(&[&name]), labels(&[&name]));
            let old = &crowd.tasks[number];
            crowd.finds(&words, &[]).await;
            let described = Task {
                description: Some(TaskDescription::new_unchecked(format!("about {name}"))),
                labels: vec![Label::new_unchecked(&*name), Label::new_unchecked("second")],
                ..old.clone()
            };
            crowd.update(&described).await;
            crowd.finds(&words, &[old.id]).await;
            crowd.finds(&label, &[old.id]).await;
            assert_eq!(index_errors(&database).await, Vec::<String>::new());

            let moved = Task { project_id: crowd.other.id, ..described.clone() };
            crowd.update(&moved).await;
            for filter in [&words, &label] {
                assert_eq!(crowd.found(filter, true).await, []);
                assert_eq!(crowd.found(filter, false).await, [old.id]);
            }
            crowd.update(&Task { deleted_at: Some(at(50)), ..described.clone() }).await;
            for filter in [&words, &label] {
                crowd.finds(filter, &[]).await;
                crowd.finds(&TaskFilter { deleted_since: Some(at(0)), ..filter.clone() }, &[old.id]).await;
            }
            crowd.update(&described).await;
            crowd.finds(&label, &[old.id]).await;
            let renamed = titled("renamed", Task { labels: vec![Label::new_unchecked("third")], ..old.clone() });
            crowd.update(&renamed).await;
            for filter in [&words, &label] {
                crowd.finds(filter, &[]).await;
            }
            crowd.finds(&labels(&["third"]), &[old.id]).await;
            assert_eq!(index_errors(&database).await, Vec::<String>::new());
            crowd.update(&Task { labels: vec![], ..renamed }).await;
        }
        // Rolled back, and purged.
        let transaction = crowd.store.begin().await.unwrap();
        transaction.tasks().update(&titled("ephemeral", crowd.tasks[5].clone())).await.unwrap();
        drop(transaction);
        crowd.finds(&terms(&["ephemeral"]), &[]).await;
        for task in &crowd.tasks[..40] {
            crowd.update(&Task { deleted_at: Some(at(50)), ..task.clone() }).await;
        }
        while commit(&crowd.store, async |transaction| transaction.maintenance().purge_tasks(at(60), 30).await).await.unwrap() > 0 {}
        assert_eq!(index_errors(&database).await, Vec::<String>::new());
        commit(&crowd.store, async |transaction| transaction.maintenance().purge_project(crowd.home.id).await).await.unwrap();
        assert_eq!(index_errors(&database).await, Vec::<String>::new());
    }

    async fn the_tasks_of_an_earlier_version_are_indexed_by_the_migration(database: TestDatabase) {
        let crowd = Crowd::new(&database, |number, task| {
            let labels = [vec![Label::new_unchecked(r#"a "quoted" \ one"#)], vec![]][number % 2].clone();
            Task { labels, ..titled(if number == 900 { "zanzibar" } else { "common" }, task) }
        })
        .await;
        let later = crowd.store.migrations().await.unwrap().into_iter().filter(|migration| &*migration.name >= "m0014");
        crowd.store.roll_back(Some(u32::try_from(later.count()).unwrap())).await.unwrap();
        let mut raw = Raw::connect(&database).await;
        raw.execute("UPDATE tasks SET labels = ',twice,twice,' WHERE labels <> ','").await;
        crowd.store.migrate().await.unwrap();
        crowd.finds(&terms(&["zanzibar"]), &[crowd.tasks[900].id]).await;
        let labelled = raw.texts("SELECT label AS line FROM task_labels", "line").await;
        assert_eq!(labelled.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&"twice".to_owned()]));
        assert_eq!(labelled.len(), TASKS / 2 + 25);
        raw.execute("DELETE FROM task_labels").await;
        raw.execute("UPDATE tasks SET labels = ',once,' WHERE labels <> ','").await;
        assert_eq!(index_errors(&database).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_index_of_a_restored_backup_finds_the_same_tasks() {
    let database = sqlite().await;
    let crowd = Crowd::new(&database, |number, task| titled(format!("Number {}", 10_000 + number), task)).await;
    // A backup renumbers the rows.
    let mut raw = Raw::connect(&database).await;
    for task in &crowd.tasks[..300] {
        let id = raw.id(task.id.0);
        raw.execute(&format!("DELETE FROM tasks WHERE id = {id}")).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let path = database.url.trim_start_matches("sqlite://").to_owned();
    back_up(path.as_ref(), &file, false).await.unwrap();
    let mut copy = Raw::open(&file).await;
    for number in [300, 700, 1_100] {
        let id = copy.id(crowd.tasks[number].id.0);
        let entries =
            format!("\"{}\" AND \"{}\"", &format!("{}", 10_000 + number)[..3], &format!("{}", 10_000 + number)[2..]);
        let sql = format!(
            "SELECT 'found' AS line FROM task_trigrams JOIN task_trigram_rows ON number = task_trigrams.rowid \
             WHERE task_trigrams MATCH '{entries}' AND task_id = {id}"
        );
        assert_eq!(copy.texts(&sql, "line").await, ["found"], "{number}");
    }
    drop(raw);
    database.remove().await;
}
