//! Order, pages and visibility of task lists. Filters are in `filters`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, id_set, sorted};
use crate::api::fixtures::stored_members::add_member;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Creates tasks that tie in every field but `created_at` and `position`, and returns their final state.
async fn create_tasks_with_ties(app: &TestApp, owner: &Client, project: &str) -> Vec<Value> {
    let mut paths = Vec::new();
    for (title, priority, due_at) in [
        ("beta", "low", None),
        ("Alpha", "urgent", Some("2026-02-01T00:00:00Z")),
        ("alpha", "none", Some("2026-01-01T00:00:00Z")),
        ("Ärger", "high", None),
        ("ärger", "medium", Some("1969-12-31T23:59:59.999Z")),
        ("ALPHA", "none", Some("2026-02-01T01:00:00+01:00")),
        ("Zebra", "urgent", Some("9999-12-31T23:59:59.999Z")),
        ("über", "low", None),
        ("10", "medium", Some("2026-01-01T00:00:00.001Z")),
        ("9", "high", Some("0000-01-01T00:00:00Z")),
        ("_", "none", None),
    ] {
        app.clock.advance(Duration::from_secs(1));
        let body = json!({"title": title, "priority": priority, "due_at": due_at});
        paths.push(format!("/v1/tasks/{}", owner.task(project, body).await.id()));
    }
    for path in [&paths[4], &paths[0], &paths[7]] {
        app.clock.advance(Duration::from_secs(1));
        owner.patch(path, json!({"description": "changed"})).await.ok();
    }
    let mut tasks = Vec::new();
    for path in paths {
        tasks.push(owner.get(path).await.ok());
    }
    tasks
}

/// Sort key of a task.
fn key(sort: &str, task: &Value) -> Option<String> {
    let text = task[sort].as_str()?;
    Some(match sort {
        "title" => text.to_lowercase(),
        "priority" => {
            let rank = ["none", "low", "medium", "high", "urgent"].iter().position(|known| *known == text);
            rank.unwrap().to_string()
        }
        _ => text.to_owned(),
    })
}

