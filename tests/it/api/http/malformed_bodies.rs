//! Malformed bodies, size limits and the order of checks.

use poem::Body;
use poem::http::Method;
use serde_json::{Map, Value, json};

use crate::api::fixtures::common::{UNKNOWN_ID, send};
use crate::on_sqlite;
use crate::support::client::Ids as _;
use crate::support::{Client, TestApp};

const LIMIT: usize = 65_536;

/// Every operation on projects and tasks that takes a body, with the name of a known field.
async fn operations(owner: &Client) -> [(Method, String, &'static str); 4] {
    let project = owner.project().await;
    let task = owner.task(&project, json!({"title": "Tea"})).await.id();
    [
        (Method::POST, "/v1/projects".to_owned(), "name"),
        (Method::PATCH, format!("/v1/projects/{project}"), "name"),
        (Method::POST, format!("/v1/projects/{project}/tasks"), "title"),
        (Method::PATCH, format!("/v1/tasks/{task}"), "title"),
    ]
}

/// Bodies that are not valid JSON in the strict sense; NAME stands for the known field.
fn unreadable() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " \n",
        "{",
        "{\"NAME\": \"x\"",
        "{\"NAME\": \"x",
        "{\"NAME\": \"x\"} {}",
        "{\"NAME\": \"x\"}x",
        "{\"NAME\": \"x\"},",
        "{\"NAME\": \"x\", \"NAME\": \"y\"}",
        "{\"NAME\": \"x\", \"\\u004eAME\": \"y\", \"NAME\": \"x\"}",
        "{\"labels\": [{\"a\": 1, \"a\": 1}]}",
        "{\"NAME\": \"x\",}",
        "{NAME: \"x\"}",
        "{'NAME': 'x'}",
        "{\"NAME\": NaN}",
        "{\"NAME\": Infinity}",
        "{\"NAME\": -Infinity}",
        "{\"NAME\": undefined}",
        "{\"NAME\": 1e999}",
        "{\"NAME\": 01}",
        "{\"NAME\": +1}",
        "{\"NAME\": 0x10}",
        "{\"NAME\": True}",
        "{\"NAME\": \"\\ud800\"}",
        "{\"NAME\": \"\\x41\"}",
        "{\"NAME\": \"a\nb\"}",
        "{\"NAME\": \"x\"} // comment",
        "\u{feff}",
        "\u{feff}\u{feff}{\"NAME\": \"x\"}",
        "NAME=x",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(b"{\"NAME\": \"\xff\"}".to_vec());
    bodies.push(b"{\"NAME\": \"\xed\xa0\x80\"}".to_vec());
    bodies.push(b"{\"NAME\": \"\xc0\xaf\"}".to_vec());
    bodies.push("{\"NAME\": \"x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect());
    bodies.push(format!("{{\"NAME\": {}1{}}}", "[".repeat(64), "]".repeat(64)).into_bytes());
    bodies.push("[".repeat(50_000).into_bytes());
    bodies.push("{\"NAME\":".repeat(7_000).into_bytes());
    bodies
}

on_sqlite! {
    async fn invalid_json_is_malformed(app: TestApp) {
        let owner = app.user().await;
        for (method, path, name) in operations(&owner).await {
            for body in unreadable() {
                let text = String::from_utf8_lossy(&body).replace("NAME", name);
                // Invalid UTF-8 must stay invalid.
                let body = if std::str::from_utf8(&body).is_ok() { text.clone().into_bytes() } else { body };
                let call = owner.call(method.clone(), &path).body("application/json", Body::from_vec(body));
                let answer = call.send().await;
                let shown: String = text.chars().take(60).collect();
                assert_eq!(answer.body["error"], "MALFORMED_JSON", "{method} {path} {shown}: {}", answer.text);
                let answer = answer.expect(400);
                assert_eq!(answer.get("field"), None, "{shown}");
            }
        }
        assert_eq!(owner.get("/v1/projects").await.ok()["meta"]["total"], 1);
        assert_eq!(owner.get("/v1/tasks").await.ok().column("version"), [1]);
    }

    async fn json_at_the_limits_is_parsed_and_validated(app: TestApp) {
        let owner = app.user().await;
        for (method, path, name) in operations(&owner).await {
            for value in [
                format!("{}1{}", "[".repeat(63), "]".repeat(63)),
                "123456789012345678901234567890".to_owned(),
                "-1E300".to_owned(),
                "0.1e-400".to_owned(),
            ] {
                let body = format!("\r\n {{\"{name}\"\t: {value}}} \n");
                let answer = owner.call(method.clone(), &path).body("application/json", body).send().await;
                answer.invalid(&[&format!("{name}:type")]);
            }
            let body = format!("{{\"\\u00{:x}{}\": \"\\ud83e\\udd80 \\u00e4\"}}", name.as_bytes()[0], &name[1..]);
            let answer = owner.call(method.clone(), &path).body("application/json", body).send().await;
            assert!(answer.status.is_success(), "{}", answer.text);
            assert_eq!(answer.body[name], "🦀 ä");
        }
    }

    async fn only_json_media_types_are_accepted(app: TestApp) {
        let owner = app.user().await;
        for (method, path, name) in operations(&owner).await {
            let body = format!("{{\"{name}\": \"x\"}}");
            for media_type in [
                "text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                "application/problem+json", "application/json-patch+json", "application/jsonx", "application",
                "application/json; charset=utf-16", "",
            ] {
                let answer = owner.call(method.clone(), &path).body(media_type, body.clone()).send().await;
                assert_eq!(answer.status.as_u16(), 415, "{method} {media_type}: {}", answer.text);
                answer.fails(415, "UNSUPPORTED_MEDIA_TYPE");
            }
            let call = || owner.call(method.clone(), &path).body("application/json", body.clone());
            call().without_header("content-type").send().await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
            call().header("content-encoding", "gzip").send().await.fails(415, "UNSUPPORTED_MEDIA_TYPE");
            let json = ["application/json; charset=UTF-8", "Application/JSON", "application/json;charset=\"utf-8\""];
            for media_type in json {
                let answer = owner.call(method.clone(), &path).body(media_type, body.clone()).send().await;
                assert!(answer.status.is_success(), "{method} {media_type}: {}", answer.text);
            }
            let merge = owner.call(method.clone(), &path).body("application/merge-patch+json", body.clone());
            let merge = merge.send().await;
            if method == Method::PATCH {
                assert_eq!(merge.ok()[name], "x");
            } else {
                merge.fails(415, "UNSUPPORTED_MEDIA_TYPE");
            }
        }
    }

    async fn bodies_other_than_batches_are_limited_to_64_kibibytes(app: TestApp) {
        let owner = app.user().await;
        for (method, path, name) in operations(&owner).await {
            let mut body = format!("{{\"{name}\": \"x\"}}");
            body.push_str(&" ".repeat(LIMIT - body.len()));
            let answer = owner.call(method.clone(), &path).body("application/json", body.clone()).send().await;
            assert!(answer.status.is_success(), "{method}: {}", answer.text);
            body.push(' ');
            let answer = owner.call(method.clone(), &path).body("application/json", body.clone()).send().await;
            let answer = answer.fails(413, "PAYLOAD_TOO_LARGE");
            assert_eq!(answer["message"], "The request body is larger than 65536 bytes.");
            // The declared length is checked before the body is read.
            let call = owner.call(method, &path).body("application/json", "{}");
            call.header("content-length", "65537").send().await.fails(413, "PAYLOAD_TOO_LARGE");
        }
    }

    async fn requests_are_checked_in_the_documented_order(app: TestApp) {
        let (owner, stranger) = (app.user().await, app.user().await);
        let project = owner.project().await;
        let path = format!("/v1/projects/{project}");
        let archived = format!("/v1/projects/{}", owner.project().await);
        owner.patch(&archived, json!({"archived": true})).await.ok();
        let bad = json!({"name": ""});
        let unknown = format!("/v1/projects/{UNKNOWN_ID}");
        // Authentication precedes the media type; the media type and the syntax precede validation.
        let anonymous = app.anonymous();
        anonymous.call(Method::PATCH, &path).body("text/plain", "{").send().await.fails(401, "UNAUTHENTICATED");
        let unsupported = stranger.call(Method::PATCH, format!("{path}?x=1")).body("text/plain", "{").send().await;
        unsupported.fails(415, "UNSUPPORTED_MEDIA_TYPE");
        let malformed = stranger.call(Method::PATCH, format!("{path}?x=1")).body("application/json", "{").send().await;
        malformed.fails(400, "MALFORMED_JSON");
        // Validation precedes existence, permission and state, in this order.
        owner.patch(&unknown, bad.clone()).await.invalid(&["name:too_short"]);
        stranger.patch(&path, bad.clone()).await.invalid(&["name:too_short"]);
        owner.patch(&archived, bad.clone()).await.invalid(&["name:too_short"]);
        stranger.get(format!("{unknown}/tasks?limit=0")).await.invalid(&["limit:minimum"]);
        stranger.get(format!("{path}/tasks?limit=0")).await.invalid(&["limit:minimum"]);
        stranger.patch(&archived, json!({"name": "x"})).await.fails(403, "FORBIDDEN");
        let task = json!({"title": "x", "assignee_id": UNKNOWN_ID});
        owner.post(format!("{unknown}/tasks"), task.clone()).await.fails(404, "NOT_FOUND");
        stranger.post(format!("{path}/tasks"), task).await.fails(403, "FORBIDDEN");
    }

    async fn error_responses_never_echo_values_of_the_request(app: TestApp) {
        const SECRET: &str = "hunter2";
        let owner = app.user().await;
        for (method, path, name) in operations(&owner).await {
            let long = SECRET.repeat(2_000);
            for body in [
                json!({name: long, "status": SECRET, "priority": SECRET, "due_at": SECRET, "assignee_id": SECRET}),
                json!({name: [SECRET], "labels": {SECRET: SECRET}, "color": SECRET, "archived": SECRET}),
                json!({name: {SECRET: SECRET}, "description": [SECRET], "labels": [[SECRET], SECRET, SECRET]}),
                json!({name: "x", "labels": [format!("{SECRET},"), long], "version": SECRET}),
                json!([SECRET]),
                json!(SECRET),
            ] {
                let answer = send(&owner, &method, &path, &body).await;
                assert!(!answer.text.contains(SECRET), "{}", answer.text);
                answer.fails(400, "VALIDATION_FAILED");
            }
            for body in [SECRET, &format!("{{\"{name}\": {SECRET}}}"), &format!("{{\"{name}\": \"{SECRET}")] {
                let answer = owner.call(method.clone(), &path).body("application/json", body.to_owned()).send().await;
                assert!(!answer.text.contains(SECRET), "{}", answer.text);
                answer.fails(400, "MALFORMED_JSON");
            }
        }
        for parameter in [
            "limit", "page", "offset", "sort", "dir", "deleted", "status", "priority", "assignee_id", "project_id",
            "due_before", "due_after", "created_after", "updated_after", "zzz",
        ] {
            let answer = owner.get(format!("/v1/tasks?{parameter}={SECRET}")).await;
            assert!(!answer.text.contains(SECRET), "{}", answer.text);
            assert_eq!(answer.fails(400, "VALIDATION_FAILED")["field"], parameter);
        }
    }

    async fn error_responses_have_at_most_a_hundred_details(app: TestApp) {
        let owner = app.user().await;
        let body: Map<String, Value> = (0..5_000).map(|number| (format!("f{number}"), json!(1))).collect();
        let answer = owner.post("/v1/projects", body.into()).await.fails(400, "VALIDATION_FAILED");
        assert_eq!(answer["details"].as_array().unwrap().len(), 100);
        assert_eq!(answer["field"], "name");
    }
}
