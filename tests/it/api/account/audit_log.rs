//! The audit log of accounts.

use std::time::Duration;

use pocket_tasks::contract::UserId;
use pocket_tasks::repositories::{AuditFilter, Job};
use poem::http::Method;
use serde_json::{Value, json};

use crate::api::fixtures::account::{
    TOKENS, api_client, app_requiring_verification, prune, reset, reset_token, run_job, signed_in, verification_token,
};
use crate::api::fixtures::common::{DAY, log_in_again};
use crate::api::fixtures::stored_members::add_member;
use crate::api::fixtures::webhooks::WEBHOOKS;
use crate::on_both_databases;
use crate::support::client::Ids as _;
use crate::support::{Answer, Client, Options, TestApp, TestDatabase};

const LOG: &str = "/v1/me/audit-log";

/// Entries of the caller's log, the oldest first.
async fn log(client: &Client) -> Vec<Value> {
    client.get(format!("{LOG}?dir=asc&limit=100")).await.ok()["data"].as_array().unwrap().clone()
}

/// Types of the entries of the caller's log after the first ones, the oldest first.
async fn types_after(client: &Client, skipped: usize) -> Vec<String> {
    let entries = log(client).await;
    entries.iter().skip(skipped).map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
}

async fn last(client: &Client) -> Value {
    log(client).await.pop().unwrap()
}

async fn behind_a_proxy(database: &TestDatabase) -> TestApp {
    let variables = vec![("TRUSTED_PROXY_HOPS", "1")];
    TestApp::new(database, Options { variables, ..Options::default() }).await
}

/// Attempts a login from an address behind the proxy.
async fn log_in_from(app: &TestApp, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let call = app.anonymous().call(Method::POST, "/v1/auth/login").json(&body);
    call.header("x-forwarded-for", address)
        .header("user-agent", "A browser")
        .header("x-request-id", "a-request")
        .send()
        .await
}

/// Number of rows for failed logins, and the sum of their counts.
async fn failures(app: &TestApp, user: Option<&Client>) -> (usize, i64) {
    let id = user.map(|user| UserId::parse(user.user_id()).unwrap());
    let all = app.store.read().audit_log().list_all(&AuditFilter::default(), 10_000).await.unwrap();
    let failed: Vec<_> =
        all.iter().filter(|record| record.user_id == id && record.entry.kind.as_str() == "login.failed").collect();
    (failed.len(), failed.iter().map(|record| record.entry.count).sum())
}