on_both_databases! {
    async fn tasks_are_sorted_as_requested(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = create_tasks_with_ties(&app, &owner, &project).await;
        let of_project = format!("/v1/projects/{project}/tasks");
        let by_project = format!("/v1/tasks?project_id={project}");
        let lists = ["/v1/tasks", &of_project, &by_project];
        for (query, sort, descending) in [
            ("", "created_at", true),
            ("dir=asc", "created_at", false),
            ("dir=desc", "created_at", true),
            ("sort=created_at", "created_at", true),
            ("sort=created_at&dir=asc", "created_at", false),
            ("sort=updated_at", "updated_at", true),
            ("sort=updated_at&dir=asc", "updated_at", false),
            ("sort=due_at", "due_at", false),
            ("sort=due_at&dir=desc", "due_at", true),
            ("sort=priority", "priority", false),
            ("sort=priority&dir=desc", "priority", true),
            ("sort=title", "title", false),
            ("sort=title&dir=desc", "title", true),
            ("sort=position", "position", false),
            ("dir=desc&sort=position", "position", true),
        ] {
            let expected = sorted(&tasks, descending, |task| key(sort, task));
            for list in lists {
                let path = format!("{list}{}{query}", if list.contains('?') { "&" } else { "?" });
                let list = owner.get(&path).await.ok();
                assert_eq!(list.column("id"), expected, "{path}: {:?}", list.column(sort));
                assert_eq!(list["meta"], json!({"total": 11, "total_is_exact": true, "page": 1, "limit": 20, "has_more": false}), "{path}");
            }
            // The same order in pages, without repetitions or gaps.
            let mut paged = Vec::new();
            for page in 1..=4 {
                let path = format!("{of_project}?limit=3&page={page}&{query}");
                paged.extend(owner.get(path).await.ok().column("id"));
            }
            assert_eq!(paged, expected, "{query}");
        }
    }

    async fn tasks_without_due_date_sort_last_ascending_and_first_descending(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for due_at in [Some("2026-01-02T00:00:00.000Z"), None, Some("2026-01-01T00:00:00.000Z")] {
            owner.task(&project, json!({"title": "x", "due_at": due_at})).await;
        }
        let (early, late) = (json!("2026-01-01T00:00:00.000Z"), json!("2026-01-02T00:00:00.000Z"));
        let ascending = owner.get("/v1/tasks?sort=due_at").await.ok();
        assert_eq!(ascending.column("due_at"), [early.clone(), late.clone(), Value::Null]);
        let descending = owner.get("/v1/tasks?sort=due_at&dir=desc").await.ok();
        assert_eq!(descending.column("due_at"), [Value::Null, late, early]);
    }

    async fn tasks_are_paginated(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let all = sorted(&create_tasks_with_ties(&app, &owner, &project).await, true, |task| key("created_at", task));
        for (query, from, to, page, limit) in [
            ("limit=5", 0, 5, 1, 5),
            ("limit=5&page=2", 5, 10, 2, 5),
            ("limit=5&page=3", 10, 11, 3, 5),
            ("limit=5&page=4", 11, 11, 4, 5),
            ("limit=11", 0, 11, 1, 11),
            ("limit=10", 0, 10, 1, 10),
            ("limit=5&offset=4", 4, 9, 1, 5),
            ("limit=5&offset=6", 6, 11, 2, 5),
            ("limit=5&offset=11", 11, 11, 3, 5),
            ("offset=2147483647&limit=1", 11, 11, 2_147_483_648_u64, 1),
            ("page=2147483647&limit=100", 11, 11, 2_147_483_647, 100),
        ] {
            for list in ["/v1/tasks".to_owned(), format!("/v1/projects/{project}/tasks")] {
                let list = owner.get(format!("{list}?{query}")).await.ok();
                assert_eq!(list.column("id"), all[from..to], "{query}");
                let meta = json!({"total": 11, "total_is_exact": true, "page": page, "limit": limit, "has_more": to < 11});
                assert_eq!(list["meta"], meta, "{query}");
            }
        }
    }

    async fn the_total_of_a_filtered_list_counts_matching_tasks(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = create_tasks_with_ties(&app, &owner, &project).await;
        let trashed = owner.task(&project, json!({"title": "e", "priority": "low"})).await.id();
        owner.delete(format!("/v1/tasks/{trashed}")).await.no_content();
        let query = "q=e&priority=low,high&sort=title&limit=2";
        let matching = tasks.iter().filter(|task| {
            let found = task["title"].as_str().unwrap().contains('e') || task["description"] == "changed";
            found && (task["priority"] == "low" || task["priority"] == "high")
        });
        let expected = sorted(matching, false, |task| key("title", task));
        assert_eq!(expected.len(), 3);
        for list in ["/v1/tasks".to_owned(), format!("/v1/projects/{project}/tasks")] {
            let first = owner.get(format!("{list}?{query}")).await.ok();
            assert_eq!(first.column("id"), expected[..2]);
            assert_eq!(first["meta"], json!({"total": expected.len(), "total_is_exact": true, "page": 1, "limit": 2, "has_more": true}));
            let second = owner.get(format!("{list}?{query}&page=2")).await.ok();
            assert_eq!(second.column("id"), expected[2..]);
            assert_eq!(second["meta"], json!({"total": expected.len(), "total_is_exact": true, "page": 2, "limit": 2, "has_more": false}));
            let past = owner.get(format!("{list}?{query}&page=9")).await.ok();
            assert_eq!(past["meta"], json!({"total": expected.len(), "total_is_exact": true, "page": 9, "limit": 2, "has_more": false}));
        }
    }

    async fn the_list_of_all_tasks_covers_the_callers_projects(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (ada, ben, eve) = (app.user().await, app.user().await, app.user().await);
        let (of_ada, shared, of_ben) = (ada.project().await, ada.project().await, ben.project().await);
        add_member(&app, &shared, &ben, "viewer").await;
        let one = ada.task(&of_ada, json!({"title": "1"})).await["id"].clone();
        let two = ada.task(&shared, json!({"title": "2"})).await["id"].clone();
        let three = ben.task(&of_ben, json!({"title": "3"})).await["id"].clone();
        for (user, project, expected) in [
            (&ada, "", vec![&one, &two]),
            (&ben, "", vec![&two, &three]),
            (&eve, "", vec![]),
            (&ada, of_ada.as_str(), vec![&one]),
            (&ada, &shared, vec![&two]),
            (&ben, &shared, vec![&two]),
            (&ben, &shared.to_uppercase(), vec![&two]),
        ] {
            let query = if project.is_empty() { String::new() } else { format!("?project_id={project}") };
            let list = user.get(format!("/v1/tasks{query}")).await.ok();
            assert_eq!(id_set(&list).iter().collect::<Vec<_>>(), expected, "{query}");
            assert_eq!(list["meta"]["total"], expected.len(), "{query}");
        }
        ben.get(format!("/v1/tasks?project_id={of_ada}")).await.fails(403, "FORBIDDEN");
        eve.get(format!("/v1/projects/{shared}/tasks")).await.fails(403, "FORBIDDEN");
    }

    async fn a_filter_by_an_unknown_project_is_rejected(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "x"})).await.id();
        owner.delete(format!("/v1/projects/{project}")).await.no_content();
        for id in [UNKNOWN_ID, &task, &project] {
            for user in [&owner, &stranger] {
                user.get(format!("/v1/tasks?project_id={id}")).await.invalid(&["project_id:reference"]);
            }
        }
        owner.post_empty(format!("/v1/projects/{project}/restore")).await.ok();
        assert_eq!(owner.get(format!("/v1/tasks?project_id={project}")).await.ok()["meta"]["total"], 1);
    }

    async fn an_archived_project_lists_its_tasks(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "x"})).await;
        owner.patch(format!("/v1/projects/{project}"), json!({"archived": true})).await.ok();
        for list in ["/v1/tasks".to_owned(), format!("/v1/projects/{project}/tasks")] {
            assert_eq!(owner.get(list).await.ok()["data"], json!([task]));
        }
    }
}
