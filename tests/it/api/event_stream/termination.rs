//! A stream ends with what it was begun with: the token, its session, the account.

use std::time::Duration;

use serde_json::json;

use super::messages::{follow, rename, told_until};
use crate::api::fixtures::account::{api_client, reset, reset_token, token_until};
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::members::two_processes;
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::support::{Client, Options, TestApp, TestDatabase};

const PASSWORDS: &str = r#"{"current_password": "correct horse", "new_password": "another horse"}"#;

/// The session of a client.
async fn session(client: &Client) -> String {
    let sessions = client.get("/v1/me/sessions?limit=100").await.ok();
    let current = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    current["id"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn the_end_of_a_session_ends_its_streams_and_no_others(app: TestApp) {
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
                "revoke" => other.delete(format!("/v1/me/sessions/{}", session(&user).await)).await.no_content(),
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
            // The last thing that an account does is to take its projects along, which may be told before the end.
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
                    assert!(told_until(stream, "Still there").await.is_empty(), "{case}");
                }
            }
        }
    }

    async fn the_end_of_an_api_token_ends_its_streams_and_no_others(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let (script, created) = api_client(&app, &user, &["read"]).await;
        let (other, _) = api_client(&app, &user, &["read"]).await;
        let (mut stream, mut of_other) = (follow(&script, "").await, follow(&other, "").await);
        user.delete(format!("/v1/me/api-tokens/{}", created["id"].as_str().unwrap())).await.no_content();
        stream.ends().await;
        rename(&user, &project, "Still there").await;
        assert!(told_until(&mut of_other, "Still there").await.is_empty());
    }

    async fn a_stream_ends_when_its_token_does(database: TestDatabase) {
        let options = Options { variables: vec![("ACCESS_TOKEN_TTL_SECONDS", "2")], ..Options::default() };
        let app = TestApp::new(&database, options).await;
        let user = app.user().await;
        let (script, _) = token_until(&app, &user, Duration::from_secs(1)).await;
        let (mut stream, mut of_script) = (follow(&user, "").await, follow(&script, "").await);
        stream.ends().await;
        of_script.ends().await;
        user.get("/v1/me").await.fails(401, "TOKEN_EXPIRED");
    }

    async fn what_comes_after_the_end_of_the_token_is_not_told(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let mut stream = follow(&user, "").await;
        // No timer knows of this.
        app.clock.advance(Duration::from_hours(1));
        let user = log_in_again(&app, &user).await;
        user.task(&project, json!({"title": "Later"})).await;
        stream.ends().await;
    }

    async fn what_another_process_ends_ends_here_when_it_is_learnt(database: TestDatabase) {
        let (one, other) = two_processes(&database).await;
        let user = one.user().await;
        let (script, created) = api_client(&one, &user, &["read"]).await;
        let (mut stream, mut of_script) = (follow(&user, "").await, follow(&script, "").await);
        let there = log_in_again(&other, &user).await;
        there.delete(format!("/v1/me/sessions/{}", session(&user).await)).await.no_content();
        there.delete(format!("/v1/me/api-tokens/{}", created["id"].as_str().unwrap())).await.no_content();
        one.services.accounts.sync_revocations().await.unwrap();
        stream.ends().await;
        of_script.ends().await;
    }

    async fn all_streams_end_when_the_server_does(app: TestApp) {
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(follow(&app.user().await, "").await);
        }
        app.services.events.close_streams();
        // One that comes too late begins, and ends, so that its client goes on elsewhere.
        streams.push(follow(&app.user().await, "").await);
        for stream in &mut streams {
            stream.ends().await;
        }
    }
}
