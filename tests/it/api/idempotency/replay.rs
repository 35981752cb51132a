//! Replays of requests with an idempotency key.

use std::sync::Arc;
use std::time::Duration;

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::writes::{
    KEY, REPLAYED, WriteFixture, assert_first, assert_replay, new_key, operations_by_header, stored_keys,
};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::needs_token;
use crate::support::{Client, Options, TestApp, TestDatabase};

/// Prepares a request for a new task with a key.
fn new_task(client: &Client, project: &str, key: &str) -> Call {
    let call = client.call(Method::POST, format!("/v1/projects/{project}/tasks"));
    call.json(&json!({"title": "Lighthouse"})).header(KEY, key)
}

async fn count_tasks(client: &Client) -> Value {
    client.get("/v1/tasks").await.ok()["meta"]["total"].clone()
}

on_both_databases! {
    async fn every_write_with_a_key_happens_once_and_is_replayed(app: TestApp) {
        for operation in operations_by_header("Idempotency-Key").0 {
            let fixture = WriteFixture::new(&app).await;
            let (key, context) = (new_key(), operation.id.as_str());
            let before = fixture.state().await;
            let first = fixture.keyed(&fixture.owner, &operation, &key).send().await;
            assert_first(&first, context);
            let after = fixture.state().await;
            assert_ne!(after, before, "{context} must change something, or the test proves nothing");
            for _ in 0..2 {
                assert_replay(&first, &fixture.keyed(&fixture.owner, &operation, &key).send().await, context);
                assert_eq!(fixture.state().await, after, "{context} happened twice");
            }
            assert_first(&fixture.owner.call(Method::GET, "/v1/me").header(KEY, &key).send().await, "a GET");
        }
    }

    async fn equivalent_keys_and_bodies_are_the_same_request(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}/tasks");
        let request = |key: &str, body: &str| {
            let call = owner.call(Method::POST, path.as_str()).header_line(KEY, key.as_bytes());
            call.body("application/json", body.to_owned())
        };
        let body = r#"{"title":"Größe","labels":["a","b"],"due_at":null}"#;
        let first = request(r#"a"b\c"#, body).send().await;
        assert_first(&first, "the first");
        for (key, body) in [
            (r#""a\"b\\c""#, body),
            (r#"  a"b\c "#, body),
            (r#""a\"b\\c" "#, body),
            (r#"a"b\c"#, "\n{ \"title\" : \"Größe\",\t\"labels\":[ \"a\", \"b\" ] , \"due_at\" :null }\r\n"),
            (r#"a"b\c"#, r#"{"due_at":null,"labels":["a","b"],"title":"Größe"}"#),
            (r#"a"b\c"#, r#"{"title":"Gr\u00f6\u00DFe","labels":["a","\u0062"],"due_at":null}"#),
        ] {
            assert_replay(&first, &request(key, body).send().await, &format!("{key} {body}"));
        }
        assert_eq!(count_tasks(&owner).await, 1);

        let rename = |media_type: &str| {
            let call = owner.call(Method::PATCH, format!("/v1/tasks/{}", first.body.id())).header(KEY, "patch");
            call.body(media_type, r#"{"title":"x"}"#)
        };
        let first = rename("application/json").send().await;
        assert_first(&first, "the patch");
        for media_type in ["application/merge-patch+json", "application/json; charset=utf-8"] {
            assert_replay(&first, &rename(media_type).send().await, media_type);
        }
    }

    async fn a_key_of_another_request_is_rejected(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let (owner, task) = (&fixture.owner, format!("/v1/tasks/{}", fixture.task));
        let first = || owner.call(Method::PATCH, task.as_str()).json(&json!({"title": "x", "labels": ["a", "b"]}));
        let answer = first().header(KEY, "key").send().await;
        assert_first(&answer, "the first");
        let state = fixture.state().await;
        let good = json!({"title": "x", "labels": ["a", "b"]});
        for (context, other) in [
            ("other value", first().json(&json!({"title": "y", "labels": ["a", "b"]}))),
            ("other order of items", first().json(&json!({"title": "x", "labels": ["b", "a"]}))),
            ("one field more", first().json(&json!({"title": "x", "labels": ["a", "b"], "description": null}))),
            ("one field less", first().json(&json!({"title": "x"}))),
            ("blanks that would be trimmed", first().json(&json!({"title": "x ", "labels": ["a", "b"]}))),
            ("a body that is not valid", first().json(&json!({"title": 1}))),
            ("other method", owner.call(Method::DELETE, task.as_str())),
            ("other task", owner.call(Method::PATCH, format!("/v1/tasks/{}", fixture.trashed)).json(&good)),
            ("a project", owner.call(Method::PATCH, format!("/v1/projects/{}", fixture.project)).json(&good)),
            ("nothing", owner.call(Method::PATCH, "/v1/tasks/nothing").json(&good)),
            ("other query", owner.call(Method::PATCH, format!("{task}?x=1")).json(&good)),
            ("other operation", owner.call(Method::POST, "/v1/projects").json(&json!({"name": "x"}))),
        ] {
            let refused = other.header(KEY, "key").send().await;
            assert_eq!(refused.status.as_u16(), 422, "{context}: {}", refused.text);
            refused.fails(422, "IDEMPOTENCY_KEY_REUSED");
        }
        assert_eq!(fixture.state().await, state);
        assert_replay(&answer, &first().header(KEY, "\"key\"").send().await, "the first is still known");
        // Keys are case-sensitive and compared in full.
        for key in ["Key", "key1", "ke"] {
            let answer = owner.call(Method::POST, "/v1/projects").json(&json!({"name": "x"})).header(KEY, key);
            assert_first(&answer.send().await, key);
        }
    }

    async fn an_operation_that_takes_no_key_ignores_it(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let fixture = WriteFixture::new(&app).await;
        let nothing = "01936f50-1c80-7e5c-b130-4d8e3f70ffff";
        for operation in operations_by_header("Idempotency-Key").1 {
            let path = fixture.path(&operation).replace("{session_id}", nothing);
            // Operations that end a session are skipped, because the others need it.
            let client = match operation.id.as_str() {
                "logout" => log_in_again(&app, &fixture.owner).await,
                "deleteMe" => app.user().await,
                _ if needs_token(operation.description) => fixture.owner.clone(),
                _ => app.anonymous(),
            };
            for key in ["good", "two words", "\"open"] {
                let answer = client.call(operation.method.clone(), path.as_str()).header(KEY, key).send().await;
                assert_ne!(answer.body["error"], "INVALID_IDEMPOTENCY_KEY", "{}", operation.id);
                assert!(!answer.headers.contains_key(REPLAYED), "{}", operation.id);
            }
        }
        for name in ["First", "Second"] {
            let call = fixture.owner.call(Method::PATCH, "/v1/me").json(&json!({"name": name})).header(KEY, "good");
            assert_eq!(call.send().await.ok()["name"], name);
        }
        assert_eq!(stored_keys(&database).await, []);
    }

    async fn a_response_is_replayed_regardless_of_later_changes(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let (owner, project) = (&fixture.owner, format!("/v1/projects/{}", fixture.project));
        let task = owner.get(format!("/v1/tasks/{}", fixture.task)).await;
        let tag = task.header("etag").to_owned();
        let patch = || {
            let call = owner.call(Method::PATCH, format!("/v1/tasks/{}", fixture.task)).header("if-match", &tag);
            call.json(&json!({"title": "Patched"})).header(KEY, "patch")
        };
        let archive = || {
            let call = owner.call(Method::PATCH, project.as_str()).json(&json!({"archived": true}));
            call.header(KEY, "archive")
        };
        let delete = || owner.call(Method::DELETE, project.as_str()).header(KEY, "delete");
        let created = new_task(owner, &fixture.project, "create").send().await;
        assert_first(&created, "createTask");
        let patched = patch().send().await;
        assert_first(&patched, "updateTask");
        let again = async |context: &str| {
            assert_replay(&created, &new_task(owner, &fixture.project, "create").send().await, context);
            assert_replay(&patched, &patch().send().await, context);
        };
        again("nothing happened but the change itself").await;
        owner.patch(format!("/v1/tasks/{}", fixture.task), json!({"title": "Later"})).await.ok();
        owner.delete(format!("/v1/tasks/{}", created.body.id())).await.no_content();
        owner.delete(format!("/v1/tasks/{}", fixture.task)).await.no_content();
        again("the tasks were changed and deleted").await;
        let archived = archive().send().await;
        assert_first(&archived, "updateProject");
        again("the project was archived").await;
        assert_replay(&archived, &archive().send().await, "a project that is archived");
        let deleted = delete().send().await;
        assert_first(&deleted, "deleteProject");
        for call in [new_task(owner, &fixture.project, "create"), patch(), archive()] {
            call.send().await.fails(404, "NOT_FOUND");
        }
        assert_replay(&deleted, &delete().send().await, "a project in the trash");
        owner.post_empty(format!("{project}/restore")).await.ok();
        again("the project came back").await;
        assert_replay(&deleted, &delete().send().await, "a project that is back");
        assert_eq!(owner.get(&project).await.ok()["deleted_at"], Value::Null, "it was deleted again");
    }

    async fn a_replay_passes_the_checks_that_precede_it(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let project = owner.project().await;
        let first = new_task(&owner, &project, "key").send().await;
        assert_first(&first, "the first");
        let again = || new_task(&owner, &project, "key");
        again().header("accept", "text/html").send().await.fails(406, "NOT_ACCEPTABLE");
        again().header("content-type", "text/plain").send().await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
        again().body("application/json", "{").send().await.fails(400, "MALFORMED_JSON");
        new_task(&app.anonymous(), &project, "key").send().await.fails(401, "UNAUTHENTICATED");
        let second = log_in_again(&app, &owner).await;
        second.post_empty("/v1/auth/logout").await.no_content();
        new_task(&second, &project, "key").send().await.fails(401, "TOKEN_REVOKED");

        let options = Options { api_per_minute: 2, ..Options::default() };
        let limited = TestApp::over(Arc::clone(&app.store), options, app.clock.clone());
        let limited = limited.with_token(owner.token.as_deref().unwrap());
        for remaining in ["1", "0"] {
            let answer = new_task(&limited, &project, "key").send().await;
            assert_eq!((answer.header(REPLAYED), answer.header("ratelimit-remaining")), ("true", remaining));
        }
        new_task(&limited, &project, "key").send().await.fails(429, "RATE_LIMITED");

        app.clock.advance(Duration::from_mins(16));
        again().send().await.fails(401, "TOKEN_EXPIRED");
        assert_replay(&first, &new_task(&log_in_again(&app, &owner).await, &project, "key").send().await, "a new token");
        assert_eq!(count_tasks(&log_in_again(&app, &owner).await).await, 1);
    }
}
