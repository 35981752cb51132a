//! Webhooks: create, read, update, delete and list.

use pocket_tasks::contract::event::EventType;
use serde_json::{Value, json};

use crate::api::fixtures::webhooks::{WEBHOOKS, app, deliveries, emit_event, subscribed_user, webhook};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{TestApp, TestDatabase};

const URL: &str = "https://example.com/hook";

on_both_databases! {
    async fn a_webhook_is_created_read_updated_and_deleted(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let new = json!({"url": URL, "project_id": project, "events": ["task.created", "webhook.test"], "description": "A\nchat"});
        let answer = user.post(WEBHOOKS, new.clone()).await;
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let tag = answer.header("etag").to_owned();
        let mut created = answer.created();
        let secret = created.as_object_mut().unwrap().remove("secret").unwrap();
        let secret = secret.as_str().unwrap();
        assert!(secret.starts_with("whsec_") && secret.len() == 50, "{}", secret.len());
        for (field, value) in new.as_object().unwrap() {
            assert_eq!(created[field], *value, "{field}");
        }
        assert_eq!((&created["enabled"], &created["disabled_reason"], &created["version"]), (&json!(true), &Value::Null, &json!(1)));

        let path = format!("{WEBHOOKS}/{}", created.id());
        let read = user.get(&path).await;
        assert_eq!(read.header("etag"), tag);
        assert_eq!(read.ok(), created);
        assert_eq!(user.get(WEBHOOKS).await.ok()["data"], json!([created]));

        let change = json!({"events": ["*"], "project_id": null, "description": null, "url": "https://example.org/"});
        let changed = user.patch(&path, change.clone()).await.ok();
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(changed[field], *value, "{field}");
        }
        assert_eq!(changed["version"], 2);
        assert_eq!(user.patch(&path, json!({})).await.ok(), changed);
        assert_eq!(user.patch(&path, change).await.ok(), changed);

        user.delete(&path).await.no_content();
        user.get(&path).await.fails(404, "NOT_FOUND");
        user.delete(&path).await.fails(404, "NOT_FOUND");
    }

    async fn invalid_webhooks_are_rejected(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let foreign = stranger.project().await;
        let trashed = user.project().await;
        user.delete(format!("/v1/projects/{trashed}")).await.no_content();
        let created = user.post(WEBHOOKS, json!({"url": URL, "events": ["*"]})).await.created();
        let path = format!("{WEBHOOKS}/{}", created.id());
        let long = format!("https://example.com/{}", "a".repeat(2_029));
        for (change, failure) in [
            (json!({"events": []}), "events:too_few"),
            (json!({"events": ["task.created", "task.created"]}), "events[1]:duplicate"),
            (json!({"events": ["*", "task.created"]}), "events:conflict"),
            (json!({"events": ["task.exploded"]}), "events[0]:enum"),
            (json!({"events": null}), "events:null"),
            (json!({"url": ""}), "url:too_short"),
            (json!({"url": "nonsense"}), "url:format"),
            (json!({"url": long}), "url:too_long"),
            (json!({"url": "https://exa\u{0}mple.com"}), "url:pattern"),
            (json!({"project_id": "7"}), "project_id:format"),
            (json!({"project_id": "01936f50-1c80-7e5c-b130-4d8e3f70ac03"}), "project_id:reference"),
            (json!({"project_id": trashed}), "project_id:reference"),
            (json!({"description": "a".repeat(501)}), "description:too_long"),
            (json!({"enabled": null}), "enabled:null"),
            (json!({"secret": "x"}), "secret:unknown_field"),
            (json!({"disabled_reason": "x"}), "disabled_reason:unknown_field"),
        ] {
            let mut new = json!({"url": URL, "events": ["*"]});
            new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            user.post(WEBHOOKS, new).await.invalid(&[failure]);
            user.patch(&path, change).await.invalid(&[failure]);
        }
        user.post(WEBHOOKS, json!({"url": URL, "events": ["*"], "project_id": foreign})).await.fails(403, "FORBIDDEN");
        user.patch(&path, json!({"project_id": foreign})).await.fails(403, "FORBIDDEN");
        for url in ["http://example.com/", "https://example.com:22/", "ftp://example.com"] {
            user.post(WEBHOOKS, json!({"url": url, "events": ["*"]})).await.fails(422, "WEBHOOK_URL_FORBIDDEN");
            let message = user.patch(&path, json!({"url": url})).await.fails(422, "WEBHOOK_URL_FORBIDDEN");
            assert!(message["message"].as_str().unwrap().ends_with('.'), "{message}");
        }
        assert_eq!(user.get(&path).await.ok()["version"], 1);
    }

    async fn webhooks_are_limited_to_fifty_per_user(app: TestApp) {
        let user = app.user().await;
        let new = |number: usize| json!({"url": format!("{URL}?{number}"), "events": ["*"]});
        let mut last = String::new();
        for number in 0..50 {
            last = user.post(WEBHOOKS, new(number)).await.created().id();
        }
        user.post(WEBHOOKS, new(50)).await.fails(409, "LIMIT_REACHED");
        user.delete(format!("{WEBHOOKS}/{last}")).await.no_content();
        user.post(WEBHOOKS, new(50)).await.created();
        app.user().await.post(WEBHOOKS, new(0)).await.created();
    }

    async fn a_url_and_a_project_have_one_webhook_per_user(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let create = async |url: &str, project: Option<&str>| {
            user.post(WEBHOOKS, json!({"url": url, "events": ["task.created"], "project_id": project})).await
        };
        let all = create(URL, None).await.created();
        let of_project = create(URL, Some(&project)).await.created();
        let other = create("https://example.com/other", None).await.created();
        for (same, project) in [(URL, None), ("HTTPS://Example.COM:443/hook", None), (URL, Some(project.as_str()))] {
            let refusal = create(same, project).await.fails(409, "LIMIT_REACHED");
            assert!(refusal["message"].as_str().unwrap().contains("this URL and project"), "{refusal}");
        }
        // An update must not make it the same as another one either; an update of the webhook itself is free.
        let path = |webhook: &Value| format!("{WEBHOOKS}/{}", webhook.id());
        user.patch(path(&other), json!({"url": URL})).await.fails(409, "LIMIT_REACHED");
        user.patch(path(&of_project), json!({"project_id": null})).await.fails(409, "LIMIT_REACHED");
        user.patch(path(&other), json!({"url": URL, "project_id": project})).await.fails(409, "LIMIT_REACHED");
        user.patch(path(&all), json!({"url": "https://example.com:443/hook"})).await.ok();
        user.patch(path(&all), json!({"events": ["*"]})).await.ok();
        user.delete(path(&all)).await.no_content();
        user.patch(path(&other), json!({"url": URL})).await.ok();
        app.user().await.post(WEBHOOKS, json!({"url": URL, "events": ["*"]})).await.created();
    }

    async fn webhook_lists_are_sorted_filtered_and_paginated(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let (project, foreign) = (user.project().await, stranger.project().await);
        let mut ids = Vec::new();
        for new in [
            json!({"url": URL, "events": ["*"]}),
            json!({"url": URL, "events": ["*"], "project_id": project}),
            json!({"url": "https://example.com/off", "events": ["*"], "enabled": false}),
            json!({"url": "https://example.com/off", "events": ["*"], "project_id": project, "enabled": false}),
        ] {
            ids.push(json!(user.post(WEBHOOKS, new).await.created()["id"]));
        }
        webhook(&stranger, URL).await;
        let listed = async |query: &str| user.get(format!("{WEBHOOKS}?dir=asc{query}")).await.ok().column("id");
        assert_eq!(listed("").await, ids);
        assert_eq!(listed("&enabled=true").await, ids[..2]);
        assert_eq!(listed("&enabled=false").await, ids[2..]);
        assert_eq!(listed(&format!("&project_id={project}")).await, [ids[1].clone(), ids[3].clone()]);
        assert_eq!(listed(&format!("&project_id={project}&enabled=true")).await, ids[1..2]);
        assert_eq!(listed("&limit=2&page=2").await, ids[2..]);
        ids.reverse();
        assert_eq!(user.get(WEBHOOKS).await.ok().column("id"), ids);
        assert!(!user.get(WEBHOOKS).await.text.contains("whsec_"));
        user.get(format!("{WEBHOOKS}?project_id={foreign}")).await.fails(403, "FORBIDDEN");
        let nothing = format!("{WEBHOOKS}?project_id={}", ids[0].as_str().unwrap());
        user.get(nothing).await.invalid(&["project_id:reference"]);
    }

    async fn delivery_lists_are_filtered_and_paginated(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, receiver) = subscribed_user(&app, "204 No Content").await;
        emit_event(&app, EventType::TaskCreated, &project).await;
        app.work().await;
        receiver.answers("500 Oh");
        emit_event(&app, EventType::TaskDeleted, &project).await;
        app.work().await;
        let all: Vec<Value> = deliveries(&user, &webhook).await.iter().map(|one| one["id"].clone()).collect();
        let path = format!("{WEBHOOKS}/{webhook}/deliveries");
        let listed = async |query: &str| user.get(format!("{path}?{query}")).await.ok().column("id");
        assert_eq!(listed("dir=asc").await, all);
        assert_eq!(listed("sort=created_at").await, [all[1].clone(), all[0].clone()]);
        assert_eq!(listed("status=delivered").await, all[..1]);
        assert_eq!(listed("status=pending").await, all[1..]);
        assert_eq!(listed("status=failed").await, Vec::<Value>::new());
        assert_eq!(listed("event_type=task.deleted").await, all[1..]);
        assert_eq!(listed("event_type=task.deleted&status=delivered").await, Vec::<Value>::new());
        user.get(format!("{path}?event_type=task.exploded")).await.invalid(&["event_type:enum"]);
    }
}
