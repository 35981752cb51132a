//! Text with a meaning in SQL, patterns, templates, JSON or HTML is only text.

use serde_json::json;

use crate::api::fixtures::common::percent_encoded;
use crate::on_both_databases;
use crate::support::TestApp;
use crate::support::client::Ids as _;

const TEXTS: [&str; 10] = [
    "'; DROP TABLE tasks; --",
    "\" OR \"\"=\"",
    "') UNION SELECT password_hash FROM users --",
    "100% _exact_ \\ [a-z]*",
    "$1 ?2 :name @name {0} %s",
    "<script>alert(1)</script>",
    "{\"$ne\": null}",
    "../../etc/passwd",
    "${jndi:ldap://example.com/x}",
    "{{7*7}} #{7*7}",
];

on_both_databases! {
    async fn text_with_a_meaning_elsewhere_is_stored_and_found_unchanged(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let tasks = format!("/v2/projects/{project}/tasks");
        for text in TEXTS {
            let task = user.task(&project, json!({"title": text, "description": text, "labels": [text]})).await;
            assert_eq!((&task["title"], &task["description"], &task["labels"]), (&json!(text), &json!(text), &json!([text])));
            for filter in ["q", "label"] {
                let found = user.get(format!("{tasks}?{filter}={}", percent_encoded(text))).await.ok();
                assert_eq!(found["data"], json!([task]), "{filter}={text}");
            }
            let comments = format!("/v1/tasks/{}/comments", task.id());
            assert_eq!(user.post(comments, json!({"body": text})).await.created()["body"], text);
        }
        assert_eq!(user.get(format!("{tasks}?limit=100")).await.ok().column("id").len(), TEXTS.len());
    }

    async fn such_text_in_the_place_of_ids_cursors_and_sort_orders_is_refused(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let task = user.task(&project, json!({"title": "A task"})).await;
        for text in TEXTS {
            let encoded = percent_encoded(text);
            user.get(format!("/v1/tasks/{encoded}")).await.fails(404, "NOT_FOUND");
            user.get(format!("/v1/projects/{encoded}")).await.fails(404, "NOT_FOUND");
            user.get(format!("/v2/tasks?cursor={encoded}")).await.fails(400, "INVALID_CURSOR");
            user.get(format!("/v1/events?cursor={encoded}")).await.fails(400, "INVALID_CURSOR");
            for (parameter, code) in [("sort", "enum"), ("dir", "enum"), ("limit", "type"), ("due_before", "format")] {
                let answer = user.get(format!("/v2/tasks?{parameter}={encoded}")).await;
                answer.invalid(&[&format!("{parameter}:{code}")]);
            }
        }
        assert_eq!(user.get("/v2/tasks").await.ok()["data"], json!([task]));
    }
}
