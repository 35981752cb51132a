//! Comments on tasks: create, read, update and delete.

use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::{UNKNOWN_IDS, send, with};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

/// Path of the comments on a task.
pub(crate) fn comments_on(task: &str) -> String {
    format!("/v1/tasks/{task}/comments")
}

/// Path of a comment.
pub(crate) fn at(comment: &Value) -> String {
    format!("/v1/comments/{}", comment.id())
}

/// Adds a comment to a task.
pub(crate) async fn comment(client: &Client, task: &str, body: &str) -> Value {
    client.post(comments_on(task), json!({"body": body})).await.created()
}

/// Creates a user with a project and a task.
pub(crate) async fn owner_with_task(app: &TestApp) -> (Client, String, String) {
    let owner = app.user().await;
    let project = owner.project().await;
    let task = owner.task(&project, json!({"title": "Tea"})).await.id();
    (owner, project, task)
}

/// Asserts that every operation on a deleted comment fails.
pub(crate) async fn assert_deleted(client: &Client, comment: &Value) {
    for (method, body) in
        [(Method::GET, Value::Null), (Method::PATCH, json!({"body": "x"})), (Method::DELETE, Value::Null)]
    {
        let answer = send(client, &method, &at(comment), &body).await;
        assert_eq!(answer.fails(404, "NOT_FOUND")["message"], "There is no such comment.", "{method}");
    }
}

