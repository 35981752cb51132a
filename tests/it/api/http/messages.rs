//! Messages that tell the author of a client what to change.

use serde_json::json;

use super::edge::{ask, without_storage};
use crate::on_sqlite;
use crate::support::TestApp;

on_sqlite! {
    async fn an_unknown_name_suggests_the_nearest_known_one(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let tasks = format!("/v1/projects/{project}/tasks");
        for (field, message) in [
            ("dueAt", "dueAt is not a field of this request. Did you mean due_at?"),
            ("due-at", "due-at is not a field of this request. Did you mean due_at?"),
            ("asignee_id", "asignee_id is not a field of this request. Did you mean assignee_id?"),
            ("labels ", "labels  is not a field of this request. Did you mean labels?"),
            ("zzz", "zzz is not a field of this request."),
        ] {
            let body = user.post(&tasks, json!({"title": "x", field: "y"})).await.fails(400, "VALIDATION_FAILED");
            assert_eq!(body["message"], message);
        }
        let body = user.get(format!("{tasks}?asignee=me&pagee=2")).await.fails(400, "VALIDATION_FAILED");
        let messages: Vec<_> = body["details"].as_array().unwrap().iter().map(|detail| &detail["message"]).collect();
        assert_eq!(messages, [
            "asignee is not a parameter of this operation. Did you mean assignee_id?",
            "pagee is not a parameter of this operation. Did you mean page?",
        ]);
    }

    async fn a_time_without_an_offset_is_told_so(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let tasks = format!("/v1/projects/{project}/tasks");
        for (time, words) in [("2026-01-31T09:00:00", "no UTC offset"), ("2026-01-31T09:00:00.123", "no UTC offset"), ("tomorrow", "a time like")] {
            let body = user.post(&tasks, json!({"title": "x", "due_at": time})).await.fails(400, "VALIDATION_FAILED");
            assert!(body["message"].as_str().unwrap().contains(words), "{body}");
        }
    }

    async fn a_webhook_url_that_is_no_url_is_invalid(app: TestApp) {
        let user = app.user().await;
        let create = async |url: &str| user.post("/v1/webhooks", json!({"url": url, "events": ["*"]})).await;
        for url in ["example.com/hooks", "https://", "https://exa mple.com", "https:\\\\example.com", "/hooks", "https://[::1", "no url", "https:///x", "https:example.com", "mailto:a@example.com"] {
            create(url).await.invalid(&["url:format"]);
        }
        for url in ["http://example.com/", "ftp://example.com/", "https://127.0.0.1/", "https://a:b@example.com/"] {
            create(url).await.fails(422, "WEBHOOK_URL_FORBIDDEN");
        }
    }
}

#[tokio::test]
async fn a_missing_a_malformed_and_an_unreadable_token_are_told_apart() {
    let app = without_storage(&[]).await;
    for (authorization, words, challenge) in [
        (None, "Send a valid access token", "Bearer realm=\"pocket-tasks\""),
        (Some("Token abc"), "given once, as `Bearer <token>`", "Bearer realm=\"pocket-tasks\""),
        (Some("Bearer"), "given once, as `Bearer <token>`", "Bearer realm=\"pocket-tasks\""),
        (Some("Bearer abc"), "cannot be read", "error=\"invalid_token\""),
    ] {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value.as_bytes())).into_iter().collect();
        let answer = ask(&app, "GET", "/v1/me", &headers).await;
        assert_eq!(answer.json()["error"], "UNAUTHENTICATED");
        assert!(answer.json()["message"].as_str().unwrap().contains(words), "{}", answer.json());
        assert!(answer.header("www-authenticate").contains(challenge), "{}", answer.header("www-authenticate"));
    }
}

#[tokio::test]
async fn an_unknown_path_leads_to_the_documentation() {
    let app = without_storage(&[]).await;
    let answer = ask(&app, "GET", "/v1/taks", &[]).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert!(answer.json()["message"].as_str().unwrap().contains("/docs"), "{}", answer.json());
}
