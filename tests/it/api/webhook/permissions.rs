//! Permissions on webhooks.

use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::common::send;
use crate::api::fixtures::stored_members::add_member;
use crate::api::fixtures::webhooks::{WEBHOOKS, app, deliveries, subscribed_user, webhook as webhook_at};
use crate::on_both_databases;
use crate::support::TestDatabase;
use crate::support::client::Ids as _;

const UNKNOWN_ID: &str = "01936f5c-62a0-74b2-9790-a3e495d60209";

on_both_databases! {
    async fn only_its_owner_can_access_a_webhook(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, webhook, _receiver) = subscribed_user(&app, "500 Oh").await;
        let stranger = app.user().await;
        add_member(&app, &project, &stranger, "editor").await;
        let delivery = user.post_empty(format!("{WEBHOOKS}/{webhook}/test")).await.expect(202).id();
        let others = webhook_at(&stranger, "https://example.com/").await.id();
        let calls = |webhook: &str, delivery: &str| {
            let path = format!("{WEBHOOKS}/{webhook}");
            [
                (Method::GET, path.clone(), Value::Null),
                (Method::PATCH, path.clone(), json!({"description": "x"})),
                (Method::DELETE, path.clone(), Value::Null),
                (Method::POST, format!("{path}/rotate-secret"), json!({})),
                (Method::POST, format!("{path}/test"), Value::Null),
                (Method::GET, format!("{path}/deliveries"), Value::Null),
                (Method::POST, format!("{path}/deliveries/{delivery}/redeliver"), Value::Null),
            ]
        };
        let before = (user.get(format!("{WEBHOOKS}/{webhook}")).await.text, deliveries(&user, &webhook).await);
        for (method, path, body) in calls(&webhook, &delivery) {
            let message = send(&stranger, &method, &path, &body).await.fails(403, "FORBIDDEN");
            assert_eq!(message["message"], "This belongs to another user.", "{method} {path}");
        }
        for nothing in [UNKNOWN_ID, "nothing"] {
            for (method, path, body) in calls(nothing, &delivery) {
                send(&stranger, &method, &path, &body).await.fails(404, "NOT_FOUND");
            }
        }
        for (webhook, delivery) in [(&webhook, UNKNOWN_ID), (&webhook, "nothing")] {
            user.post_empty(format!("{WEBHOOKS}/{webhook}/deliveries/{delivery}/redeliver")).await.fails(404, "NOT_FOUND");
        }
        // A delivery of a different webhook.
        stranger.post_empty(format!("{WEBHOOKS}/{others}/deliveries/{delivery}/redeliver")).await.fails(404, "NOT_FOUND");
        assert_eq!((user.get(format!("{WEBHOOKS}/{webhook}")).await.text, deliveries(&user, &webhook).await), before);
    }

    async fn a_member_who_leaves_a_project_keeps_its_webhook(database: TestDatabase) {
        let app = app(&database).await;
        let (owner, user) = (app.user().await, app.user().await);
        let project = owner.project().await;
        add_member(&app, &project, &user, "viewer").await;
        let new = json!({"url": "https://example.com/", "events": ["*"], "project_id": project});
        let webhook = user.post(WEBHOOKS, new).await.created().id();
        user.delete(format!("/v1/projects/{project}/members/{}", user.user_id())).await.no_content();
        let path = format!("{WEBHOOKS}/{webhook}");
        assert_eq!(user.get(&path).await.ok()["project_id"], json!(project));
        // An unchanged project is not authorized again.
        user.patch(&path, json!({"project_id": project, "description": "left"})).await.ok();
        user.patch(&path, json!({"project_id": null})).await.ok();
        user.patch(&path, json!({"project_id": project})).await.fails(403, "FORBIDDEN");
    }
}