on_both_databases! {
    async fn a_created_comment_can_be_read(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let created = owner.post(comments_on(&task), json!({"body": "Green or black?"})).await;
        let (location, tag) = (created.header("location").to_owned(), created.header("etag").to_owned());
        let created = created.created();
        assert_eq!(location, at(&created));
        let expected = json!({
            "id": created["id"], "task_id": task, "author_id": owner.user_id(), "body": "Green or black?", "version": 1,
            "created_at": created["created_at"], "updated_at": created["created_at"],
        });
        assert_eq!(created, expected);
        let read = owner.get(location.as_str()).await;
        assert_eq!((read.header("etag"), &read.body), (tag.as_str(), &created));
        let known = owner.call(Method::GET, location).header("if-none-match", &tag).send().await;
        assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
        assert_eq!(owner.get(comments_on(&task)).await.ok()["data"], json!([created]));
    }

    async fn comment_bodies_are_stored_unchanged(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let changed = comment(&owner, &task, "Before").await;
        for body in [
            "x",
            "  Not trimmed: blanks before and after  ",
            "\n\tLines\n\n\tand tabs\n",
            "'); DROP TABLE comments; -- \\ % _ \"",
            "<script>alert(1)</script> &amp; {{1+1}}",
            "caf\u{e9} in its normal form, 👩\u{200d}👩\u{200d}👧 is one, \u{202e}so is this",
            // Unicode scalar values are counted rather than bytes or UTF-16 units.
            &"😀".repeat(10_000),
        ] {
            let created = comment(&owner, &task, body).await;
            assert_eq!(created["body"], body);
            assert_eq!(owner.get(at(&created)).await.ok()["body"], body);
            assert_eq!(owner.patch(at(&changed), json!({"body": body})).await.ok()["body"], body);
            assert_eq!(owner.get(at(&changed)).await.ok()["body"], body);
        }
    }

    async fn empty_and_too_long_comments_are_rejected(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let kept = comment(&owner, &task, "Kept").await;
        for (body, failure) in [
            (json!(""), "body:too_short"),
            (json!(" "), "body:pattern"),
            (json!("\n\t \n"), "body:pattern"),
            (json!("\u{a0}\u{2003}\u{3000}\u{2028}"), "body:pattern"),
            (json!("a\u{0}b"), "body:pattern"),
            (json!("a\rb"), "body:pattern"),
            (json!("a\u{1b}[31mb"), "body:pattern"),
            (json!("a\u{7f}"), "body:pattern"),
            (json!("a\u{85}"), "body:pattern"),
            (json!("😀".repeat(10_001)), "body:too_long"),
            (json!(null), "body:null"),
            (json!(7), "body:type"),
            (json!(["x"]), "body:type"),
        ] {
            owner.post(comments_on(&task), json!({"body": body})).await.invalid(&[failure]);
            owner.patch(at(&kept), json!({"body": body})).await.invalid(&[failure]);
        }
        owner.post(comments_on(&task), json!({})).await.invalid(&["body:required"]);
        for (name, value) in kept.as_object().unwrap().iter().filter(|(name, _)| *name != "body") {
            let body = json!({"body": "x", name: value});
            owner.post(comments_on(&task), body.clone()).await.invalid(&[&format!("{name}:unknown_field")]);
            owner.patch(at(&kept), body).await.invalid(&[&format!("{name}:unknown_field")]);
        }
        assert_eq!(owner.get(comments_on(&task)).await.ok()["data"], json!([kept]));
    }

    async fn only_an_actual_change_increases_the_version(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let created = owner.post(comments_on(&task), json!({"body": "Green"})).await;
        let path = at(&created.body);
        app.clock.advance(Duration::from_secs(5));
        for nothing in [json!({}), json!({"body": "Green"})] {
            let answer = owner.patch(&path, nothing).await;
            assert_eq!((answer.header("etag"), &answer.text), (created.header("etag"), &created.text));
        }
        let other = comment(&owner, &task, "Another").await;
        let changed = owner.patch(&path, json!({"body": "Black"})).await;
        assert_ne!(changed.header("etag"), created.header("etag"));
        let updated = changed.body["updated_at"].clone();
        let expected = with(&created.body, &json!({"body": "Black", "version": 2, "updated_at": updated}));
        assert_eq!(changed.body, expected);
        assert!(updated.as_str() > created.body["updated_at"].as_str());
        assert_eq!(owner.get(&path).await.ok(), expected);
        assert_eq!(owner.get(at(&other)).await.ok(), other);
        // Restoring the original text is a change too.
        assert_eq!(owner.patch(&path, json!({"body": "Green"})).await.ok()["version"], 3);
    }

    async fn an_edit_of_an_older_version_gets_the_current_comment(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let first = owner.post(comments_on(&task), json!({"body": "Green"})).await;
        let (path, stale) = (at(&first.body), first.header("etag").to_owned());
        let second = owner.patch(&path, json!({"body": "Black"})).await;
        let current = second.header("etag").to_owned();
        for (method, body) in [(Method::PATCH, json!({"body": "White"})), (Method::DELETE, Value::Null)] {
            let call = owner.call(method, path.as_str()).header("if-match", &stale);
            let call = if body.is_null() { call } else { call.json(&body) };
            assert_eq!(call.send().await.fails(412, "PRECONDITION_FAILED")["current"], second.body);
        }
        let call = owner.call(Method::PATCH, path.as_str()).header("if-match", &current);
        let third = call.json(&json!({"body": "White"})).send().await;
        let latest = third.header("etag").to_owned();
        assert_eq!(third.ok()["version"], 3);
        owner.call(Method::DELETE, path.as_str()).header("if-match", &latest).send().await.no_content();
    }

    async fn deletion_removes_one_comment_only(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let (gone, kept) = (comment(&owner, &task, "Gone").await, comment(&owner, &task, "Kept").await);
        owner.delete(at(&gone)).await.no_content();
        assert_deleted(&owner, &gone).await;
        let list = owner.get(comments_on(&task)).await.ok();
        assert_eq!((&list["data"], &list["meta"]["total"]), (&json!([kept]), &json!(1)));
    }

    async fn unknown_ids_of_comments_are_not_found(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        for id in UNKNOWN_IDS.into_iter().chain([project.as_str(), task.as_str()]) {
            let comment = format!("/v1/comments/{id}");
            owner.get(&comment).await.fails(404, "NOT_FOUND");
            owner.patch(&comment, json!({"body": "x"})).await.fails(404, "NOT_FOUND");
            owner.delete(&comment).await.fails(404, "NOT_FOUND");
        }
        let created = comment(&owner, &task, "x").await.id();
        for id in UNKNOWN_IDS.into_iter().chain([project.as_str(), created.as_str()]) {
            owner.get(comments_on(id)).await.fails(404, "NOT_FOUND");
            owner.post(comments_on(id), json!({"body": "x"})).await.fails(404, "NOT_FOUND");
        }
    }

    async fn comments_do_not_change_the_version_of_their_task(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        app.work().await;
        let paths = [format!("/v1/tasks/{task}"), format!("/v1/projects/{project}"), "/v1/me".to_owned()];
        let mut before = Vec::new();
        for path in &paths {
            before.push(owner.get(path).await);
        }
        app.clock.advance(Duration::from_secs(5));
        let created = comment(&owner, &task, "Green").await;
        owner.patch(at(&created), json!({"body": "Black"})).await.ok();
        owner.delete(at(&created)).await.no_content();
        comment(&owner, &task, "White").await;
        app.work().await;
        for (path, before) in paths.iter().zip(before) {
            let after = owner.get(path).await;
            assert_eq!((after.header("etag"), &after.text), (before.header("etag"), &before.text), "{path}");
        }
    }
}
