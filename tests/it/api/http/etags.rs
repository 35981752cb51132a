//! The tags of single resources, and what they save.

use poem::http::Method;
use serde_json::{Value, json};

use super::edge::{ask, authorization};
use super::preconditions::in_other_case;
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::writes::{Operation, World, taking};
use crate::on_both_databases;
use crate::support::client::{Call, Ids as _};
use crate::support::document::operations;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

/// Every operation whose answer is one resource, and the schema of that.
fn of_one_resource() -> Vec<(Operation, String)> {
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

/// Where a resource is read.
fn address(schema: &str, resource: &Value) -> String {
    match schema {
        "User" => "/v1/me".to_owned(),
        "Project" => format!("/v1/projects/{}", resource.id()),
        "Webhook" => format!("/v1/webhooks/{}", resource.id()),
        "Comment" => format!("/v1/comments/{}", resource.id()),
        _ => format!("/v1/tasks/{}", resource.id()),
    }
}

/// A request with everything that it takes.
fn good(world: &World, operation: &Operation) -> Call {
    if operation.method == Method::GET {
        world.owner.call(Method::GET, world.path(operation))
    } else {
        world.call(&world.owner, operation)
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

fn readable(world: &World) -> [String; 5] {
    [
        "/v1/me".to_owned(),
        format!("/v1/projects/{}", world.project),
        format!("/v1/tasks/{}", world.task),
        format!("/v1/comments/{}", world.comment),
        format!("/v1/webhooks/{}", world.webhook),
    ]
}

on_both_databases! {
    async fn every_answer_that_is_one_resource_has_its_tag(app: TestApp) {
        for (operation, schema) in of_one_resource() {
            let world = World::new(&app).await;
            let place = operation.id.as_str();
            let answer = good(&world, &operation).send().await;
            assert!(answer.status.is_success(), "{place}: {}", answer.text);
            let tag = tag(&answer);
            let opaque = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let opaque = opaque.unwrap_or_else(|| panic!("{place}: {tag} is weak, or no tag"));
            // RFC 9110, section 8.8.3; and a comma would part it in a list.
            let fit = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b',';
            assert!(opaque.len() > 8 && opaque.bytes().all(fit), "{place}: {tag}");
            assert_eq!(answer.headers.get_all("etag").iter().count(), 1, "{place}");
            assert_eq!(answer.header("cache-control"), "private, no-cache", "{place}");
            let read = world.owner.get(address(&schema, &answer.body)).await;
            assert_eq!((read.header("etag"), &read.text), (tag.as_str(), &answer.text), "{place}");
        }
    }

    async fn who_has_it_already_does_not_get_it_again(app: TestApp) {
        for operation in taking("If-None-Match").0 {
            let world = World::new(&app).await;
            let path = world.path(&operation);
            let tag = tag_at(&world.owner, &path).await;
            let bare = tag.trim_matches('"');
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
                (vec![bare.to_owned()], false),
                (vec![format!("\"{bare}x\"")], false),
                (vec![in_other_case(&tag)], false),
                (vec![String::new()], false),
                (vec!["\"".to_owned()], false),
                (vec![",,".to_owned()], false),
                (vec!["\"*\"".to_owned()], false),
            ] {
                for method in [Method::GET, Method::HEAD] {
                    let call = world.owner.call(method.clone(), path.as_str());
                    let call = lines.iter().fold(call, |call, line| call.header_line("if-none-match", line.as_bytes()));
                    if method == Method::HEAD {
                        // The checked client knows the answers to GET only.
                        let token = authorization(&world.owner);
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

    async fn what_may_not_be_read_is_refused_before_tags_are_compared(app: TestApp) {
        let (world, stranger) = (World::new(&app).await, app.user().await);
        for (client, path, status) in [
            (&stranger, format!("/v1/tasks/{}", world.task), 403),
            (&stranger, format!("/v1/projects/{}", world.project), 403),
            (&stranger, format!("/v1/comments/{}", world.comment), 403),
            (&stranger, format!("/v1/webhooks/{}", world.webhook), 403),
            (&world.owner, format!("/v1/tasks/{}", world.trashed), 404),
            (&world.owner, format!("/v1/projects/{}", world.deleted), 404),
            (&world.owner, format!("/v1/tasks/{}?x=1", world.task), 400),
            (&app.anonymous(), "/v1/me".to_owned(), 401),
        ] {
            let answer = client.call(Method::GET, path.as_str()).header("if-none-match", "*").send().await;
            assert_eq!(answer.status.as_u16(), status, "{path}");
            assert!(!answer.headers.contains_key("etag"), "{path}");
        }
    }

    async fn a_change_makes_another_tag(app: TestApp) {
        let world = World::new(&app).await;
        let owner = &world.owner;
        for (path, changes) in readable(&world).into_iter().zip([
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
                assert!(!tags.contains(&tag(&answer)), "{change}: even back at the old values it is another version");
                tags.push(tag(&answer));
            }
        }
    }

    async fn what_changes_nothing_keeps_version_and_tag(app: TestApp) {
        let world = World::new(&app).await;
        let owner = &world.owner;
        for path in readable(&world) {
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
        let here = owner.post(format!("/v1/tasks/{}/move", world.task), json!({})).await;
        assert_eq!(here.header("etag"), tag_at(owner, &format!("/v1/tasks/{}", world.task)).await);
        let there = owner.post_empty(format!("/v1/projects/{}/restore", world.project)).await;
        assert_eq!(there.header("etag"), tag_at(owner, &format!("/v1/projects/{}", world.project)).await);
    }

    async fn a_counter_changes_the_tag_and_fails_no_edit(app: TestApp) {
        let world = World::new(&app).await;
        let owner = &world.owner;
        let path = format!("/v1/projects/{}", world.project);
        let before = owner.get(path.as_str()).await;
        owner.patch(format!("/v1/tasks/{}", world.task), json!({"status": "done"})).await.ok();
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

    async fn the_tag_follows_the_reader_and_not_the_token(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let world = World::new(&app).await;
        let phone = log_in_again(&app, &world.owner).await;
        for path in readable(&world) {
            assert_eq!(tag_at(&phone, &path).await, tag_at(&world.owner, &path).await, "{path}");
        }
        let [_, project, task, comment, _] = readable(&world);
        let mut seen = vec![tag_at(&world.owner, &project).await];
        for role in ["editor", "viewer"] {
            let member = world.member(&app, role).await;
            let tag = tag_at(&member, &project).await;
            assert!(!seen.contains(&tag), "the answer names the role, so it is another one for each role");
            for path in [&task, &comment] {
                assert_eq!(tag_at(&member, path).await, tag_at(&world.owner, path).await, "{path} names no role");
            }
            seen.push(tag);
        }
        for (number, seen) in seen.into_iter().enumerate() {
            let answer = world.owner.call(Method::GET, project.as_str()).header("if-none-match", &seen).send().await;
            assert_eq!(answer.status.as_u16(), if number == 0 { 304 } else { 200 });
            // What somebody else saw of this version is this version.
            let call = world.owner.call(Method::PATCH, project.as_str()).header("if-match", &seen);
            call.json(&json!({"name": "A project"})).send().await.ok();
        }
    }

    async fn what_is_compressed_has_a_tag_of_its_own_that_is_good_everywhere(app: TestApp) {
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
        assert_eq!(small.header("etag"), tag_at(&owner, "/v1/me").await, "too short to be compressed");
        owner.patch(path.as_str(), json!({"name": "Q"})).await.ok();
        assert_eq!(gzip().header("if-none-match", &tag).send().await.status.as_u16(), 200);
        let call = owner.call(Method::PATCH, path.as_str()).json(&json!({"name": "R"}));
        call.header("if-match", &tag).send().await.fails(412, "PRECONDITION_FAILED");
    }

    // RFC 9110, section 15.4.5: what a cache needs to find the answer that it keeps.
    async fn a_304_has_the_tag_and_the_vary_of_the_answer_that_it_stands_for(app: TestApp) {
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
