//! Consecutive moves of tasks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{time, with};
use crate::api::fixtures::positions::{create_tasks, move_task, ordered_tasks, task_counts, titles};
use crate::api::fixtures::stored_members::{add_member, member};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Options, TestApp, TestDatabase};

/// Finds a task by its title.
fn titled<'t>(tasks: &'t [Value], title: &str) -> &'t Value {
    tasks.iter().find(|task| task["title"] == title).unwrap()
}

/// Expected task after a move: these fields as in the response, all others unchanged.
fn moved(task: &Value, answer: &Value, fields: &[&str]) -> Value {
    let version = task["version"].as_i64().unwrap() + 1;
    assert!(time(&answer["updated_at"]) > time(&task["updated_at"]), "{answer}");
    let mut expected = with(task, &json!({"version": version, "updated_at": answer["updated_at"]}));
    for field in fields {
        expected[field] = answer[field].clone();
    }
    expected
}

on_both_databases! {
    async fn a_move_changes_the_position_of_one_task_only(app: TestApp) {
        let owner = app.user().await;
        for (title, field, neighbour, expected) in [
            ("a", "before_id", "c", "bacd"),
            ("a", "before_id", "d", "bcad"),
            ("a", "after_id", "b", "bacd"),
            ("a", "after_id", "d", "bcda"),
            ("b", "before_id", "a", "bacd"),
            ("b", "after_id", "c", "acbd"),
            ("c", "before_id", "b", "acbd"),
            ("c", "after_id", "d", "abdc"),
            ("d", "before_id", "a", "dabc"),
            ("d", "before_id", "c", "abdc"),
            ("d", "after_id", "a", "adbc"),
        ] {
            let context = format!("{title} {field} {neighbour}");
            let project = owner.project().await;
            let before = create_tasks(&owner, &project, "abcd").await;
            let path = format!("/v1/projects/{project}");
            let project_before = owner.get(&path).await.ok();
            app.clock.advance(Duration::from_secs(1));
            let task = titled(&before, title);
            let answer = move_task(&owner, task, &json!({field: titled(&before, neighbour)["id"]})).await.ok();
            assert_eq!(answer, moved(task, &answer, &["position"]), "{context}");
            assert_eq!(titles(&owner, &project).await, expected, "{context}");
            for task in ordered_tasks(&owner, &project).await {
                let title = task["title"].as_str().unwrap();
                let expected = if task["id"] == answer["id"] { &answer } else { titled(&before, title) };
                assert_eq!(&task, expected, "{context}");
            }
            assert_eq!(owner.get(&path).await.ok(), project_before, "{context}");
        }
    }

    async fn a_move_to_the_current_place_changes_nothing(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = create_tasks(&owner, &project, "abcd").await;
        let before = (owner.get(format!("/v1/projects/{project}")).await.ok(), ordered_tasks(&owner, &project).await);
        app.clock.advance(Duration::from_secs(1));
        let id = |title| titled(&tasks, title)["id"].clone();
        for (title, to) in [
            ("a", json!({})),
            ("d", json!({})),
            ("b", json!({"project_id": project})),
            ("b", json!({"project_id": project.to_uppercase()})),
            ("a", json!({"before_id": id("b")})),
            ("b", json!({"before_id": id("c")})),
            ("c", json!({"before_id": id("d"), "project_id": project})),
            ("b", json!({"after_id": id("a")})),
            ("c", json!({"after_id": id("b")})),
            ("d", json!({"after_id": id("c"), "project_id": project})),
        ] {
            let task = titled(&tasks, title);
            assert_eq!(&move_task(&owner, task, &to).await.ok(), task, "{title} {to}");
            assert_eq!(&owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), task, "{title} {to}");
        }
        let after = (owner.get(format!("/v1/projects/{project}")).await.ok(), ordered_tasks(&owner, &project).await);
        assert_eq!(after, before);
    }

    async fn a_task_moves_to_any_place_of_another_project(app: TestApp) {
        let owner = app.user().await;
        for (field, neighbour, expected) in [
            ("", "", "wxyzb"),
            ("before_id", "w", "bwxyz"),
            ("before_id", "z", "wxybz"),
            ("after_id", "w", "wbxyz"),
            ("after_id", "z", "wxyzb"),
        ] {
            let (source, target) = (owner.project().await, owner.project().await);
            let (here, there) = (create_tasks(&owner, &source, "abc").await, create_tasks(&owner, &target, "wxyz").await);
            app.clock.advance(Duration::from_secs(1));
            let mut to = json!({"project_id": target});
            if !field.is_empty() {
                to[field] = titled(&there, neighbour)["id"].clone();
            }
            let answer = move_task(&owner, &here[1], &to).await.ok();
            assert_eq!(answer["project_id"], target);
            assert_eq!(answer, moved(&here[1], &answer, &["position", "project_id"]), "{field} {neighbour}");
            assert_eq!(owner.get(format!("/v1/tasks/{}", answer.id())).await.ok(), answer);
            assert_eq!(titles(&owner, &target).await, expected, "{field} {neighbour}");
            assert_eq!(ordered_tasks(&owner, &source).await, [here[0].clone(), here[2].clone()], "{field} {neighbour}");
            let others: Vec<Value> = ordered_tasks(&owner, &target).await;
            assert!(there.iter().all(|task| others.contains(task)), "{field} {neighbour}: {others:?}");
        }
        // Into an empty project.
        let (source, target) = (owner.project().await, owner.project().await);
        for task in create_tasks(&owner, &source, "ab").await {
            move_task(&owner, &task, &json!({"project_id": target})).await.ok();
        }
        assert_eq!((titles(&owner, &source).await, titles(&owner, &target).await), (String::new(), "ab".to_owned()));
    }

    async fn a_move_keeps_every_other_field(app: TestApp) {
        let owner = app.user().await;
        let (source, target) = (owner.project().await, owner.project().await);
        let task = owner.task(&source, json!({
            "title": "Tea", "description": "Green", "status": "done", "priority": "high", "labels": ["b", "a"],
            "due_at": "2026-01-31T09:00:00Z", "assignee_id": owner.user_id(),
        })).await;
        let neighbour = owner.task(&source, json!({"title": "x"})).await;
        app.clock.advance(Duration::from_secs(1));
        let within = move_task(&owner, &task, &json!({"after_id": neighbour["id"]})).await.ok();
        assert_eq!(within, moved(&task, &within, &["position"]));
        app.clock.advance(Duration::from_secs(1));
        let away = move_task(&owner, &within, &json!({"project_id": target})).await.ok();
        assert_eq!(away, moved(&within, &away, &["position", "project_id"]));
        assert_eq!(owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), away);
    }

    async fn a_move_keeps_the_assignee_only_if_a_member_of_the_target(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let (source, target) = (owner.project().await, owner.project().await);
        let (here, both) = (
            member(&app, &source, "editor").await,
            member(&app, &source, "viewer").await,
        );
        add_member(&app, &target, &both, "viewer").await;
        let neighbour = owner.task(&source, json!({"title": "x"})).await;
        let cases = [
            (json!(here.user_id()), Value::Null),
            (json!(both.user_id()), json!(both.user_id())),
            (json!(owner.user_id()), json!(owner.user_id())),
            (Value::Null, Value::Null),
        ];
        for (assignee, becomes) in cases {
            let task = owner.task(&source, json!({"title": "x", "assignee_id": assignee})).await;
            let within = move_task(&owner, &task, &json!({"before_id": neighbour["id"]})).await.ok();
            assert_eq!(within["assignee_id"], assignee);
            let away = move_task(&owner, &task, &json!({"project_id": target})).await.ok();
            assert_eq!(away["assignee_id"], becomes);
            assert_eq!(owner.get(format!("/v1/tasks/{}", task.id())).await.ok(), away);
        }
    }

    async fn a_move_updates_the_counters_of_both_projects(app: TestApp) {
        let owner = app.user().await;
        let (source, target) = (owner.project().await, owner.project().await);
        let mut created = Vec::new();
        for status in ["todo", "done", "in_progress", "done"] {
            created.push(owner.task(&source, json!({"title": "x", "status": status})).await);
        }
        owner.task(&target, json!({"title": "x", "status": "done"})).await;
        let project = async |id: &str| owner.get(format!("/v1/projects/{id}")).await.ok();
        let before = (project(&source).await, project(&target).await);
        let mut expected = [(4, 2), (1, 1)];
        for (index, done) in [(1, 1), (0, 0), (3, 1), (2, 0)] {
            app.clock.advance(Duration::from_secs(1));
            move_task(&owner, &created[index], &json!({"project_id": target})).await.ok();
            expected = [(expected[0].0 - 1, expected[0].1 - done), (expected[1].0 + 1, expected[1].1 + done)];
            assert_eq!([task_counts(&owner, &source).await, task_counts(&owner, &target).await], expected);
        }
        // Back again, before another task.
        move_task(&owner, &created[1], &json!({"project_id": source})).await.ok();
        move_task(&owner, &created[0], &json!({"project_id": source, "before_id": created[1]["id"]})).await.ok();
        assert_eq!([task_counts(&owner, &source).await, task_counts(&owner, &target).await], [(2, 1), (3, 2)]);
        // Nothing but the counters of the projects changes.
        for (before, after) in [(before.0, project(&source).await), (before.1, project(&target).await)] {
            let percentage = &after["completion_percentage"];
            let fields = json!({"task_counts": after["task_counts"], "completion_percentage": percentage});
            assert_eq!(after, with(&before, &fields));
        }
    }

    async fn a_restored_task_keeps_its_position(app: TestApp) {
        let owner = app.user().await;
        for (moves, expected) in [
            (vec![], "abcd"),
            (vec![("d", "after_id", "a")], "adbc"),
            (vec![("d", "before_id", "c")], "abdc"),
            (vec![("c", "before_id", "a")], "cabd"),
            (vec![("a", "after_id", "d")], "bcda"),
            (vec![("d", "after_id", "a"), ("c", "after_id", "a"), ("a", "after_id", "d")], "cdab"),
        ] {
            let project = owner.project().await;
            let tasks = create_tasks(&owner, &project, "abcd").await;
            let path = format!("/v1/tasks/{}", tasks[1].id());
            owner.delete(&path).await.no_content();
            for (title, field, neighbour) in &moves {
                let to = json!({*field: titled(&tasks, neighbour)["id"]});
                move_task(&owner, titled(&tasks, title), &to).await.ok();
            }
            let restored = owner.post_empty(format!("{path}/restore")).await.ok();
            assert_eq!(restored["position"], tasks[1]["position"], "{moves:?}");
            assert_eq!(titles(&owner, &project).await, expected, "{moves:?}");
        }
    }

    async fn a_new_task_is_added_at_the_end_after_moves(app: TestApp) {
        let owner = app.user().await;
        let (project, other) = (owner.project().await, owner.project().await);
        let tasks = create_tasks(&owner, &project, "abc").await;
        let away = owner.task(&other, json!({"title": "x"})).await;
        let id = |title| titled(&tasks, title)["id"].clone();
        let steps = [
            (&tasks[0], json!({"after_id": id("c")}), "bca1"),
            (&tasks[0], json!({"before_id": id("b")}), "abc12"),
            (&tasks[2], json!({"project_id": other}), "ab123"),
            (&away, json!({"project_id": project, "after_id": id("b")}), "abx1234"),
            (&tasks[2], json!({"project_id": project}), "abx1234c5"),
        ];
        for (number, (task, to, expected)) in (1..).zip(steps) {
            move_task(&owner, task, &to).await.ok();
            owner.task(&project, json!({"title": number.to_string()})).await;
            assert_eq!(titles(&owner, &project).await, expected, "{to}");
        }
        // The end is after deleted tasks too.
        let last = owner.task(&project, json!({"title": "t"})).await;
        owner.delete(format!("/v1/tasks/{}", last.id())).await.no_content();
        owner.task(&project, json!({"title": "6"})).await;
        move_task(&owner, &tasks[2], &json!({"project_id": other})).await.ok();
        move_task(&owner, &tasks[2], &json!({"project_id": project})).await.ok();
        owner.post_empty(format!("/v1/tasks/{}/restore", last.id())).await.ok();
        assert_eq!(titles(&owner, &project).await, "abx12345t6c");
    }
}
