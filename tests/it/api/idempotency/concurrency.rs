//! Concurrent requests with one idempotency key.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::concurrently;
use crate::api::fixtures::writes::{
    KEY, REPLAYED, WriteFixture, assert_first, new_key, operations_by_header, stored_keys,
};
use crate::on_both_databases;
use crate::support::{Answer, Options, TestApp, TestDatabase};

const REQUESTS: usize = 30;

/// Partitions the responses into first ones and replays, after removing those with `IDEMPOTENCY_IN_PROGRESS`.
fn first_and_replays(answers: Vec<Answer>, context: &str) -> (Vec<Answer>, Vec<Answer>) {
    let busy = |answer: &Answer| answer.status.as_u16() == 409;
    let (in_progress, answered): (Vec<_>, Vec<_>) = answers.into_iter().partition(busy);
    for answer in in_progress {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{context}");
        answer.fails(409, "IDEMPOTENCY_IN_PROGRESS");
    }
    for answer in &answered {
        assert!(answer.status.is_success(), "{context}: {}", answer.text);
    }
    answered.into_iter().partition(|answer| !answer.headers.contains_key(REPLAYED))
}

on_both_databases! {
    async fn concurrent_equal_requests_take_effect_once(app: TestApp) {
        for operation in operations_by_header("Idempotency-Key").0 {
            let fixture = WriteFixture::new(&app).await;
            let (key, context) = (new_key(), operation.id.as_str());
            let requests: Vec<_> =
                (0..REQUESTS).map(|_| fixture.keyed(&fixture.owner, &operation, &key).send()).collect();
            let (first, again) = first_and_replays(concurrently(requests).await, context);
            let [first] = &first[..] else { panic!("{context} happened {} times", first.len()) };
            for answer in &again {
                assert_eq!((answer.status, &answer.text), (first.status, &first.text), "{context}");
                for name in ["etag", "location"] {
                    assert_eq!(answer.headers.get(name), first.headers.get(name), "{context}");
                }
            }
            let task = fixture.owner.get(format!("/v1/tasks/{}", fixture.task)).await.body["version"].clone();
            let total = fixture.owner.get("/v1/tasks").await.ok()["meta"]["total"].clone();
            let projects = fixture.owner.get("/v1/projects").await.ok()["meta"]["total"].clone();
            let expected = match context {
                "createProject" | "restoreProject" => json!([1, 1, 3]),
                "updateProject" | "createApiToken" | "revokeApiToken" | "updateMember" | "removeMember"
                | "createInvitation" | "createComment" | "updateComment" | "deleteComment"
                | "createWebhook" | "updateWebhook" | "deleteWebhook" | "rotateWebhookSecret" | "testWebhook"
                | "redeliver" => json!([1, 1, 2]),
                "deleteProject" => json!([Value::Null, 0, 1]),
                "createTask" | "restoreTask" => json!([1, 2, 2]),
                "batchTasks" => json!([2, 2, 2]),
                "updateTask" | "moveTask" => json!([2, 1, 2]),
                "deleteTask" => json!([Value::Null, 0, 2]),
                other => panic!("no expectation for {other}"),
            };
            assert_eq!(json!([task, total, projects]), expected, "{context}");
            let tokens = fixture.owner.get("/v1/me/api-tokens").await.ok()["meta"]["total"].clone();
            let expected = match context {
                "createApiToken" => 2,
                "revokeApiToken" => 0,
                _ => 1,
            };
            assert_eq!(tokens, expected, "{context}");
            let webhooks = fixture.owner.get("/v1/webhooks").await.ok()["meta"]["total"].clone();
            let deliveries = fixture.owner.get(format!("/v1/webhooks/{}/deliveries", fixture.webhook)).await;
            let expected = match context {
                "createWebhook" => json!([2, 1]),
                "deleteWebhook" => json!([0, null]),
                "testWebhook" | "redeliver" => json!([1, 2]),
                _ => json!([1, 1]),
            };
            assert_eq!(json!([webhooks, deliveries.body["meta"]["total"]]), expected, "{context}");
            let mut related = Vec::new();
            for path in [
                format!("/v1/projects/{}/members", fixture.project),
                format!("/v1/projects/{}/invitations", fixture.project),
                format!("/v1/tasks/{}/comments", fixture.task),
            ] {
                related.push(fixture.owner.get(path).await.body["meta"]["total"].clone());
            }
            let expected = match context {
                "deleteProject" => json!([null, null, null]),
                "deleteTask" => json!([2, 0, null]),
                "removeMember" => json!([1, 0, 1]),
                "createInvitation" => json!([2, 1, 1]),
                "createComment" => json!([2, 0, 2]),
                "deleteComment" => json!([2, 0, 0]),
                _ => json!([2, 0, 1]),
            };
            assert_eq!(json!(related), expected, "{context}");
        }
    }

    async fn one_of_many_different_requests_with_one_key_succeeds(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let call = owner.call(Method::POST, "/v1/projects").json(&json!({"name": format!("P{number}")}));
                call.header(KEY, "key").send()
            })
            .collect();
        let answers = concurrently(requests).await;
        let refused = |answer: &Answer| answer.status.as_u16() == 422;
        let (refused, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(refused);
        for answer in refused {
            answer.fails(422, "IDEMPOTENCY_KEY_REUSED");
        }
        let (first, again) = first_and_replays(others, "createProject");
        assert_eq!((first.len(), again.len()), (1, 0));
        let list = owner.get("/v1/projects").await.ok();
        assert_eq!((&list["meta"]["total"], &list["data"][0]), (&json!(1), &first[0].body));
        assert_eq!(stored_keys(&database).await.len(), 1);
    }

    async fn different_keys_do_not_block_each_other(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let call = owner.call(Method::POST, format!("/v1/projects/{project}/tasks"));
                call.json(&json!({"title": "x"})).header(KEY, &format!("key-{number}")).send()
            })
            .collect();
        for answer in concurrently(requests).await {
            assert_first(&answer, "a key of its own");
        }
        assert_eq!(owner.get("/v1/tasks").await.ok()["meta"]["total"], REQUESTS);
    }
}
