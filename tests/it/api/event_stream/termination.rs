//! Termination of streams with their token, session or account.

use std::time::Duration;

use serde_json::json;

use super::messages::{events_until, follow, rename};
use crate::api::account::sessions::session_id;
use crate::api::fixtures::account::{api_client, expiring_token, reset, reset_token};
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::members::two_processes;
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::{Options, TestApp, TestDatabase};

const PASSWORDS: &str = r#"{"current_password": "correct horse", "new_password": "another horse"}"#;

on_both_databases! {
    async fn the_end_of_a_session_ends_only_its_streams(app: TestApp) {
        for case in ["log out", "revoke", "change the password", "reset the password", "delete the account"] {
            let user = app.user().await;
            let (other, project) = (log_in_again(&app, &user).await, user.project().await);
            let (script, _) = api_client(&app, &user, &["read"]).await;
            let mut stream = follow(&user, "").await;
            let mut of_other = follow(&other, "").await;
            let mut of_script = follow(&script, "").await;
            let (mut other_ends, mut script_ends) = (false, false);
            match case {
                "log out" => user.post_empty("/v1/auth/logout").await.no_content(),
                "revoke" => other.delete(format!("/v1/me/sessions/{}", session_id(&user).await)).await.no_content(),
                "change the password" => {
                    other.post("/v1/me/password", serde_json::from_str(PASSWORDS).unwrap()).await.no_content();
                }
                "reset the password" => {
                    reset(&app, &reset_token(&app, &user).await, "another horse").await.no_content();
                    (other_ends, script_ends) = (true, true);
                }
                _ => {
                    user.delete("/v1/me").await.no_content();
                    (other_ends, script_ends) = (true, true);
                }
            }
            // The deletion of an account deletes its projects, whose events may be sent before the end.
            while let Some(event) = soon(stream.next()).await {
                assert_eq!(event["type"], "project.deleted", "{case}");
            }
            if !other_ends {
                rename(&other, &project, "Still there").await;
            }
            for (stream, ends) in [(&mut of_other, other_ends), (&mut of_script, script_ends)] {
                if ends {
                    while soon(stream.next()).await.is_some() {}
                } else {
                    assert!(events_until(stream, "Still there").await.is_empty(), "{case}");
                }
            }
        }
    }

    async fn the_revocation_of_an_api_token_ends_only_its_streams(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let (script, created) = api_client(&app, &user, &["read"]).await;
        let (other, _) = api_client(&app, &user, &["read"]).await;
        let (mut stream, mut of_other) = (follow(&script, "").await, follow(&other, "").await);
        user.delete(format!("/v1/me/api-tokens/{}", created["id"].as_str().unwrap())).await.no_content();
        stream.ends().await;
        rename(&user, &project, "Still there").await;
        assert!(events_until(&mut of_other, "Still there").await.is_empty());
    }

    async fn a_stream_ends_when_its_token_expires(database: TestDatabase) {
        let options = Options { variables: vec![("ACCESS_TOKEN_TTL_SECONDS", "2")], ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let user = app.user().await;
        let (script, _) = expiring_token(&app, &user, Duration::from_secs(1)).await;
        let (mut stream, mut of_script) = (follow(&user, "").await, follow(&script, "").await);
        stream.ends().await;
        of_script.ends().await;
        user.get("/v1/me").await.fails(401, "TOKEN_EXPIRED");
    }

    async fn events_after_token_expiry_are_not_sent(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let mut stream = follow(&user, "").await;
        // The test clock triggers no timer.
        app.clock.advance(Duration::from_hours(1));
        let user = log_in_again(&app, &user).await;
        user.task(&project, json!({"title": "Later"})).await;
        stream.ends().await;
    }

    async fn a_revocation_in_another_process_ends_streams_after_synchronization(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let (script, created) = api_client(&one, &user, &["read"]).await;
        let (mut stream, mut of_script) = (follow(&user, "").await, follow(&script, "").await);
        let there = log_in_again(&other, &user).await;
        there.delete(format!("/v1/me/sessions/{}", session_id(&user).await)).await.no_content();
        there.delete(format!("/v1/me/api-tokens/{}", created["id"].as_str().unwrap())).await.no_content();
        one.services.accounts.sync_revocations().await.unwrap();
        stream.ends().await;
        of_script.ends().await;
    }

    async fn all_streams_end_on_shutdown(app: TestApp) {
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(follow(&app.user().await, "").await);
        }
        app.services.events.close_streams();
        // A stream opened after that starts and ends, so that its client reconnects to another process.
        streams.push(follow(&app.user().await, "").await);
        for stream in &mut streams {
            stream.ends().await;
        }
    }
}
