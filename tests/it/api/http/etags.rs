//! Entity tags of single resources.

use poem::http::Method;
use serde_json::{Value, json};

use super::edge::{ask, authorization};
use super::preconditions::in_other_case;
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::writes::{Operation, WriteFixture, operations_by_header};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::operations;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

/// Operations whose response is a single resource, with its schema.
fn single_resource_operations() -> Vec<(Operation, String)> {
    let mut found = Vec::new();
    for (id, method, template, description) in operations() {
        for status in ["200", "201"] {
            let schema = &description["responses"][status]["content"]["application/json"]["schema"]["$ref"];
            let schema = schema.as_str().unwrap_or_default().trim_start_matches("#/components/schemas/");
            if ["User", "Project", "Task", "Comment", "Webhook"].contains(&schema) {
                let operation =
                    Operation { id: id.clone(), method: method.clone(), template: template.clone(), description };
                found.push((operation, schema.to_owned()));
            }
        }
    }
    assert!(found.len() >= 14, "{}", found.len());
    found
}

/// Path of a resource.
fn resource_path(schema: &str, resource: &Value) -> String {
    match schema {
        "User" => "/v1/me".to_owned(),
        "Project" => format!("/v1/projects/{}", resource.id()),
        "Webhook" => format!("/v1/webhooks/{}", resource.id()),
        "Comment" => format!("/v1/comments/{}", resource.id()),
        _ => format!("/v1/tasks/{}", resource.id()),
    }
}

/// Prepares a valid request.
fn valid_request(fixture: &WriteFixture, operation: &Operation) -> Call {
    if operation.method == Method::GET {
        fixture.owner.call(Method::GET, fixture.path(operation))
    } else {
        fixture.call(&fixture.owner, operation)
    }
}

fn tag(answer: &Answer) -> String {
    answer.header("etag").to_owned()
}

async fn tag_at(client: &Client, path: &str) -> String {
    let answer = client.get(path).await;
    assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
    tag(&answer)
}

fn readable(fixture: &WriteFixture) -> [String; 5] {
    [
        "/v1/me".to_owned(),
        format!("/v1/projects/{}", fixture.project),
        format!("/v1/tasks/{}", fixture.task),
        format!("/v1/comments/{}", fixture.comment),
        format!("/v1/webhooks/{}", fixture.webhook),
    ]
}

