//! Many requests with one key at the same time.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::at_once;
use crate::api::fixtures::writes::{KEY, REPLAYED, World, assert_first, new_key, stored_keys, taking};
use crate::on_both_databases;
use crate::support::{Answer, Options, TestApp, TestDatabase};

const MANY: usize = 30;

/// Parts the answers into the first and its repetitions; who could not wait for it was told so.
fn sorted_out(answers: Vec<Answer>, place: &str) -> (Vec<Answer>, Vec<Answer>) {
    let busy = |answer: &Answer| answer.status.as_u16() == 409;
    let (told_to_wait, answered): (Vec<_>, Vec<_>) = answers.into_iter().partition(busy);
    for answer in told_to_wait {
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{place}");
        answer.fails(409, "IDEMPOTENCY_IN_PROGRESS");
    }
    for answer in &answered {
        assert!(answer.status.is_success(), "{place}: {}", answer.text);
    }
    answered.into_iter().partition(|answer| !answer.headers.contains_key(REPLAYED))
}

on_both_databases! {
    async fn of_many_equal_requests_at_once_one_has_an_effect(app: TestApp) {
        for operation in taking("Idempotency-Key").0 {
            let world = World::new(&app).await;
            let (key, place) = (new_key(), operation.id.as_str());
            let requests: Vec<_> =
                (0..MANY).map(|_| world.keyed(&world.owner, &operation, &key).send()).collect();
            let (first, again) = sorted_out(at_once(requests).await, place);
            let [first] = &first[..] else { panic!("{place} happened {} times", first.len()) };
            for answer in &again {
                assert_eq!((answer.status, &answer.text), (first.status, &first.text), "{place}");
                for name in ["etag", "location"] {
                    assert_eq!(answer.headers.get(name), first.headers.get(name), "{place}");
                }
            }
            let task = world.owner.get(format!("/v1/tasks/{}", world.task)).await.body["version"].clone();
            let total = world.owner.get("/v1/tasks").await.ok()["meta"]["total"].clone();
            let projects = world.owner.get("/v1/projects").await.ok()["meta"]["total"].clone();
            let expected = match place {
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
                other => panic!("what does {other} change?"),
            };
            assert_eq!(json!([task, total, projects]), expected, "{place}");
            let tokens = world.owner.get("/v1/me/api-tokens").await.ok()["meta"]["total"].clone();
            let expected = match place {
                "createApiToken" => 2,
                "revokeApiToken" => 0,
                _ => 1,
            };
            assert_eq!(tokens, expected, "{place}");
            let webhooks = world.owner.get("/v1/webhooks").await.ok()["meta"]["total"].clone();
            let deliveries = world.owner.get(format!("/v1/webhooks/{}/deliveries", world.webhook)).await;
            let expected = match place {
                "createWebhook" => json!([2, 1]),
                "deleteWebhook" => json!([0, null]),
                "testWebhook" | "redeliver" => json!([1, 2]),
                _ => json!([1, 1]),
            };
            assert_eq!(json!([webhooks, deliveries.body["meta"]["total"]]), expected, "{place}");
            let mut people_and_talk = Vec::new();
            for path in [
                format!("/v1/projects/{}/members", world.project),
                format!("/v1/projects/{}/invitations", world.project),
                format!("/v1/tasks/{}/comments", world.task),
            ] {
                people_and_talk.push(world.owner.get(path).await.body["meta"]["total"].clone());
            }
            let expected = match place {
                "deleteProject" => json!([null, null, null]),
                "deleteTask" => json!([2, 0, null]),
                "removeMember" => json!([1, 0, 1]),
                "createInvitation" => json!([2, 1, 1]),
                "createComment" => json!([2, 0, 2]),
                "deleteComment" => json!([2, 0, 0]),
                _ => json!([2, 0, 1]),
            };
            assert_eq!(json!(people_and_talk), expected, "{place}");
        }
    }

    async fn of_many_different_requests_with_one_key_at_once_one_succeeds(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let requests: Vec<_> = (0..MANY)
            .map(|number| {
                let call = owner.call(Method::POST, "/v1/projects").json(&json!({"name": format!("P{number}")}));
                call.header(KEY, "key").send()
            })
            .collect();
        let answers = at_once(requests).await;
        let refused = |answer: &Answer| answer.status.as_u16() == 422;
        let (refused, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(refused);
        for answer in refused {
            answer.fails(422, "IDEMPOTENCY_KEY_REUSED");
        }
        let (first, again) = sorted_out(others, "createProject");
        assert_eq!((first.len(), again.len()), (1, 0));
        let list = owner.get("/v1/projects").await.ok();
        assert_eq!((&list["meta"]["total"], &list["data"][0]), (&json!(1), &first[0].body));
        assert_eq!(stored_keys(&database).await.len(), 1);
    }

    async fn different_keys_do_not_get_in_the_way_of_each_other(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let requests: Vec<_> = (0..MANY)
            .map(|number| {
                let call = owner.call(Method::POST, format!("/v1/projects/{project}/tasks"));
                call.json(&json!({"title": "x"})).header(KEY, &format!("key-{number}")).send()
            })
            .collect();
        for answer in at_once(requests).await {
            assert_first(&answer, "a key of its own");
        }
        assert_eq!(owner.get("/v1/tasks").await.ok()["meta"]["total"], MANY);
    }
}
