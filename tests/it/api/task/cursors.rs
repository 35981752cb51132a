//! Validation of cursors. Their scope is in `cursor_scope`, the tasks of pages in `cursor_pagination`.

use serde_json::{Value, json};

use crate::api::fixtures::stored_members::purge_task;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Appends a query to the path of a list, which may have one already.
pub(crate) fn with_query(list: &str, query: &str) -> String {
    let sign = if list.contains('?') { '&' } else { '?' };
    format!("{list}{sign}{query}")
}

/// Cursor after the first task of a list.
pub(crate) async fn cursor(client: &Client, list: &str) -> String {
    let first = client.get(with_query(list, "limit=1")).await.ok();
    first["meta"]["next_cursor"].as_str().unwrap_or_else(|| panic!("{list} has no second page")).to_owned()
}

#[track_caller]
pub(crate) fn assert_invalid_cursor(body: &Value) {
    assert_eq!(body["error"], "INVALID_CURSOR", "{body}");
    assert!(body.get("details").is_none(), "{body}");
}

/// Tasks after a cursor.
pub(crate) async fn rest(client: &Client, list: &str, cursor: &str) -> Vec<Value> {
    client.get(with_query(list, &format!("cursor={cursor}"))).await.ok().column("title")
}

/// Creates a user with a project of five tasks, which form two pages in the tests.
pub(crate) async fn owner_with_five_tasks(app: &TestApp) -> (Client, String, Vec<String>) {
    let owner = app.user().await;
    let project = owner.project().await;
    let mut ids = Vec::new();
    for title in ["1", "2", "3", "4", "5"] {
        let task = owner.task(&project, json!({"title": title, "labels": ["a", "b"], "assignee_id": owner.user_id()}));
        ids.push(task.await.id());
    }
    (owner, project, ids)
}

