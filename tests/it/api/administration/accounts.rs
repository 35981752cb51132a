//! Accounts that the operator disables, enables or deletes.

use std::time::Duration;

use pocket_tasks::contract::{ApiTokenId, AuditEntryId, WebhookId};
use pocket_tasks::repositories::{AuditFilter, Revocation, UserFilter};
use pocket_tasks::services::{RequestMetadata, WriteContext};
use serde_json::json;

use super::{disable, enable, id, operator, operator_entries};
use crate::api::event_stream::messages::{events_until, follow, rename};
use crate::api::fixtures::account::{api_client, try_log_in};
use crate::api::fixtures::common::log_in_again;
use crate::api::fixtures::members::{accept, invite_user, through, two_processes};
use crate::api::fixtures::stored_members::add_member;
use crate::api::fixtures::webhooks::{app, subscribed_user};
use crate::on_both_databases;
use crate::repositories::fixtures::soon;
use crate::repositories::raw::Raw;
use crate::support::databases::postgres;
use crate::support::{Options, TestApp, TestDatabase};

on_both_databases! {
    async fn a_disabled_account_is_refused_until_it_is_enabled(database: TestDatabase) {
        let (app, other) = two_processes(&database).await;
        let user = app.user().await;
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        let elsewhere = [through(&other, &user), through(&other, &script)];
        disable(&app, &user).await;
        assert!(app.services.administration.disable_account(&operator(), id(&user)).await.unwrap().is_none());
        other.services.accounts.sync_revocations().await.unwrap();
        for client in [&user, &script, &elsewhere[0], &elsewhere[1]] {
            client.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        }
        let spent = json!({"refresh_token": user.session["refresh_token"]});
        other.anonymous().post("/v1/auth/refresh", spent).await.fails(401, "INVALID_REFRESH_TOKEN");
        // A stranger without the password does not learn the state of the account.
        try_log_in(&other, user.email(), "a guess").await.fails(401, "INVALID_CREDENTIALS");
        try_log_in(&other, user.email(), "correct horse").await.fails(403, "ACCOUNT_DISABLED");

        enable(&other, &user).await;
        assert!(app.services.administration.enable_account(&operator(), id(&user)).await.unwrap().is_none());
        for client in [&script, &elsewhere[1]] {
            client.get("/v1/me").await.ok();
        }
        user.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        let user = log_in_again(&app, &user).await;
        let entries = operator_entries(&user).await;
        let types: Vec<_> = entries.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["account.disabled", "account.enabled"]);
        // The operating-system user is for operators only.
        assert!(entries.iter().all(|entry| entry["actor_id"].is_null() && !entry.to_string().contains("root")));
        let all = app.store.read().audit_log().list_all(&AuditFilter::default(), 100).await.unwrap();
        let by_operator = all.iter().filter(|record| record.operator.as_deref() == Some("root (sudo by ada)"));
        assert_eq!(by_operator.count(), 2);
    }

    async fn disabling_an_account_ends_its_streams_in_every_process(database: TestDatabase) {
        let (app, other) = two_processes(&database).await;
        let user = app.user().await;
        let project = user.project().await;
        let (script, _) = api_client(&app, &user, &["read", "write"]).await;
        let clients = [user.clone(), script.clone(), through(&other, &user), through(&other, &script)];
        let mut streams = Vec::new();
        for client in &clients {
            streams.push(follow(client, "").await);
        }
        disable(&app, &user).await;
        other.services.accounts.sync_revocations().await.unwrap();
        for stream in &mut streams {
            assert_eq!(soon(stream.next()).await, None);
        }
        enable(&app, &user).await;
        let created = script.post("/v1/events/stream-tickets", json!({})).await.created();
        let query = format!("ticket={}", created["ticket"].as_str().unwrap());
        let mut stream = follow(&other.anonymous(), &query).await;
        rename(&clients[3], &project, "Back by ticket").await;
        assert!(events_until(&mut stream, "Back by ticket").await.is_empty());
        for (client, name) in [(&clients[1], "Back"), (&clients[3], "Back elsewhere")] {
            let mut stream = follow(client, "").await;
            rename(client, &project, name).await;
            assert!(events_until(&mut stream, name).await.is_empty());
        }
    }

    async fn disabling_an_account_revokes_the_invitations_that_it_sent(app: TestApp) {
        let (user, invitee) = (app.user().await, app.user().await);
        let project = user.project().await;
        let invitation = invite_user(&user, &project, &invitee, "editor").await;
        disable(&app, &user).await;
        accept(&invitee, &invitation).await.fails(409, "INVITATION_NOT_PENDING");
        enable(&app, &user).await;
        accept(&invitee, &invitation).await.fails(409, "INVITATION_NOT_PENDING");
        let events = log_in_again(&app, &user).await.get("/v1/events?type=invitation.revoked").await.ok();
        let event = &events["data"][0];
        assert_eq!((&event["data"]["id"], &event["actor_id"]), (&json!(invitation), &json!(null)));
        assert_eq!(event["previous"], json!({"status": "pending"}));
    }

    async fn entries_of_a_newer_version_are_left_out_of_the_audit_log(database: TestDatabase) {
        let app = TestApp::new(&database, Options::default()).await;
        let user = app.user().await;
        let mut raw = Raw::connect(&database).await;
        let (entry, account) = (raw.id(AuditEntryId::generate().0), raw.id(id(&user).0));
        raw.execute(&format!(
            "INSERT INTO audit_entries (id, user_id, type, created_at, last_at) \
             VALUES ({entry}, {account}, 'account.cloned', 7, 7)"
        ))
        .await;
        let log = user.get("/v1/me/audit-log").await.ok();
        assert_eq!((log["data"].as_array().unwrap().len(), &log["meta"]["total"]), (1, &json!(1)));
        let filter = AuditFilter { user: Some(id(&user)), ..AuditFilter::default() };
        assert_eq!(app.store.read().audit_log().list_all(&filter, 100).await.unwrap().len(), 1);
    }

    async fn a_request_authenticated_before_its_account_was_disabled_creates_no_credential(app: TestApp) {
        let user = app.user().await;
        let caller = app.services.authenticate(user.token.as_ref().unwrap()).await.unwrap();
        disable(&app, &user).await;
        let request = RequestMetadata::default();
        let write = WriteContext { caller, idempotency: None, if_match: None, request };
        let refused = app.services.webhooks.rotate_secret(&write, WebhookId::generate(), None).await.err().unwrap();
        assert_eq!(refused.code().as_str(), "TOKEN_REVOKED");
    }

    async fn webhooks_of_a_disabled_account_send_nothing(database: TestDatabase) {
        let app = app(&database).await;
        let (user, project, _, receiver) = subscribed_user(&app, "200 OK").await;
        let owner = app.user().await;
        let shared = owner.project().await;
        add_member(&app, &shared, &user, "viewer").await;
        // Both the announced and the later events.
        rename(&user, &project, "Announced").await;
        app.services.deliveries.fan_out().await.unwrap();
        disable(&app, &user).await;
        rename(&owner, &shared, "In between").await;
        app.work().await;
        assert!(receiver.messages().is_empty());
        enable(&app, &user).await;
        app.work().await;
        rename(&owner, &shared, "Afterwards").await;
        app.work().await;
        let names: Vec<_> = receiver.messages().iter().map(|message| message.body()["data"]["name"].clone()).collect();
        assert_eq!(names, ["Afterwards"]);
    }

    async fn a_deleted_account_is_restored_by_a_login_unless_it_is_disabled(app: TestApp) {
        let user = app.user().await;
        let project = user.project().await;
        let deleted = app.services.administration.delete_account(&operator(), id(&user)).await.unwrap().unwrap();
        assert_eq!(deleted.purged_from, deleted.deleted_at.map(|at| at + Duration::from_hours(30 * 24)));
        assert!(app.services.administration.delete_account(&operator(), id(&user)).await.unwrap().is_none());
        user.get("/v1/me").await.fails(401, "TOKEN_REVOKED");
        disable(&app, &user).await;
        try_log_in(&app, user.email(), "correct horse").await.fails(403, "ACCOUNT_DISABLED");
        enable(&app, &user).await;
        let user = log_in_again(&app, &user).await;
        user.get(format!("/v1/projects/{project}")).await.ok();
        let types: Vec<_> = operator_entries(&user).await.iter().map(|entry| entry["type"].clone()).collect();
        assert_eq!(types, ["account.deleted", "account.disabled", "account.enabled"]);
    }

    async fn accounts_are_found_by_address_or_id_and_listed_by_state(app: TestApp) {
        let (first, second, third) = (app.user().await, app.user().await, app.user().await);
        let administration = &app.services.administration;
        for name in [first.email().to_uppercase(), first.user_id().to_owned()] {
            assert_eq!(administration.find_account(&name).await.unwrap(), id(&first));
        }
        for name in ["nobody@example.com", "01936f50-1c80-7e5c-b130-4d8e3f70ffff"] {
            assert_eq!(administration.find_account(name).await.unwrap_err().code().as_str(), "NOT_FOUND");
        }
        disable(&app, &second).await;
        administration.delete_account(&operator(), id(&third)).await.unwrap();
        let list = async |disabled, deleted, limit| {
            let found = administration.list_accounts(UserFilter { disabled, deleted }, limit).await.unwrap();
            found.into_iter().map(|account| account.user.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, None, 10).await, [id(&third), id(&second), id(&first)]);
        assert_eq!(list(None, None, 1).await, [id(&third)]);
        assert_eq!(list(Some(true), None, 10).await, [id(&second)]);
        assert_eq!(list(None, Some(true), 10).await, [id(&third)]);
        assert_eq!(list(Some(false), Some(false), 10).await, [id(&first)]);

        first.project().await;
        let (_, token) = api_client(&app, &first, &["read"]).await;
        log_in_again(&app, &first).await;
        let shown = administration.show_account(id(&first)).await.unwrap();
        assert_eq!((shown.sessions, shown.owned.active, shown.webhooks.len()), (2, 1, 0));
        assert_eq!(shown.api_tokens[0].id.to_string(), token["id"].as_str().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabling_an_account_announces_its_api_tokens_on_postgres() {
    let Some(database) = postgres().await else { return };
    let (app, other) = two_processes(&database).await;
    let user = app.user().await;
    let (_, token) = api_client(&app, &user, &["read"]).await;
    assert_eq!(soon(other.store.next_revocation()).await, Revocation::Missed, "those before it listened");
    disable(&app, &user).await;
    let token = ApiTokenId::parse(token["id"].as_str().unwrap()).unwrap();
    assert_eq!(soon(other.store.next_revocation()).await, Revocation::ApiTokens(vec![token]));
    assert!(matches!(soon(other.store.next_revocation()).await, Revocation::Sessions(_)));
    database.remove().await;
}