on_both_databases! {
    async fn logins_are_recorded_with_their_origin(database: TestDatabase) {
        let app = behind_a_proxy(&database).await;
        let user = app.user().await;
        let [registered] = <[Value; 1]>::try_from(log(&user).await).unwrap();
        assert_eq!((&registered["type"], &registered["actor_id"]), (&json!("account.registered"), &json!(user.user_id())));
        let session = log_in_from(&app, "192.0.2.7", user.email(), "correct horse").await.ok();
        let there = signed_in(&app, session);
        let session = there.get("/v1/me/sessions").await.ok()["data"].as_array().unwrap().iter()
            .find(|session| session["current"] == true).unwrap().id();
        let mut entry = last(&user).await;
        assert!(entry["id"].is_string() && entry["created_at"] == entry["last_at"], "{entry}");
        for varying in ["id", "created_at", "last_at"] {
            entry.as_object_mut().unwrap().remove(varying);
        }
        assert_eq!(entry, json!({
            "type": "login.succeeded", "actor_id": user.user_id(), "by_operator": false, "session_id": session, "api_token_id": null,
            "client_address": "192.0.2.7", "user_agent": "A browser", "request_id": "a-request", "target_id": null,
            "project_id": null, "role": null, "count": 1,
        }));
        log_in_from(&app, "198.51.100.9", user.email(), "a guess").await.fails(401, "INVALID_CREDENTIALS");
        let failed = last(&user).await;
        assert_eq!((&failed["type"], &failed["client_address"]), (&json!("login.failed"), &json!("198.51.100.9")));
        assert_eq!((&failed["actor_id"], &failed["session_id"]), (&Value::Null, &Value::Null));
    }

    async fn repeated_failures_from_one_address_are_one_entry_with_a_count(database: TestDatabase) {
        let app = behind_a_proxy(&database).await;
        let user = app.user().await;
        // The hour begins now, so that the failures do not span two.
        app.clock.advance(Duration::from_millis(u64::try_from(3_600_000 - app.clock.now().0 % 3_600_000).unwrap()));
        for address in ["192.0.2.7", "192.0.2.7", "2001:db8::1", "2001:db8::2", "192.0.2.7"] {
            app.clock.advance(Duration::from_secs(1));
            log_in_from(&app, address, user.email(), "a guess").await.fails(401, "INVALID_CREDENTIALS");
        }
        let user = log_in_again(&app, &user).await;
        let failed = user.get(format!("{LOG}?type=login.failed&dir=asc")).await.ok();
        let summary: Vec<_> = failed["data"].as_array().unwrap().iter()
            .map(|entry| (entry["client_address"].clone(), entry["count"].clone())).collect();
        assert_eq!(summary, [(json!("192.0.2.7"), json!(3)), (json!("2001:db8::1"), json!(2))]);
        assert!(failed["data"][0]["last_at"].as_str() > failed["data"][0]["created_at"].as_str());
        app.clock.advance(Duration::from_hours(1));
        log_in_from(&app, "192.0.2.7", user.email(), "a guess").await.fails(401, "INVALID_CREDENTIALS");
        assert_eq!(failures(&app, Some(&user)).await, (3, 6));
    }

    async fn failed_logins_of_strangers_do_not_fill_the_disk(database: TestDatabase) {
        let app = behind_a_proxy(&database).await;
        let user = app.user().await;
        // 200 addresses guess for a known and for an unknown address of mail.
        for number in 0..200 {
            let from = format!("10.0.0.{number}");
            for email in [user.email(), "unknown@example.com"] {
                log_in_from(&app, &from, email, "a guess").await.fails(401, "INVALID_CREDENTIALS");
            }
        }
        // 50 entries, and one for the rest.
        assert_eq!(failures(&app, Some(&user)).await, (51, 200));
        assert_eq!(failures(&app, None).await, (51, 200));
        let rest = log(&user).await.into_iter().find(|entry| entry["count"] == 150).unwrap();
        for hidden in ["client_address", "user_agent", "request_id"] {
            assert_eq!(rest[hidden], Value::Null);
        }
        // The owner's own entries are still written.
        log_in_from(&app, "192.0.2.7", user.email(), "correct horse").await.ok();
        assert_eq!(user.get(format!("{LOG}?type=login.succeeded")).await.ok()["data"][0]["client_address"], "192.0.2.7");
    }

    async fn repeated_changes_do_not_fill_the_disk(app: TestApp) {
        let user = app.user().await;
        let new = json!({"url": "https://hook.invalid/", "events": ["*"]});
        let webhook = user.post(WEBHOOKS, new).await.created().id();
        for number in 0..120 {
            let change = json!({"description": format!("{number}")});
            user.patch(format!("{WEBHOOKS}/{webhook}"), change).await.ok();
        }
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        let entries = async |kind: &str| user.get(format!("{LOG}?type={kind}&limit=100")).await.ok();
        let updates = entries("webhook.updated").await;
        // 100 entries, and one for the rest, without details.
        assert_eq!(updates["meta"]["total"], 101);
        let rest = user.get(format!("{LOG}?type=webhook.updated&limit=100&sort=created_at&dir=desc")).await.ok();
        let rest: Vec<_> = rest["data"].as_array().unwrap().iter().filter(|entry| entry["target_id"].is_null()).collect();
        assert_eq!((rest.len(), &rest[0]["count"]), (1, &json!(20)));
        // They hide no entry of another type.
        let deletions = entries("webhook.deleted").await;
        assert_eq!((&deletions["data"][0]["target_id"], &deletions["meta"]["total"]), (&json!(webhook), &json!(1)));
    }

    async fn changes_of_credentials_are_recorded_with_the_credential_used(database: TestDatabase) {
        let app = app_requiring_verification(&database).await;
        let (user, token) = verification_token(&app).await;
        user.post("/v1/auth/verify-email", json!({"token": token, "password": "a guess"})).await.invalid(&["password:incorrect"]);
        user.post("/v1/auth/verify-email", json!({"token": token})).await.no_content();
        let (script, created) = api_client(&app, &user, &["read", "write"]).await;
        let webhook = script.post(WEBHOOKS, json!({"url": "https://hook.invalid/", "events": ["*"]})).await.created().id();
        script.patch(format!("{WEBHOOKS}/{webhook}"), json!({"description": "Mine"})).await.ok();
        script.patch(format!("{WEBHOOKS}/{webhook}"), json!({})).await.ok();
        let by_script = log(&user).await.into_iter().find(|entry| entry["type"] == "webhook.created").unwrap();
        assert_eq!((&by_script["api_token_id"], &by_script["session_id"]), (&json!(created.id()), &Value::Null));
        assert_eq!((&by_script["actor_id"], &by_script["target_id"]), (&json!(user.user_id()), &json!(webhook)));
        user.post_empty(format!("{WEBHOOKS}/{webhook}/rotate-secret")).await.ok();
        user.delete(format!("{WEBHOOKS}/{webhook}")).await.no_content();
        user.delete(format!("{TOKENS}/{}", created.id())).await.no_content();
        let elsewhere = log_in_again(&app, &user).await;
        let sessions = user.get("/v1/me/sessions").await.ok();
        let other = sessions["data"].as_array().unwrap().iter().find(|session| session["current"] == false).unwrap().id();
        user.delete(format!("/v1/me/sessions/{other}")).await.no_content();
        elsewhere.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        let wrong = json!({"current_password": "a guess", "new_password": "battery staple"});
        user.post("/v1/me/password", wrong).await.invalid(&["current_password:incorrect"]);
        let change = json!({"current_password": "correct horse", "new_password": "battery staple"});
        user.post("/v1/me/password", change).await.no_content();
        let token = reset_token(&app, &user).await;
        reset(&app, &token, "correct horse").await.no_content();
        let user = log_in_again(&app, &user).await;
        assert_eq!(types_after(&user, 1).await, [
            "login.failed", "account.verified", "api_token.created", "webhook.created", "webhook.updated",
            "webhook.secret_rotated", "webhook.deleted", "api_token.revoked", "login.succeeded", "session.revoked",
            // The failure of the change of the password is in the first entry, if it is the same hour.
            "password.changed", "password.reset", "login.succeeded",
        ]);
        assert_eq!(failures(&app, Some(&user)).await.1, 2);
        user.post_empty("/v1/auth/logout").await.no_content();
        assert_eq!(last(&log_in_again(&app, &user).await).await["type"], "login.succeeded");
    }

    async fn a_refused_change_leaves_no_entry(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        let (_, created) = api_client(&app, &user, &["read"]).await;
        let before = log(&stranger).await.len();
        stranger.delete(format!("{TOKENS}/{}", created.id())).await.fails(403, "FORBIDDEN");
        let project = user.project().await;
        stranger.delete(format!("/v1/projects/{project}")).await.fails(403, "FORBIDDEN");
        assert_eq!(log(&stranger).await.len(), before);
    }

    async fn what_one_user_does_to_another_is_in_both_logs(database: TestDatabase) {
        let app = behind_a_proxy(&database).await;
        let (owner, member) = (app.user().await, app.user().await);
        let project = owner.project().await;
        add_member(&app, &project, &member, "viewer").await;
        let path = format!("/v1/projects/{project}/members/{}", member.user_id());
        let call = owner.call(Method::PATCH, &path).json(&json!({"role": "editor"}));
        call.header("x-forwarded-for", "192.0.2.7").send().await.ok();
        let (by, to) = (last(&owner).await, last(&member).await);
        for entry in [&by, &to] {
            assert_eq!((&entry["type"], &entry["role"]), (&json!("member.role_changed"), &json!("editor")));
            assert_eq!((&entry["actor_id"], &entry["target_id"]), (&json!(owner.user_id()), &json!(member.user_id())));
            assert_eq!(entry["project_id"], project);
        }
        assert_eq!(by["client_address"], "192.0.2.7");
        // The member does not learn where the owner is.
        for hidden in ["client_address", "user_agent", "session_id", "api_token_id"] {
            assert_eq!(to[hidden], Value::Null, "{hidden}");
        }
        owner.patch(&path, json!({"role": "owner"})).await.ok();
        assert_eq!(last(&owner).await["type"], "project.ownership_transferred");
        assert_eq!(last(&member).await["type"], "project.ownership_transferred");
        let former = format!("/v1/projects/{project}/members/{}", owner.user_id());
        member.delete(former).await.no_content();
        assert_eq!((last(&owner).await["type"].clone(), last(&member).await["type"].clone()), (json!("member.removed"), json!("member.removed")));
        add_member(&app, &project, &owner, "editor").await;
        let before = (log(&owner).await.len(), log(&member).await.len());
        owner.delete(format!("/v1/projects/{project}/members/{}", owner.user_id())).await.no_content();
        assert_eq!((log(&owner).await.len(), log(&member).await.len()), (before.0 + 1, before.1), "leaving concerns one account");
    }

    async fn deletions_and_restorations_are_recorded(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        user.delete(format!("/v1/projects/{project}")).await.no_content();
        user.post_empty(format!("/v1/projects/{project}/restore")).await.ok();
        user.delete("/v1/me").await.no_content();
        let user = log_in_again(&app, &user).await;
        let expected = ["project.deleted", "project.restored", "account.deleted", "account.restored", "login.succeeded"];
        assert_eq!(types_after(&user, 1).await, expected);
        assert_eq!(log(&user).await[1]["project_id"], project);
    }

    async fn a_reused_refresh_token_is_recorded(app: TestApp) {
        let user = app.user().await;
        let spent = json!({"refresh_token": user.session["refresh_token"]});
        app.anonymous().post("/v1/auth/refresh", spent.clone()).await.ok();
        app.clock.advance(Duration::from_mins(2));
        app.anonymous().post("/v1/auth/refresh", spent).await.fails(401, "REFRESH_TOKEN_REUSED");
        let user = log_in_again(&app, &user).await;
        assert_eq!(types_after(&user, 1).await, ["refresh_token.reused", "login.succeeded"]);
    }

    async fn the_log_is_filtered_sorted_and_paginated_and_private(app: TestApp) {
        let (user, stranger) = (app.user().await, app.user().await);
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(1));
            log_in_again(&app, &user).await;
        }
        let page = user.get(format!("{LOG}?type=login.succeeded&limit=2&page=2")).await.ok();
        assert_eq!(page["meta"], json!({"total": 3, "total_is_exact": true, "page": 2, "limit": 2, "has_more": false}));
        let newest_first = user.get(LOG).await.ok().column("created_at");
        assert!(newest_first.is_sorted_by(|one, other| one.as_str() >= other.as_str()), "{newest_first:?}");
        let oldest_first = user.get(format!("{LOG}?sort=created_at&dir=asc")).await.ok().column("created_at");
        assert!(oldest_first.iter().rev().eq(&newest_first));
        user.get(format!("{LOG}?type=login")).await.invalid(&["type:enum"]);
        user.get(format!("{LOG}?sort=type")).await.invalid(&["sort:enum"]);
        assert_eq!(log(&stranger).await.len(), 1);
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        script.get(LOG).await.fails(403, "FORBIDDEN");
        app.anonymous().get(LOG).await.fails(401, "UNAUTHENTICATED");
    }

    async fn entries_are_kept_for_a_year(app: TestApp) {
        let user = app.user().await;
        app.clock.advance(DAY * 364);
        prune(&app).await;
        let user = log_in_again(&app, &user).await;
        assert_eq!(types_after(&user, 0).await, ["account.registered", "login.succeeded"]);
        app.clock.advance(DAY * 2);
        prune(&app).await;
        let user = log_in_again(&app, &user).await;
        assert_eq!(types_after(&user, 0).await, ["login.succeeded", "login.succeeded"]);
    }

    async fn a_purged_account_takes_its_log_along_and_leaves_no_name_in_others(app: TestApp) {
        let (owner, member) = (app.user().await, app.user().await);
        let project = owner.project().await;
        add_member(&app, &project, &member, "viewer").await;
        owner.patch(format!("/v1/projects/{project}/members/{}", member.user_id()), json!({"role": "owner"})).await.ok();
        owner.delete("/v1/me").await.no_content();
        app.clock.advance(DAY * 31);
        run_job(&app, Job::PurgeDeleted {}).await;
        let gone = UserId::parse(owner.user_id()).unwrap();
        let all = app.store.read().audit_log().list_all(&AuditFilter::default(), 1_000).await.unwrap();
        assert!(all.iter().all(|record| record.user_id != Some(gone) && record.entry.actor_id != Some(gone)), "{all:?}");
        let member = log_in_again(&app, &member).await;
        let kept = log(&member).await.into_iter().find(|entry| entry["type"] == "project.ownership_transferred").unwrap();
        assert_eq!((&kept["actor_id"], &kept["project_id"]), (&Value::Null, &json!(project)));
    }
}
