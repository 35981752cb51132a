//! Deprecation headers (RFC 9745 and RFC 8594) on the operations that have a successor, and on no others.

use poem::http::Method;
use serde_json::{Value, json};

use super::edge::{ask, authorization};
use crate::api::fixtures::common::{UNKNOWN_ID, id_set};
use crate::on_sqlite;
use crate::support::client::Ids as _;
use crate::support::document::{DOCUMENT, operations};
use crate::support::{Answer, TestApp};

const HEADERS: [&str; 3] = ["deprecation", "sunset", "link"];

/// Seconds since 1970 of an HTTP date in the preferred format (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> i64 {
    let date = chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT");
    let date = date.unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(
        date.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        text,
        "the weekday and the leading zeros are correct"
    );
    date.and_utc().timestamp()
}

/// Target of the link with this relation.
fn link(answer: &Answer, relation: &str) -> String {
    let links = answer.header("link");
    let wanted = format!("rel=\"{relation}\"");
    let targets: Vec<&str> = links
        .split(", ")
        .filter(|link| link.split(';').any(|parameter| parameter.trim() == wanted))
        .map(|link| link.split_once('>').unwrap().0.strip_prefix('<').unwrap())
        .collect();
    assert_eq!(targets.len(), 1, "{links}");
    targets[0].to_owned()
}

#[track_caller]
fn assert_no_headers(answer: &Answer, context: &str) {
    for header in HEADERS {
        assert!(!answer.headers.contains_key(header), "{header}: {context}");
    }
}

on_sqlite! {
    async fn v1_task_lists_announce_their_sunset_and_successor(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        for title in ["1", "2"] {
            owner.task(&project, json!({"title": title})).await;
        }
        let other = owner.project().await;
        owner.task(&other, json!({"title": "3"})).await;
        for (path, query) in [
            (format!("/v1/projects/{project}/tasks"), ""),
            (format!("/v1/projects/{project}/tasks"), "?limit=2&page=1&sort=title&q=1"),
            (format!("/v1/projects/{}/tasks", project.to_uppercase()), ""),
            ("/v1/tasks".to_owned(), ""),
            ("/v1/tasks".to_owned(), "?offset=1"),
        ] {
            let answer = owner.get(format!("{path}{query}")).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}{query}");
            for header in HEADERS {
                assert_eq!(answer.headers.get_all(header).iter().count(), 1, "{header}");
            }
            let since: i64 = answer.header("deprecation").strip_prefix('@').unwrap().parse().unwrap();
            let until = http_date(answer.header("sunset"));
            assert!(since <= until, "{since} {until}");
            // At least a year for migration.
            assert!(until - since >= 365 * 86_400, "{since} {until}");
            let successor = link(&answer, "successor-version");
            assert_eq!(successor, path.replacen("/v1/", "/v2/", 1), "the same path");
            let old = owner.get(path.as_str()).await.ok();
            let new = owner.get(&successor).await;
            assert_no_headers(&new, &successor);
            assert_eq!(id_set(&new.ok()), id_set(&old), "{successor}");
            let notes = link(&answer, "deprecation");
            assert_eq!(app.anonymous().get(&notes).await.status.as_u16(), 200, "{notes}");
        }
    }

    async fn exactly_the_operations_marked_deprecated_send_the_headers(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let task = owner.task(&project, json!({"title": "x"})).await["id"].as_str().unwrap().to_owned();
        let comment = owner.post(format!("/v1/tasks/{task}/comments"), json!({"body": "x"})).await.created().id();
        let webhook = json!({"url": "https://hook.invalid/", "events": ["webhook.test"]});
        let webhook = owner.post("/v1/webhooks", webhook).await.created()["id"].as_str().unwrap().to_owned();
        let mut marked = Vec::new();
        let mut asked = 0;
        for (id, method, path, operation) in operations() {
            let is_deprecated = operation["deprecated"] == true;
            if is_deprecated {
                marked.push(id.clone());
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                let headers = pocket_tasks::api::openapi::resolve(&DOCUMENT, response)["headers"].as_object();
                for name in ["Deprecation", "Sunset", "Link"] {
                    let documented = headers.is_some_and(|headers| headers.contains_key(name));
                    assert_eq!(documented, is_deprecated && status.starts_with('2'), "{name} of {id} {status}");
                }
            }
            if method != Method::GET {
                continue;
            }
            asked += 1;
            let path = path
                .replace("{project_id}", &project)
                .replace("{task_id}", &task)
                .replace("{comment_id}", &comment)
                .replace("{webhook_id}", &webhook);
            let answer = owner.get(&path).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.text);
            if is_deprecated {
                assert!(HEADERS.iter().all(|header| answer.headers.contains_key(*header)), "{path}");
            } else {
                assert_no_headers(&answer, &path);
            }
        }
        assert_eq!(marked, ["listProjectTasks", "listTasks"]);
        assert!(asked > 8, "{asked}");
    }

    async fn writes_and_errors_send_no_deprecation_headers(app: TestApp) {
        let owner = app.user().await;
        let project = owner.project().await;
        let tasks = format!("/v1/projects/{project}/tasks");
        let stranger = app.user().await;
        for (answer, status) in [
            (owner.post(&tasks, json!({"title": "x"})).await, 201),
            (owner.post(format!("{tasks}/batch"), json!({"operations": []})).await, 400),
            (owner.get(format!("{tasks}?page=0")).await, 400),
            (owner.get(format!("/v1/projects/{UNKNOWN_ID}/tasks")).await, 404),
            (stranger.get(&tasks).await, 403),
            (app.anonymous().get("/v1/tasks").await, 401),
            (owner.delete(&tasks).await, 405),
            (owner.get("/v1/tasks/").await, 404),
        ] {
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
            assert_no_headers(&answer, &answer.text);
        }
    }

    async fn deprecation_headers_are_exposed_and_sent_for_head(app: TestApp) {
        let owner = app.user().await;
        owner.project().await;
        let authorization = authorization(&owner);
        let headers: [(&str, &[u8]); 2] =
            [("origin", b"http://localhost:5173"), ("authorization", authorization.as_bytes())];
        for method in ["GET", "HEAD"] {
            let answer = ask(&app, method, "/v1/tasks", &headers).await;
            let exposed = answer.header("access-control-expose-headers").to_lowercase();
            for header in HEADERS {
                assert!(exposed.split(", ").any(|name| name == header), "{header}: {exposed}");
                assert_ne!(answer.header(header), "", "{header} of {method}");
            }
        }
        let operation: &Value = &DOCUMENT["paths"]["/v1/tasks"]["get"];
        assert_eq!(operation["deprecated"], true);
    }
}
