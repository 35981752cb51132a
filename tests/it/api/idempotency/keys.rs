//! Format, lifetime and storage of idempotency keys.

use std::io::Read as _;
use std::time::Duration;

use poem::http::Method;
use serde_json::json;

use crate::api::fixtures::common::{DAY, UNKNOWN_ID, log_in_again};
use crate::api::fixtures::writes::{
    KEY, REPLAYED, WriteFixture, assert_first, assert_replay, new_key, operations_by_header, overwrite_stored_bodies,
    stored_keys,
};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::{Client, Options, TestApp, TestDatabase};

fn new_project(client: &Client, name: &str) -> Call {
    client.call(Method::POST, "/v1/projects").json(&json!({"name": name}))
}

/// Decompresses as much as is valid.
fn inflate(compressed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = flate2::read::DeflateDecoder::new(compressed).read_to_end(&mut text);
    text
}

on_both_databases! {
    async fn an_invalid_key_is_rejected_before_anything_else(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let fixture = WriteFixture::new(&app).await;
        let state = fixture.state().await;
        let (long, long_in_quotes) = ("k".repeat(256), format!("\"{}\"", "k".repeat(256)));
        let malformed: [&[&[u8]]; 16] = [
            &[b""],
            &[b" "],
            &[b"\"\""],
            &[b"two words"],
            &[b"\"two words\""],
            &[b"a\tb"],
            &[long.as_bytes()],
            &[long_in_quotes.as_bytes()],
            &["schlüssel".as_bytes()],
            &[b"\xfc"],
            &[b"\"open"],
            &[b"\""],
            &[b"\"a\"b\""],
            &[b"\"a\\bc\""],
            &[b"one", b"two"],
            &[b"same", b"same"],
        ];
        for operation in operations_by_header("Idempotency-Key").0 {
            for lines in malformed {
                let with_key = |call: Call| lines.iter().fold(call, |call, line| call.header_line(KEY, line));
                let good = with_key(fixture.call(&fixture.owner, &operation)).send().await;
                assert_eq!(good.status.as_u16(), 400, "{} {lines:?}: {}", operation.id, good.text);
                good.fails(400, "INVALID_IDEMPOTENCY_KEY");
            }
            // Everything else that is wrong: query, existence, precondition.
            let path = operation.template.replace("{project_id}", UNKNOWN_ID).replace("{task_id}", UNKNOWN_ID);
            let call = fixture.owner.call(operation.method.clone(), format!("{path}?no_such_parameter=1"));
            let call = call.header("if-match", "\"nonsense\"").header(KEY, "two words");
            let has_body = !fixture.body(&operation).is_null();
            let call = if has_body { call.json(&json!({"no_such_field": 1})) } else { call };
            call.send().await.fails(400, "INVALID_IDEMPOTENCY_KEY");
        }
        let call = new_project(&app.anonymous(), "x").header(KEY, "two words");
        call.send().await.fails(401, "UNAUTHENTICATED");
        assert_eq!(fixture.state().await, state);
        assert_eq!(stored_keys(&database).await, []);
    }

    async fn a_key_has_up_to_255_visible_characters(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let owner = app.user().await;
        let visible: String = ('!'..='~').collect();
        for (key, quoted) in [
            ("k".repeat(255), format!("\"{}\"", "k".repeat(255))),
            // Every character is escaped in the quoted form.
            ("\\".repeat(255), format!("\"{}\"", "\\".repeat(510))),
            ("!".to_owned(), "\"!\"".to_owned()),
            (visible.clone(), format!("\"{}\"", visible.replace('\\', "\\\\").replace('"', "\\\""))),
        ] {
            // A bare key cannot start with a quotation mark; none of these does.
            let first = new_project(&owner, "x").header(KEY, &key).send().await;
            assert_first(&first, &key);
            assert_replay(&first, &new_project(&owner, "x").header(KEY, &quoted).send().await, &quoted);
        }
        assert_eq!(stored_keys(&database).await.len(), 4);
    }

    async fn a_request_that_fails_or_changes_nothing_does_not_use_its_key(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let fixture = WriteFixture::new(&app).await;
        let (owner, stranger) = (&fixture.owner, app.user().await);
        let archived = owner.project().await;
        owner.patch(format!("/v1/projects/{archived}"), json!({"archived": true})).await.ok();
        let state = fixture.state().await;
        let (task, project) = (format!("/v1/tasks/{}", fixture.task), format!("/v1/projects/{}", fixture.project));
        let (tasks, batch) = (format!("{project}/tasks"), format!("{project}/tasks/batch"));
        let call = |method: Method, path: &str| owner.call(method, path);
        let too_late = |call: Call| call.header("if-match", "\"stale.stale\"");
        let half = json!({"operations": [
            {"op": "create", "title": "Never there"},
            {"op": "delete", "task_id": UNKNOWN_ID},
        ]});
        let same = json!({"operations": [{"op": "update", "task_id": fixture.task, "title": "A task"}]});
        let calls = [
            (400, "not valid", call(Method::POST, &tasks).json(&json!({"title": ""}))),
            (400, "no assignee", call(Method::POST, &tasks).json(&json!({"title": "x", "assignee_id": UNKNOWN_ID}))),
            (400, "no parameter", call(Method::DELETE, &format!("{task}?x=1"))),
            (400, "half a batch", call(Method::POST, &batch).json(&half)),
            (400, "no neighbour", call(Method::POST, &format!("{task}/move")).json(&json!({"after_id": UNKNOWN_ID}))),
            (403, "a stranger", stranger.call(Method::POST, tasks.as_str()).json(&json!({"title": "x"}))),
            (403, "a stranger", stranger.call(Method::DELETE, project.as_str())),
            (403, "archived", call(Method::POST, &format!("/v1/projects/{archived}/tasks")).json(&json!({"title": "x"}))),
            (404, "no project", call(Method::DELETE, &format!("/v1/projects/{UNKNOWN_ID}"))),
            (404, "in the trash", call(Method::PATCH, &format!("/v1/tasks/{}", fixture.trashed)).json(&json!({}))),
            (404, "no task", call(Method::POST, &format!("/v1/tasks/{UNKNOWN_ID}/move")).json(&json!({}))),
            (412, "stale task", too_late(call(Method::PATCH, &task)).json(&json!({"title": "x"}))),
            (412, "stale task", too_late(call(Method::DELETE, &task))),
            (412, "stale project", too_late(call(Method::DELETE, &project))),
            (415, "no JSON", call(Method::POST, &tasks).body("text/plain", "x")),
            (200, "an empty patch", call(Method::PATCH, &task).json(&json!({}))),
            (200, "the same title", call(Method::PATCH, &task).json(&json!({"title": "A task"}))),
            (200, "the same name", call(Method::PATCH, &project).json(&json!({"name": "A project"}))),
            (200, "moved to where it is", call(Method::POST, &format!("{task}/move")).json(&json!({}))),
            (200, "a task that is there", call(Method::POST, &format!("{task}/restore"))),
            (200, "a project that is there", call(Method::POST, &format!("{project}/restore"))),
            (200, "a batch of the same", call(Method::POST, &batch).json(&same)),
        ];
        for (status, context, call) in calls {
            let answer = call.header(KEY, "key").send().await;
            assert_eq!(answer.status.as_u16(), status, "{context}: {}", answer.text);
            assert!(!answer.headers.contains_key(REPLAYED), "{context}");
            assert_eq!(stored_keys(&database).await, [], "{context}");
        }
        assert_eq!(fixture.state().await, state);
        for client in [owner, &stranger] {
            assert_first(&new_project(client, "x").header(KEY, "key").send().await, "the key is free");
        }
    }

    async fn a_key_is_used_by_the_success_after_a_failure(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let patch = || {
            let call = fixture.owner.call(Method::PATCH, format!("/v1/tasks/{}", fixture.task)).header(KEY, "key");
            call.json(&json!({"title": "Done"}))
        };
        fixture.owner.delete(format!("/v1/tasks/{}", fixture.task)).await.no_content();
        patch().send().await.fails(404, "NOT_FOUND");
        fixture.owner.post_empty(format!("/v1/tasks/{}/restore", fixture.task)).await.ok();
        let first = patch().send().await;
        assert_first(&first, "the same request");
        fixture.owner.delete(format!("/v1/tasks/{}", fixture.task)).await.no_content();
        assert_replay(&first, &patch().send().await, "the same request, which would fail if executed");
    }

    async fn a_key_expires_after_a_day(app: TestApp) {
        let owner = app.user().await;
        let first = new_project(&owner, "First").header(KEY, "key").send().await;
        assert_first(&first, "the first");
        let minute = Duration::from_mins(1);
        app.clock.advance(DAY.checked_sub(minute).unwrap());
        let owner = log_in_again(&app, &owner).await;
        assert_replay(&first, &new_project(&owner, "First").header(KEY, "key").send().await, "a minute before");
        new_project(&owner, "Other").header(KEY, "key").send().await.fails(422, "IDEMPOTENCY_KEY_REUSED");
        // A replay does not extend the lifetime.
        app.clock.advance(minute);
        let other = || new_project(&owner, "Other").header(KEY, "key").send();
        let second = other().await;
        assert_first(&second, "a day later");
        assert_replay(&second, &other().await, "a day later");
        new_project(&owner, "First").header(KEY, "key").send().await.fails(422, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(owner.get("/v1/projects").await.ok().column("name"), [json!("Other"), json!("First")]);
    }

    async fn a_reused_key_keeps_nothing_of_its_first_response(app: TestApp) {
        let owner = app.user().await;
        assert_first(&new_project(&owner, "x").header(KEY, "key").send().await, "the first, with body and location");
        app.clock.advance(DAY);
        let owner = log_in_again(&app, &owner).await;
        let task = owner.task(&owner.project().await, json!({"title": "x"})).await.id();
        let delete = || owner.call(Method::DELETE, format!("/v1/tasks/{task}")).header(KEY, "key");
        let first = delete().send().await;
        assert_first(&first, "the second, without either");
        assert_replay(&first, &delete().send().await, "the second, without either");
    }

    async fn stored_responses_are_encrypted(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        for operation in operations_by_header("Idempotency-Key").0 {
            let fixture = WriteFixture::new(&app).await;
            let key = new_key();
            let answer = fixture.keyed(&fixture.owner, &operation, &key).send().await;
            assert_first(&answer, &operation.id);
            let stored = stored_keys(&database).await;
            let (_, sealed) = stored.into_iter().find(|(stored, _)| *stored == key).unwrap();
            assert_eq!(sealed.is_some(), !answer.text.is_empty(), "{}", operation.id);
            let Some(sealed) = sealed else { continue };
            // Responses are compressed before they are encrypted.
            let inflated = (0..sealed.len().min(64)).flat_map(|start| inflate(&sealed[start..]));
            let readable: Vec<u8> = sealed.iter().copied().chain(inflated).collect();
            let has = |part: &str| readable.windows(part.len()).any(|window| window == part.as_bytes());
            assert!(!has(&answer.text), "{}", operation.id);
            // Long enough not to occur in random bytes by chance.
            for part in ["title\"", "name\"", "version", "Lighthouse", "Harbour", "A task", &fixture.project, "{\"id\":"] {
                assert!(!has(part), "{}: {part} can be read", operation.id);
            }
        }
    }

    async fn a_stored_response_cannot_be_moved_to_another_request(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let (ada, bob) = (app.user().await, app.user().await);
        let adas = new_project(&ada, "Ada's").header(KEY, "source").send().await;
        assert_first(&adas, "Ada's");
        for (client, key) in [(&ada, "same-user"), (&bob, "other-user")] {
            assert_first(&new_project(client, "x").header(KEY, key).send().await, key);
        }
        overwrite_stored_bodies(&database, "source").await;
        assert_replay(&adas, &new_project(&ada, "Ada's").header(KEY, "source").send().await, "the original request");
        for (client, key) in [(&ada, "same-user"), (&bob, "other-user")] {
            new_project(client, "x").header(KEY, key).send().await.fails(500, "INTERNAL");
        }
    }
}
