//! Lists of comments: order, pages, and comments of moved and deleted tasks.

use pocket_tasks::contract::strings::CommentBody;
use pocket_tasks::contract::task::comment::Comment;
use pocket_tasks::contract::{CommentId, TaskId, Timestamp, UserId};
use poem::http::Method;
use serde_json::{Value, json};

use super::crud::{assert_deleted, at, comment, comments_on, owner_with_task};
use crate::api::fixtures::common::send;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

/// Creates comments within a few milliseconds and returns their ids by time, then by id.
async fn many_comments(app: &TestApp, owner: &Client, task: &str) -> Vec<Value> {
    let now = app.clock.now();
    let mut comments: Vec<Comment> = (0..12)
        .map(|number| Comment {
            id: CommentId::generate(),
            task_id: TaskId::parse(task).unwrap(),
            author_id: Some(UserId::parse(owner.user_id()).unwrap()),
            body: CommentBody::new_unchecked(format!("Comment {number}")),
            version: 1,
            // Against the order of ids, three at a time.
            created_at: Timestamp(now.0 - number / 3),
            updated_at: now,
        })
        .collect();
    let transaction = app.store.begin().await.unwrap();
    for comment in &comments {
        transaction.comments().add(comment).await.unwrap();
    }
    transaction.commit().await.unwrap();
    comments.sort_by_key(|comment| (comment.created_at, comment.id.0));
    comments.iter().map(|comment| json!(comment.id.0)).collect()
}

/// Asserts that comments on the task cannot be read, created or changed.
async fn assert_unavailable(client: &Client, task: &str, comments: &[Value]) {
    client.get(comments_on(task)).await.fails(404, "NOT_FOUND");
    client.post(comments_on(task), json!({"body": "x"})).await.fails(404, "NOT_FOUND");
    for comment in comments {
        assert_deleted(client, comment).await;
    }
}

/// Asserts that the comments are available and unchanged.
async fn assert_available(client: &Client, task: &str, comments: &[Value]) {
    let list = client.get(format!("{}?dir=asc", comments_on(task))).await.ok();
    assert_eq!(list["data"], json!(comments));
    for comment in comments {
        assert_eq!(&client.get(at(comment)).await.ok(), comment);
    }
}

on_both_databases! {
    async fn comments_are_sorted_newest_first_with_ties_by_id(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let other = owner.task(&project, json!({"title": "Other"})).await.id();
        comment(&owner, &other, "Elsewhere").await;
        let rising = many_comments(&app, &owner, &task).await;
        let falling: Vec<Value> = rising.iter().rev().cloned().collect();
        for (query, expected) in [
            ("", &falling),
            ("?sort=created_at", &falling),
            ("?dir=desc", &falling),
            ("?dir=asc", &rising),
            ("?sort=created_at&dir=asc", &rising),
        ] {
            let list = owner.get(format!("{}{query}", comments_on(&task))).await.ok();
            assert_eq!(&list.column("id"), expected, "{query}");
            assert_eq!(list["meta"], json!({"total": 12, "total_is_exact": true, "page": 1, "limit": 20, "has_more": false}), "{query}");
        }
        for limit in [1_usize, 2, 5, 12] {
            let mut found = Vec::new();
            for page in 1..=12_usize.div_ceil(limit) {
                let list = owner.get(format!("{}?dir=asc&limit={limit}&page={page}", comments_on(&task))).await.ok();
                found.extend(list.column("id"));
                let meta = json!({"total": 12, "total_is_exact": true, "page": page, "limit": limit, "has_more": page * limit < 12});
                assert_eq!(list["meta"], meta);
            }
            assert_eq!(found, rising, "pages of {limit}");
        }
        let rest = owner.get(format!("{}?offset=10&limit=5", comments_on(&task))).await.ok();
        assert_eq!((rest.column("id"), &rest["meta"]["page"]), (falling[10..].to_vec(), &json!(3)));
        let beyond = owner.get(format!("{}?page=99", comments_on(&task))).await.ok();
        assert_eq!((&beyond["data"], &beyond["meta"]["total"]), (&json!([]), &json!(12)));
    }

    async fn invalid_comment_list_queries_are_rejected(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        for (query, failures) in [
            ("limit=0", &["limit:minimum"][..]),
            ("limit=101", &["limit:maximum"]),
            ("page=0", &["page:minimum"]),
            ("page=1&offset=0", &["offset:conflict"]),
            ("sort=updated_at", &["sort:enum"]),
            ("dir=up", &["dir:enum"]),
            ("author_id=me", &["author_id:unknown_parameter"]),
            ("limit=1&limit=2", &["limit:duplicate_parameter"]),
        ] {
            owner.get(format!("{}?{query}", comments_on(&task))).await.invalid(failures);
        }
        assert_eq!(owner.get(comments_on(&task)).await.ok()["data"], json!([]));
    }

    async fn comments_are_deleted_and_restored_with_their_task(app: TestApp) {
        let (owner, project, task) = owner_with_task(&app).await;
        let comments = [comment(&owner, &task, "One").await, comment(&owner, &task, "Two").await];
        let batch = json!({"operations": [{"op": "delete", "task_id": task}]});
        let (task_path, project_path) = (format!("/v1/tasks/{task}"), format!("/v1/projects/{project}"));
        for (method, path, body, restored) in [
            (Method::DELETE, task_path.clone(), Value::Null, &task_path),
            (Method::POST, format!("{project_path}/tasks/batch"), batch, &task_path),
            (Method::DELETE, project_path.clone(), Value::Null, &project_path),
        ] {
            let deleted = send(&owner, &method, &path, &body).await;
            assert!(deleted.status.is_success(), "{}", deleted.text);
            assert_unavailable(&owner, &task, &comments).await;
            owner.post_empty(format!("{restored}/restore")).await.ok();
            assert_available(&owner, &task, &comments).await;
        }
    }

    async fn comments_move_with_their_task_to_another_project(app: TestApp) {
        let (owner, _, task) = owner_with_task(&app).await;
        let comments = [comment(&owner, &task, "One").await, comment(&owner, &task, "Two").await];
        let other = owner.project().await;
        owner.post(format!("/v1/tasks/{task}/move"), json!({"project_id": other})).await.ok();
        assert_available(&owner, &task, &comments).await;
        owner.delete(format!("/v1/projects/{other}")).await.no_content();
        assert_unavailable(&owner, &task, &comments).await;
    }
}