on_both_databases! {
    async fn every_single_resource_response_has_an_etag(app: TestApp) {
        for (operation, schema) in single_resource_operations() {
            let fixture = WriteFixture::new(&app).await;
            let context = operation.id.as_str();
            let answer = valid_request(&fixture, &operation).send().await;
            assert!(answer.status.is_success(), "{context}: {}", answer.text);
            let tag = tag(&answer);
            let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let opaque = opaque.unwrap_or_else(|| panic!("{context}: {tag} is not a strong entity tag"));
            // RFC 9110, section 8.8.3, excluding commas, which separate tags in a list.
            let fit = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b',';
            assert!(opaque.len() > 8 && opaque.bytes().all(fit), "{context}: {tag}");
            assert_eq!(answer.headers.get_all("etag").iter().count(), 1, "{context}");
            assert_eq!(answer.header("cache-control"), "private, no-cache", "{context}");
            let read = fixture.owner.get(resource_path(&schema, &answer.body)).await;
            assert_eq!((read.header("etag"), &read.text), (tag.as_str(), &answer.text), "{context}");
        }
    }

    async fn a_matching_if_none_match_gets_304(app: TestApp) {
        for operation in operations_by_header("If-None-Match").0 {
            let fixture = WriteFixture::new(&app).await;
            let path = fixture.path(&operation);
            let tag = tag_at(&fixture.owner, &path).await;
            let bare = tag.trim_matches('"');
            for malformed in [bare, "", "\"", ",,", "nonsense"] {
                let call = fixture.owner.call(Method::GET, path.as_str());
                let call = call.header_line("if-none-match", malformed.as_bytes());
                call.send().await.invalid(&["If-None-Match:format"]);
            }
            for (lines, known) in [
                (vec![tag.clone()], true),
                (vec!["*".to_owned()], true),
                (vec![format!("W/{tag}")], true),
                (vec![format!("\"other\", {tag}")], true),
                (vec![format!("\"other\",{tag},W/\"another\"")], true),
                (vec![format!("\"{bare}-gzip\"")], true),
                (vec![format!("W/\"{bare}-gzip\"")], true),
                (vec!["\"other\"".to_owned(), tag.clone()], true),
                (vec!["\"other\"".to_owned()], false),
                (vec![format!("\"{bare}x\"")], false),
                (vec![in_other_case(&tag)], false),
                (vec!["\"*\"".to_owned()], false),
            ] {
                for method in [Method::GET, Method::HEAD] {
                    let call = fixture.owner.call(method.clone(), path.as_str());
                    let call = lines.iter().fold(call, |call, line| call.header_line("if-none-match", line.as_bytes()));
                    if method == Method::HEAD {
                        // The checked client knows only responses to GET.
                        let token = authorization(&fixture.owner);
                        let mut headers = vec![("authorization", token.as_bytes())];
                        headers.extend(lines.iter().map(|line| ("if-none-match", line.as_bytes())));
                        let answer = ask(&app, "HEAD", &path, &headers).await;
                        assert_eq!(answer.status.as_u16(), if known { 304 } else { 200 }, "{lines:?}");
                        assert_eq!(answer.header("etag").replace("-gzip", ""), tag, "{lines:?}");
                        assert_eq!(answer.body, Vec::<u8>::new(), "{lines:?}");
                        continue;
                    }
                    let answer = call.send().await;
                    assert_eq!(answer.status.as_u16(), if known { 304 } else { 200 }, "{path} {lines:?}");
                    assert_eq!(answer.text.is_empty(), known, "{path} {lines:?}");
                    assert_eq!(answer.headers.contains_key("content-type"), !known, "{path} {lines:?}");
                    assert_eq!(answer.header("etag").replace("-gzip", ""), tag, "{path} {lines:?}");
                    assert_eq!(answer.header("cache-control"), "private, no-cache", "{path} {lines:?}");
                }
            }
        }
    }

    async fn access_is_checked_before_if_none_match(app: TestApp) {
        let (fixture, stranger) = (WriteFixture::new(&app).await, app.user().await);
        for (client, path, status) in [
            (&stranger, format!("/v1/tasks/{}", fixture.task), 403),
            (&stranger, format!("/v1/projects/{}", fixture.project), 403),
            (&stranger, format!("/v1/comments/{}", fixture.comment), 403),
            (&stranger, format!("/v1/webhooks/{}", fixture.webhook), 403),
            (&fixture.owner, format!("/v1/tasks/{}", fixture.trashed), 404),
            (&fixture.owner, format!("/v1/projects/{}", fixture.deleted), 404),
            (&fixture.owner, format!("/v1/tasks/{}?x=1", fixture.task), 400),
            (&app.anonymous(), "/v1/me".to_owned(), 401),
        ] {
            let answer = client.call(Method::GET, path.as_str()).header("if-none-match", "*").send().await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            assert!(!answer.headers.contains_key("etag"), "{path}");
        }
    }

    async fn every_change_produces_a_new_etag(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let owner = &fixture.owner;
        for (path, changes) in readable(&fixture).into_iter().zip([
            [json!({"name": "One"}), json!({"timezone": "Asia/Tokyo"}), json!({"weekly_digest": false})],
            [json!({"name": "One"}), json!({"color": "#112233"}), json!({"name": "A project", "color": null})],
            [json!({"title": "One"}), json!({"status": "done"}), json!({"title": "A task", "status": "todo"})],
            [json!({"body": "One"}), json!({"body": "Two"}), json!({"body": "Why?"})],
        ]) {
            let mut tags = vec![tag_at(owner, &path).await];
            for change in changes {
                let known = tags.last().unwrap().clone();
                let answer = owner.patch(path.as_str(), change.clone()).await;
                let read = owner.call(Method::GET, path.as_str()).header("if-none-match", &known).send().await;
                assert_eq!(read.header("etag"), answer.header("etag"), "{change}");
                assert_eq!(read.ok(), answer.body, "{change}");
                assert!(!tags.contains(&tag(&answer)), "{change}: restored values are a new version too");
                tags.push(tag(&answer));
            }
        }
    }

    async fn a_write_without_changes_keeps_version_and_etag(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let owner = &fixture.owner;
        for path in readable(&fixture) {
            let before = owner.get(path.as_str()).await;
            let names = ["name", "title", "body", "url"];
            let name = names.into_iter().find(|name| !before.body[name].is_null()).unwrap();
            for change in [json!({}), json!({name: before.body[name]})] {
                let answer = owner.patch(path.as_str(), change.clone()).await;
                assert_eq!((answer.header("etag"), &answer.text), (before.header("etag"), &before.text), "{change}");
                let call = owner.call(Method::PATCH, path.as_str()).json(&change);
                let answer = call.header("if-match", before.header("etag")).send().await;
                assert_eq!((answer.header("etag"), &answer.text), (before.header("etag"), &before.text), "{change}");
            }
            let after = owner.get(path.as_str()).await;
            assert_eq!((after.header("etag"), &after.text), (before.header("etag"), &before.text), "{path}");
        }
        let here = owner.post(format!("/v1/tasks/{}/move", fixture.task), json!({})).await;
        assert_eq!(here.header("etag"), tag_at(owner, &format!("/v1/tasks/{}", fixture.task)).await);
        let there = owner.post_empty(format!("/v1/projects/{}/restore", fixture.project)).await;
        assert_eq!(there.header("etag"), tag_at(owner, &format!("/v1/projects/{}", fixture.project)).await);
    }

    async fn a_counter_changes_the_etag_without_failing_edits(app: TestApp) {
        let fixture = WriteFixture::new(&app).await;
        let owner = &fixture.owner;
        let path = format!("/v1/projects/{}", fixture.project);
        let before = owner.get(path.as_str()).await;
        owner.patch(format!("/v1/tasks/{}", fixture.task), json!({"status": "done"})).await.ok();
        app.work().await;
        let call = owner.call(Method::GET, path.as_str()).header("if-none-match", before.header("etag"));
        let counted = call.send().await;
        assert_ne!(counted.header("etag"), before.header("etag"));
        let counted = counted.ok();
        assert_eq!((&counted["version"], &counted["completion_percentage"]), (&before.body["version"], &json!(100)));
        let edit = |tag: &str, name: &str| {
            owner.call(Method::PATCH, path.as_str()).header("if-match", tag).json(&json!({"name": name}))
        };
        let edited = edit(before.header("etag"), "Another").send().await;
        assert_eq!(tag(&edited), tag_at(owner, &path).await);
        assert_eq!(edited.ok()["version"], 2);
        edit(before.header("etag"), "A third").send().await.fails(412, "PRECONDITION_FAILED");
    }

    async fn the_etag_depends_on_the_role_rather_than_the_token(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let fixture = WriteFixture::new(&app).await;
        let phone = log_in_again(&app, &fixture.owner).await;
        for path in readable(&fixture) {
            assert_eq!(tag_at(&phone, &path).await, tag_at(&fixture.owner, &path).await, "{path}");
        }
        let [_, project, task, comment, _] = readable(&fixture);
        let mut seen = vec![tag_at(&fixture.owner, &project).await];
        for role in ["editor", "viewer"] {
            let member = fixture.member(&app, role).await;
            let tag = tag_at(&member, &project).await;
            assert!(!seen.contains(&tag), "the response contains the role, so the tag differs by role");
            for path in [&task, &comment] {
                assert_eq!(tag_at(&member, path).await, tag_at(&fixture.owner, path).await, "{path} does not contain the role");
            }
            seen.push(tag);
        }
        for (number, seen) in seen.into_iter().enumerate() {
            let answer = fixture.owner.call(Method::GET, project.as_str()).header("if-none-match", &seen).send().await;
            assert_eq!(answer.status.as_u16(), if number == 0 { 304 } else { 200 });
            // A tag for the same version that another member received is accepted.
            let call = fixture.owner.call(Method::PATCH, project.as_str()).header("if-match", &seen);
            call.json(&json!({"name": "A project"})).send().await.ok();
        }
    }

    async fn the_etag_of_a_compressed_response_is_accepted_in_all_conditions(app: TestApp) {
        let owner = app.user().await;
        let body = json!({"name": "P", "description": "word ".repeat(390)});
        let project = owner.post("/v1/projects", body).await;
        let path = project.header("location").to_owned();
        let gzip = || owner.call(Method::GET, path.as_str()).header("accept-encoding", "gzip");
        let compressed = gzip().send().await;
        assert_eq!(compressed.header("content-encoding"), "gzip");
        let tag = tag(&compressed);
        assert_eq!(tag, format!("{}-gzip\"", project.header("etag").strip_suffix('"').unwrap()));
        for tag in [tag.clone(), format!("W/{tag}"), project.header("etag").to_owned()] {
            assert_eq!(gzip().header("if-none-match", &tag).send().await.status.as_u16(), 304, "{tag}");
            let call = owner.call(Method::PATCH, path.as_str()).json(&json!({"name": "P"}));
            call.header("if-match", &tag).send().await.ok();
        }
        let small = owner.call(Method::GET, "/v1/me").header("accept-encoding", "gzip").send().await;
        assert_eq!(small.header("etag"), tag_at(&owner, "/v1/me").await, "too small to be compressed");
        owner.patch(path.as_str(), json!({"name": "Q"})).await.ok();
        assert_eq!(gzip().header("if-none-match", &tag).send().await.status.as_u16(), 200);
        let call = owner.call(Method::PATCH, path.as_str()).json(&json!({"name": "R"}));
        call.header("if-match", &tag).send().await.fails(412, "PRECONDITION_FAILED");
    }

    // RFC 9110, section 15.4.5: the headers that a cache needs to select the stored response.
    async fn a_304_has_the_etag_and_vary_of_the_full_response(app: TestApp) {
        let owner = app.user().await;
        let body = json!({"name": "P", "description": "word ".repeat(390)});
        let path = owner.post("/v1/projects", body).await.header("location").to_owned();
        for encoding in ["gzip", "identity"] {
            let token = authorization(&owner);
            let mut headers = vec![
                ("authorization", token.as_bytes()),
                ("accept-encoding", encoding.as_bytes()),
                ("origin", b"http://localhost:5173"),
            ];
            let full = ask(&app, "GET", &path, &headers).await;
            let tag = full.header("etag");
            headers.push(("if-none-match", tag.as_bytes()));
            let short = ask(&app, "GET", &path, &headers).await;
            assert_eq!((full.status.as_u16(), short.status.as_u16()), (200, 304), "{encoding}");
            for name in ["etag", "vary", "cache-control"] {
                assert_eq!(short.header(name), full.header(name), "{encoding}: {name}");
            }
        }
    }
}
