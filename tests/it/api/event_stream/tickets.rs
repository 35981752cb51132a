//! Tickets for clients that cannot send a header.

use std::time::Duration;

use poem::{Endpoint as _, Request};
use serde_json::{Value, json};

use super::messages::{STREAM, events_until, follow, rename, types};
use crate::api::fixtures::account::api_client;
use crate::api::fixtures::common::{UNKNOWN_ID, concurrently, percent_encoded};
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Client, SseClient, TestApp};

const TICKETS: &str = "/v1/events/stream-tickets";

async fn ticket(client: &Client, filter: Value) -> String {
    let created = client.post(TICKETS, filter).await.created();
    created["ticket"].as_str().unwrap().to_owned()
}

/// Opens a stream as a browser does: without a token.
async fn open(app: &TestApp, query: &str) -> SseClient {
    follow(&app.anonymous(), query).await
}

on_both_databases! {
    async fn a_ticket_opens_one_stream_with_its_filters(app: TestApp) {
        let user = app.user().await;
        let (first, second) = (user.project().await, user.project().await);
        let filter = json!({"project_id": first, "type": ["task.created", "project.updated"]});
        let ticket = ticket(&user, filter).await;
        let mut stream = open(&app, &format!("ticket={ticket}")).await;
        user.task(&second, json!({"title": "elsewhere"})).await;
        let task = user.task(&first, json!({"title": "here"})).await.id();
        user.patch(format!("/v1/tasks/{task}"), json!({"title": "changed"})).await.ok();
        rename(&user, &first, "Done").await;
        assert_eq!(types(&events_until(&mut stream, "Done").await), ["task.created"]);
        let again = app.anonymous().get(format!("{STREAM}?ticket={ticket}")).await;
        again.fails(401, "UNAUTHENTICATED");
    }

    async fn a_ticket_is_used_by_one_of_many_at_once(app: TestApp) {
        let ticket = ticket(&app.user().await, json!({})).await;
        let calls = (0..8).map(|_| {
            let (app, path) = (app.clone(), format!("{STREAM}?ticket={ticket}"));
            async move { app.endpoint.call(Request::builder().uri(path.parse().unwrap()).finish()).await.unwrap().status() }
        });
        let statuses = concurrently(calls).await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401].contains(&status.as_u16())), "{statuses:?}");
    }

    async fn a_ticket_needs_no_body_and_resumes_by_a_query_parameter(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let begun = follow(&user, "").await.last_id;
        rename(&user, &project, "Meanwhile").await;
        let created = user.post_empty(TICKETS).await.created();
        let query = format!("ticket={}&lastEventId={}", created["ticket"].as_str().unwrap(), percent_encoded(&begun));
        let mut stream = open(&app, &query).await;
        assert_eq!(stream.event().await["data"]["name"], "Meanwhile");
        // Also with a token, before `cursor` and after the header.
        let now = follow(&user, "").await.last_id;
        let query = format!("lastEventId={}&cursor={}", percent_encoded(&begun), percent_encoded(&now));
        assert_eq!(follow(&user, &query).await.last_id, begun);
        assert_eq!(follow(&user, &format!("lastEventId=&cursor={}", percent_encoded(&begun))).await.last_id, begun);
    }

    async fn a_ticket_expires_and_ends_with_its_credential(app: TestApp) {
        let user = app.user().await;
        let unused = ticket(&user, json!({})).await;
        app.clock.advance(Duration::from_secs(61));
        app.anonymous().get(format!("{STREAM}?ticket={unused}")).await.fails(401, "UNAUTHENTICATED");
        let (script, token) = api_client(&app, &user, &["read", "write"]).await;
        let of_script = ticket(&script, json!({})).await;
        user.delete(format!("/v1/me/api-tokens/{}", token.id())).await.no_content();
        app.anonymous().get(format!("{STREAM}?ticket={of_script}")).await.fails(401, "TOKEN_REVOKED");
        let of_session = ticket(&user, json!({})).await;
        user.post_empty("/v1/auth/logout").await.no_content();
        app.anonymous().get(format!("{STREAM}?ticket={of_session}")).await.fails(401, "TOKEN_REVOKED");
    }

    async fn a_ticket_is_refused_for_anything_else(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let project = user.project().await;
        stranger.post(TICKETS, json!({"project_id": project})).await.fails(403, "FORBIDDEN");
        stranger.post(TICKETS, json!({"project_id": UNKNOWN_ID})).await.invalid(&["project_id:reference"]);
        user.post(TICKETS, json!({"type": []})).await.invalid(&["type:too_few"]);
        app.anonymous().post_empty(TICKETS).await.fails(401, "UNAUTHENTICATED");
        for scope in ["read", "write"] {
            let (script, _) = api_client(&app, &user, &[scope]).await;
            script.post_empty(TICKETS).await.fails(403, "INSUFFICIENT_SCOPE");
        }
        let ticket = ticket(&user, json!({"project_id": project})).await;
        app.anonymous().get(format!("/v1/events?ticket={ticket}")).await.fails(401, "UNAUTHENTICATED");
        let with_filter = format!("{STREAM}?ticket={ticket}&type=task.created");
        app.anonymous().get(with_filter).await.invalid(&["type:conflict"]);
        stranger.get(format!("{STREAM}?ticket={ticket}")).await.fails(401, "UNAUTHENTICATED");
    }
}