on_both_databases! {
    async fn a_modified_cursor_is_rejected(app: TestApp) {
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        let list = format!("/v2/projects/{project}/tasks?sort=title");
        let good = cursor(&owner, &list).await;
        assert_eq!(rest(&owner, &list, &good).await, ["2", "3", "4", "5"]);
        for index in 0..good.len() {
            // The next letter of the alphabet differs in few bits; the others differ in kind.
            for other in ["A", "B", "_", "-", "%2B", "%2F", "=", "%20", "%00", "%C3%A4"] {
                if good[index..=index] != *other {
                    let bad = format!("{}{other}{}", &good[..index], &good[index + 1..]);
                    assert_invalid_cursor(&owner.get(format!("{list}&cursor={bad}")).await.expect(400));
                }
            }
        }
    }

    async fn malformed_cursors_are_rejected(app: TestApp) {
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        for list in ["/v2/tasks".to_owned(), format!("/v2/tasks?project_id={project}"), format!("/v2/projects/{project}/tasks")] {
            let good = cursor(&owner, &list).await;
            let mut all: Vec<String> = (0..good.len()).map(|length| good[..length].to_owned()).collect();
            all.extend((1..good.len()).map(|start| good[start..].to_owned()));
            let long = ["A".repeat(10_000), good.repeat(100), format!("{good}{}", "A".repeat(10_000))];
            all.extend(long);
            for nonsense in ["%00", "%20", "+", "null", "1", "%F0%9F%98%80", "\"\"", "{}", "..%2F", "%0A"] {
                all.push(nonsense.to_owned());
                all.push(format!("{good}{nonsense}"));
                all.push(format!("{nonsense}{good}"));
            }
            all.extend([format!("{good}="), format!("{good}=="), good.to_lowercase(), good.to_uppercase()]);
            for bad in all {
                let bad = bad.replace(['"', '{', '}'], "%22");
                assert_invalid_cursor(&owner.get(with_query(&list, &format!("cursor={bad}"))).await.expect(400));
            }
        }
    }

    async fn a_cursor_that_is_not_utf8_fails_validation(app: TestApp) {
        let (owner, ..) = owner_with_five_tasks(&app).await;
        let good = cursor(&owner, "/v2/tasks").await;
        for bytes in ["%FF", "%C3%28", "%ED%A0%80"] {
            for bad in [bytes.to_owned(), format!("{good}{bytes}")] {
                owner.get(format!("/v2/tasks?cursor={bad}")).await.invalid(&["cursor:format"]);
            }
        }
    }

    async fn a_cursor_may_be_given_once(app: TestApp) {
        let (owner, ..) = owner_with_five_tasks(&app).await;
        let good = cursor(&owner, "/v2/tasks").await;
        let twice = format!("/v2/tasks?cursor={good}&cursor={good}");
        owner.get(twice).await.invalid(&["cursor:duplicate_parameter"]);
    }

    async fn each_api_version_accepts_only_its_own_parameters(app: TestApp) {
        let (owner, project, _) = owner_with_five_tasks(&app).await;
        for list in ["tasks".to_owned(), format!("projects/{project}/tasks")] {
            let good = cursor(&owner, &format!("/v2/{list}")).await;
            owner.get(format!("/v2/{list}?page=1")).await.invalid(&["page:unknown_parameter"]);
            owner.get(format!("/v2/{list}?offset=0&cursor={good}")).await.invalid(&["offset:unknown_parameter"]);
            owner.get(format!("/v1/{list}?cursor={good}")).await.invalid(&["cursor:unknown_parameter"]);
            for (limit, code) in [("0", "minimum"), ("101", "maximum"), ("x", "type"), ("1.5", "type")] {
                let failure = format!("limit:{code}");
                owner.get(format!("/v2/{list}?limit={limit}&cursor={good}")).await.invalid(&[&failure]);
            }
        }
        owner.get(format!("/v2/projects/{project}/tasks?project_id={project}")).await
            .invalid(&["project_id:unknown_parameter"]);
    }

    async fn cursors_of_another_encryption_key_are_rejected(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (owner, ..) = owner_with_five_tasks(&app).await;
        let good = cursor(&owner, "/v2/tasks").await;
        let list = format!("/v2/tasks?cursor={good}");
        let token = owner.token.as_deref().unwrap();
        let again = TestApp::new(&database, Options::default()).await;
        assert_eq!(again.with_token(token).get(&list).await.ok()["data"].as_array().unwrap().len(), 4);
        let variables = vec![("ENCRYPTION_KEY", "QW5vdGhlciBvbmUgZm9yIHRlc3RzOiAzMiBieXRlcyE=")];
        let other = TestApp::new(&database, Options { variables, ..Options::default() }).await;
        assert_invalid_cursor(&other.with_token(token).get(&list).await.expect(400));
    }

    async fn a_cursor_remains_valid_without_its_task(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for sort in ["created_at&dir=asc", "title", "position", "priority", "due_at"] {
            let (owner, project, ids) = owner_with_five_tasks(&app).await;
            let other = owner.project().await;
            let list = format!("/v2/projects/{project}/tasks?sort={sort}");
            let first = owner.get(format!("{list}&limit=2")).await.ok();
            assert_eq!(first.column("title"), ["1", "2"], "{sort}");
            let good = first["meta"]["next_cursor"].as_str().unwrap();
            let gone = format!("/v1/tasks/{}", ids[1]);
            owner.post(format!("{gone}/move"), json!({"project_id": other})).await.ok();
            assert_eq!(rest(&owner, &list, good).await, ["3", "4", "5"], "moved away, {sort}");
            owner.delete(&gone).await.no_content();
            assert_eq!(rest(&owner, &list, good).await, ["3", "4", "5"], "deleted, {sort}");
            purge_task(&database, &ids[1]).await;
            owner.delete(format!("/v1/tasks/{}", ids[2])).await.no_content();
            assert_eq!(rest(&owner, &list, good).await, ["4", "5"], "purged, {sort}");
        }
    }

    async fn deleted_tasks_are_paginated_by_cursor(app: TestApp) {
        let (owner, project, ids) = owner_with_five_tasks(&app).await;
        for id in &ids[..4] {
            owner.delete(format!("/v1/tasks/{id}")).await.no_content();
        }
        for list in ["/v2/tasks?deleted=true".to_owned(), format!("/v2/projects/{project}/tasks?deleted=true")] {
            let list = format!("{list}&sort=title&limit=2");
            let first = owner.get(&list).await.ok();
            assert_eq!(first.column("title"), ["1", "2"]);
            let next = first["meta"]["next_cursor"].as_str().unwrap();
            let second = owner.get(format!("{list}&cursor={next}")).await.ok();
            assert_eq!(second.column("title"), ["3", "4"]);
            let sync = &first["meta"]["sync_cursor"];
            assert_eq!(second["meta"], json!({"limit": 2, "has_more": false, "next_cursor": null, "sync_cursor": sync}));
        }
    }

    async fn an_empty_list_has_no_cursor(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for list in ["/v2/tasks".to_owned(), format!("/v2/projects/{project}/tasks")] {
            let found = owner.get(list).await.ok();
            let sync = &found["meta"]["sync_cursor"];
            let meta = json!({"limit": 20, "has_more": false, "next_cursor": null, "sync_cursor": sync});
            assert_eq!(found, json!({"data": [], "meta": meta}));
        }
    }
}
